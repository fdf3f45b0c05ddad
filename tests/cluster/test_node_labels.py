"""The patch of a Node's labels before a real API server: it does what it says, or nothing."""

import json

import pytest
from msgspec.structs import replace

from flexvolume_operator.cluster.nodelabels import patch
from flexvolume_operator.model.names import LABEL_KUBELET_DIR, LABEL_PLUGIN_DIR
from flexvolume_operator.model.wire import NODES

pytestmark = pytest.mark.cluster

NAME = "labelled"


@pytest.fixture
def seen(cluster):
    """The Node as the operator sees it, with these labels."""

    def look(labels):
        cluster.delete("node", NAME)
        meta = {"name": NAME, "labels": labels} if labels else {"name": NAME}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": meta}
        cluster.cluster.kubectl("create", "--filename=-", stdin=json.dumps(body))
        return NODES.one(json.dumps(cluster.get("node", NAME)).encode())

    yield look
    cluster.delete("node", NAME)


def sent(cluster, node, wanted):
    """Exit code and words of kubectl, and the labels afterwards."""
    steps = json.dumps(patch(node, wanted))
    done = cluster.kubectl("patch", "node", NAME, "--type=json", f"--patch={steps}")
    labels = cluster.get("node", NAME)["metadata"].get("labels", {})
    return done.returncode, labels


def test_labels_come_and_go_and_others_stay(cluster, seen):
    node = seen({"other": "x", LABEL_KUBELET_DIR: "old"})
    assert sent(cluster, node, {LABEL_PLUGIN_DIR: "a", LABEL_KUBELET_DIR: None}) == (
        0, {"other": "x", LABEL_PLUGIN_DIR: "a"},
    )  # fmt: skip


def test_a_node_without_labels_gets_its_first(cluster, seen):
    node = seen({})
    assert sent(cluster, node, {LABEL_PLUGIN_DIR: "a"}) == (0, {LABEL_PLUGIN_DIR: "a"})
    # What it has by now is not written over by who has not seen it.
    code, labels = sent(cluster, node, {LABEL_PLUGIN_DIR: "b"})
    assert (code, labels) == (1, {LABEL_PLUGIN_DIR: "a"})


def test_another_node_of_the_name_is_left_alone(cluster, seen):
    node = seen({"other": "x"})
    code, labels = sent(cluster, replace(node, uid="former"), {LABEL_PLUGIN_DIR: "a"})
    assert (code, labels) == (1, {"other": "x"})


def test_a_label_that_somebody_has_changed_meanwhile_is_left_alone(cluster, seen):
    node = seen({LABEL_PLUGIN_DIR: "theirs"})
    older = replace(node, labels={LABEL_PLUGIN_DIR: "ours"})
    code, labels = sent(cluster, older, {LABEL_PLUGIN_DIR: "a"})
    assert (code, labels) == (1, {LABEL_PLUGIN_DIR: "theirs"})
