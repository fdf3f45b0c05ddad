"""What is written on a Node: our labels, on conditions, and nothing else."""

import pytest

from flexvolume_operator.cluster.nodelabels import patch
from flexvolume_operator.model.names import LABEL_KUBELET_DIR, LABEL_PLUGIN_DIR
from flexvolume_operator.model.objects import Node

UID = {"op": "test", "path": "/metadata/uid", "value": "u1"}
PATH = "/metadata/labels/flexvolume.io~1plugin-dir"


def node(**labels):
    return Node("n1", uid="u1", labels={"other": "x"} | labels)


def test_a_label_is_added_to_the_node_of_this_uid():
    assert patch(node(), {LABEL_PLUGIN_DIR: "a"}) == [
        UID, {"op": "add", "path": PATH, "value": "a"},
    ]  # fmt: skip


def test_a_label_is_replaced_or_removed_if_it_is_as_it_was_seen():
    has = node(**{LABEL_PLUGIN_DIR: "a"})
    seen = {"op": "test", "path": PATH, "value": "a"}
    assert patch(has, {LABEL_PLUGIN_DIR: "b"}) == [
        UID, seen, {"op": "add", "path": PATH, "value": "b"},
    ]  # fmt: skip
    assert patch(has, {LABEL_PLUGIN_DIR: None}) == [UID, seen, {"op": "remove", "path": PATH}]


@pytest.mark.parametrize(
    "wanted", [{}, {LABEL_PLUGIN_DIR: "a"}, {LABEL_PLUGIN_DIR: "a", LABEL_KUBELET_DIR: None}]
)
def test_what_is_so_already_and_what_is_not_decided_are_no_write(wanted):
    assert patch(node(**{LABEL_PLUGIN_DIR: "a"}), wanted) == []


def test_a_node_without_any_labels_gets_the_map_if_it_still_has_none():
    bare = Node("n1", uid="u1")
    assert patch(bare, {LABEL_PLUGIN_DIR: "a", LABEL_KUBELET_DIR: None}) == [
        UID,
        {"op": "test", "path": "/metadata/labels", "value": None},
        {"op": "add", "path": "/metadata/labels", "value": {LABEL_PLUGIN_DIR: "a"}},
    ]
