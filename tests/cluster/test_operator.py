"""What the operator makes of FlexDrivers: children, states, repair, rollout, removal."""

import json
import time

import pytest

from testbed.api import connect
from tests.support.kit import INSTALLERS, condition, flexdriver, is_ready, is_stalled, until
from tests.support.operator import changes, log_end
from tests.support.paths import collection

pytestmark = pytest.mark.cluster

NODES = 20


@pytest.fixture(scope="module")
def nodes(cluster):
    return cluster.cluster.fake_nodes(NODES)


@pytest.fixture
def driver(cluster, operator, nodes):
    """A FlexDriver that is Ready on every node."""
    cluster.apply(flexdriver("steady"))
    cluster.until_ready("steady")
    yield "steady"
    cluster.delete("flexdriver", "steady")


def child(cluster, driver):
    (found,) = cluster.list("daemonsets", f"flexvolume.io/driver={driver}", INSTALLERS)
    return found


def test_a_healthy_installation_writes_each_flexnode_once(cluster, operator, nodes):
    before = log_end(cluster)
    cluster.apply(flexdriver("fresh"))
    status = cluster.until_ready("fresh")
    written = [name for _, resource, name in changes(cluster, before) if resource == "flexnodes"]

    assert status["nodes"]["installed"] == status["nodes"]["matched"] == NODES
    assert sorted(written) == sorted(nodes)
    assert {cluster.install("fresh", node)["state"] for node in nodes} == {"Installed"}
    assert [c for c in changes(cluster, before) if c[1] == "events"] == [
        ("create", "events", name)
        for _, resource, name in changes(cluster, before)
        if resource == "events"
    ]
    cluster.delete("flexdriver", "fresh")


def test_the_child_belongs_to_the_flexdriver_and_asks_for_no_more_than_it_needs(cluster, driver):
    found = child(cluster, driver)
    (owner,) = found["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["blockOwnerDeletion"]) == (
        "FlexDriver", driver, False,
    )  # fmt: skip
    assert found["spec"]["updateStrategy"]["type"] == "OnDelete"
    for container in (
        *found["spec"]["template"]["spec"]["initContainers"],
        *found["spec"]["template"]["spec"]["containers"],
    ):
        context = container["securityContext"]
        assert context["capabilities"]["drop"] == ["ALL"]
        assert context["allowPrivilegeEscalation"] is False


def test_a_deleted_child_is_restored(cluster, driver):
    before = child(cluster, driver)
    name = before["metadata"]["name"]
    cluster.delete("daemonset", name, namespace=INSTALLERS)
    restored = until(lambda: cluster.get("daemonset", name, INSTALLERS), 5, "it is there again")
    assert restored["spec"] == before["spec"]
    assert restored["metadata"]["uid"] != before["metadata"]["uid"]


EDITS = {
    "another image": [
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "evil:1"}
    ],
    "a container more": [
        {
            "op": "add",
            "path": "/spec/template/spec/containers/-",
            "value": {"name": "extra", "image": "extra:1"},
        }
    ],
    "a variable more": [
        {
            "op": "add",
            "path": "/spec/template/spec/initContainers/1/env/-",
            "value": {"name": "LD_PRELOAD", "value": "/evil.so"},
        }
    ],
    "another strategy": [
        {"op": "replace", "path": "/spec/updateStrategy", "value": {"type": "RollingUpdate"}}
    ],
    "no owner": [{"op": "remove", "path": "/metadata/ownerReferences"}],
    "a label less": [{"op": "remove", "path": "/metadata/labels/app.kubernetes.io~1name"}],
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_child_edited_by_hand_is_put_right(cluster, operator, driver, edit):
    before = child(cluster, driver)
    name = before["metadata"]["name"]
    cluster.cluster.kubectl(
        "patch", "daemonset", name, f"--namespace={INSTALLERS}", "--type=json",
        f"--patch={json.dumps(EDITS[edit])}",
    )  # fmt: skip

    def right() -> bool:
        found = cluster.get("daemonset", name, INSTALLERS)
        return (
            found["spec"] == before["spec"]
            and found["metadata"]["labels"] == before["metadata"]["labels"]
            and found["metadata"].get("ownerReferences") == before["metadata"]["ownerReferences"]
            and found["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
        )

    until(right, 5, f"{edit} is undone")
    cluster.until_ready(driver)
    if edit not in ("no owner", "a label less"):
        told = f"{name} was edited by kubectl-patch: put right"
        until(lambda: told in operator.log.read_text(), 5, "it is told who did it")


def test_what_was_put_right_goes_when_it_is_wanted_no_more(cluster, operator, nodes):
    """Having put it right, we own it in another way than by an apply, which would keep it."""
    selector = {"kubernetes.io/arch": "amd64"}
    cluster.apply(flexdriver("changing", placement={"nodeSelector": selector}))
    cluster.until_ready("changing")
    name = child(cluster, "changing")["metadata"]["name"]

    def selects() -> bool:
        found = child(cluster, "changing")["spec"]["template"]["spec"].get("nodeSelector", {})
        return selector.items() <= found.items()

    cluster.cluster.kubectl(
        "patch", "daemonset", name, f"--namespace={INSTALLERS}",
        '--patch={"spec":{"template":{"spec":{"nodeSelector":null}}}}',
    )  # fmt: skip
    until(selects, 5, "the selector is put back")
    until(lambda: f"{name} was edited by somebody" in operator.log.read_text(), 5, "it is told")
    cluster.apply(flexdriver("changing"))
    until(lambda: not selects(), 5, "the selector is gone")
    cluster.delete("flexdriver", "changing")


def test_a_deleted_or_emptied_flexnode_is_written_again(cluster, driver, nodes):
    entry = cluster.install(driver, nodes[0])
    cluster.delete("flexnode", nodes[0])
    until(lambda: cluster.install(driver, nodes[0]) == entry, 10, "it is as it was")
    cluster.patch("flexnode", nodes[0], {"status": {"installs": []}})
    until(lambda: cluster.install(driver, nodes[0]) == entry, 10, "it is as it was")


def test_one_failing_node_is_named_and_recovers(cluster, driver, nodes):
    broken = nodes[3]
    annotations = {
        "testbed/crash": broken,
        "testbed/reason": "InitFailed",
        "testbed/message": "no route to the filer",
    }
    cluster.patch("flexdriver", driver, {"spec": {"podMetadata": {"annotations": annotations}}})
    entry = cluster.until_failed(driver, broken)
    assert (entry["reason"], entry["message"]) == ("InitFailed", "no route to the filer")
    status = cluster.until_status(
        driver,
        lambda s: is_stalled(s) and s["nodes"]["installed"] == NODES - 1,
        "the others are done and it is Stalled",
        timeout=60,
    )
    assert status["failing"] == [
        {"node": broken, "reason": "InitFailed", "message": "no route to the filer"}
    ]
    assert status["summary"] == f"{NODES - 1}/{NODES}"

    cluster.patch("flexdriver", driver, {"spec": {"podMetadata": None}})
    cluster.until_ready(driver)
    told = cluster.cluster.kubectl("describe", "flexdriver", driver).partition("Events:")[2]
    assert "no route to the filer" in told
    assert "NodeRecovered" in told


def test_a_new_version_takes_a_tenth_of_the_nodes_at_a_time(cluster, driver):
    revision = cluster.flexdriver(driver)["rollout"]["currentRevision"]
    fewest, path = NODES, collection("pods", INSTALLERS)
    cluster.patch("flexdriver", driver, {"spec": {"image": "localhost/hostfile:next"}})
    deadline = time.monotonic() + 60
    with connect(cluster.cluster.layout) as api:
        while time.monotonic() < deadline:
            text = api.request("GET", f"{path}?labelSelector=flexvolume.io%2Fdriver%3D{driver}")
            working = [pod for pod in json.loads(text)["items"] if is_working(pod)]
            fewest = min(fewest, len(working))
            if all(p["metadata"]["labels"]["flexvolume.io/revision"] != revision for p in working):
                break
    status = cluster.until_ready(driver)
    assert status["rollout"]["currentRevision"] != revision
    assert status["rollout"]["updated"] == NODES
    assert NODES - NODES // 10 <= fewest < NODES


def is_working(pod):
    return is_ready(pod["status"]) and "deletionTimestamp" not in pod["metadata"]


def test_suspend_holds_a_new_version_and_keeps_what_is_there(cluster, driver):
    before = child(cluster, driver)
    name = before["metadata"]["name"]
    cluster.patch(
        "flexdriver", driver, {"spec": {"suspend": True, "image": "localhost/hostfile:later"}}
    )
    status = cluster.until_status(
        driver, lambda s: s["rollout"]["state"] == "Paused", "the rollout is paused"
    )
    assert condition(status, "Ready")["reason"] == "Suspended"
    assert status["nodes"]["outdated"] == NODES
    cluster.delete("daemonset", name, namespace=INSTALLERS)
    restored = until(lambda: cluster.get("daemonset", name, INSTALLERS), 5, "it is there again")
    assert restored["spec"]["template"] == before["spec"]["template"]

    cluster.patch("flexdriver", driver, {"spec": {"suspend": False}})
    assert cluster.until_ready(driver)["nodes"]["outdated"] == 0


def test_what_only_the_api_server_can_check_is_refused_with_its_words(cluster, driver):
    before = child(cluster, driver)
    bad = [{"operator": "Exists", "key": "pool", "value": "no value goes with Exists"}]
    cluster.patch("flexdriver", driver, {"spec": {"placement": {"tolerations": bad}}})
    status = cluster.until_status(
        driver,
        lambda s: is_stalled(s) and condition(s, "Stalled")["reason"] == "InvalidTemplate",
        "it is Stalled",
    )
    assert (
        "value must be empty when `operator` is 'Exists'" in condition(status, "Ready")["message"]
    )
    assert child(cluster, driver)["spec"] == before["spec"]
    cluster.patch("flexdriver", driver, {"spec": {"placement": {"tolerations": None}}})
    cluster.until_ready(driver)


def test_a_placement_decides_which_nodes_have_an_entry(cluster, operator, nodes):
    cluster.cluster.kubectl("label", "node", nodes[0], nodes[1], "pool=storage")
    cluster.apply(flexdriver("pool", placement={"nodeSelector": {"pool": "storage"}}))
    assert cluster.until_ready("pool")["summary"] == "2/2"
    cluster.cluster.kubectl("label", "node", nodes[1], "pool-")
    until(lambda: cluster.flexdriver("pool")["summary"] == "1/1", 20, "one node has left")
    until(lambda: not cluster.install("pool", nodes[1]), 10, "its entry is gone")
    cluster.delete("flexdriver", "pool")
    until(lambda: cluster.get("flexnode", nodes[0]) is None, 10, "a FlexNode without drivers goes")
    cluster.cluster.kubectl("label", "node", nodes[0], "pool-")


def test_nobody_matched_is_ready_and_says_so(cluster, operator, nodes):
    cluster.apply(flexdriver("lonely", placement={"nodeSelector": {"pool": "nowhere"}}))
    status = cluster.until_ready("lonely")
    assert condition(status, "Ready")["reason"] == "NoNodesMatched"
    cluster.delete("flexdriver", "lonely")


def test_a_node_that_goes_takes_its_flexnode_along(cluster, driver, nodes):
    cluster.cluster.kubectl("delete", "node", nodes[-1])
    until(
        lambda: cluster.flexdriver(driver)["nodes"]["matched"] == NODES - 1, 20, "it is not counted"
    )
    until(lambda: cluster.get("flexnode", nodes[-1]) is None, 30, "its FlexNode is gone")
    cluster.cluster.fake_nodes(NODES)
    until(lambda: cluster.flexdriver(driver)["summary"] == f"{NODES}/{NODES}", 30, "it is back")


def test_a_restarted_operator_finds_everything_as_it_left_it(cluster, driver, operator):
    assert operator.stop() == 0
    before = log_end(cluster)
    operator.start()
    # It looks at its children once, which changes nothing in them.
    version = child(cluster, driver)["metadata"]["resourceVersion"]
    until(lambda: any(c[1] == "daemonsets" for c in changes(cluster, before)), 10, "it has looked")
    cluster.patch("flexdriver", driver, {"metadata": {"annotations": {"looked": "yes"}}})
    assert {c[1] for c in changes(cluster, before)} == {"daemonsets"}
    assert child(cluster, driver)["metadata"]["resourceVersion"] == version


def test_a_deletion_begun_without_the_operator_is_completed_by_it(cluster, operator, nodes):
    cluster.apply(flexdriver("orphan"))
    cluster.until_ready("orphan")
    operator.kill()
    cluster.cluster.kubectl("delete", "flexdriver", "orphan", "--wait=false")
    assert cluster.get("flexdriver", "orphan")["metadata"]["deletionTimestamp"]
    operator.start()
    until(lambda: cluster.get("flexdriver", "orphan") is None, 30, "it is gone")
    assert not cluster.list("daemonsets", "flexvolume.io/driver=orphan", INSTALLERS)


def test_health_and_metrics_tell_what_is_going_on(cluster, driver, operator):
    assert operator.get("/healthz") == (200, "ok")
    assert operator.get("/readyz") == (200, "ok")
    series = f'flexvolume_driver_nodes{{flexdriver="{driver}",state="Installed"}}'
    until(lambda: operator.metric(series) == NODES, 5, "the nodes are counted")
    assert operator.metric('flexvolume_reconciles_total{result="success"}') > 0
    assert operator.metric('flexvolume_reconciles_total{result="error"}') == 0
    assert operator.metric('flexvolume_api_requests_total{code="200",verb="PATCH"}') > 0
    assert operator.metric('flexvolume_watch_last_event_age_seconds{resource="nodes"}') < 240
