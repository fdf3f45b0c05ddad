"""Dry runs, adoption by turns, warnings and architectures, on fake nodes."""

import time

import pytest

from tests.support import fakepods
from tests.support.kit import condition, flexdriver, is_stalled, until
from tests.support.operator import changes, log_end

pytestmark = pytest.mark.cluster

NODES = 20
REST = 8


@pytest.fixture(scope="module")
def nodes(cluster):
    return cluster.cluster.fake_nodes(NODES)


@pytest.fixture
def name(cluster, operator, nodes):
    yield "tried"
    cluster.delete("flexdriver", "tried")


def three(status):
    return [condition(status, kind)["status"] for kind in ("Ready", "Reconciling", "Stalled")]


def test_a_dry_run_tells_of_every_node_and_can_be_made_real(cluster, operator, name, nodes):
    told = {"annotations": {"testbed/foreign": "example.com/old"}}
    cluster.apply(flexdriver(name, dryRun=True, podMetadata=told))
    cluster.cluster.kubectl(
        "wait", f"flexdriver/{name}", "--timeout=60s",
        """--for=jsonpath={.status.conditions[?(@.type=="Ready")].reason}=DryRun""",
    )  # fmt: skip
    status = cluster.flexdriver(name)
    assert three(status) == ["False", "False", "False"]
    assert status["nodes"]["wouldInstall"] == status["nodes"]["matched"] == NODES
    states = lambda: {cluster.install(name, node).get("state") for node in nodes}  # noqa: E731
    until(lambda: states() == {"WouldInstall"}, 10, "every FlexNode says so")
    found = cluster.get("flexnode", nodes[0])
    assert found["metadata"]["labels"]["flexvolume.io/state"] == "WouldInstall"
    (foreign,) = found["status"]["foreignDrivers"]
    assert (foreign["name"], foreign["init"]) == ("example.com/old", "InitTimeout")
    assert found["status"]["foreignDriverCount"] == 1

    assert operator.stop() == 0
    since = log_end(cluster)
    operator.start()
    time.sleep(REST)
    assert {c[1] for c in changes(cluster, since)} == {"daemonsets"}, "it looks at its children"

    cluster.patch("flexdriver", name, {"spec": {"dryRun": False}})
    status = cluster.until_ready(name)
    assert (status["nodes"]["installed"], status["nodes"]["wouldInstall"]) == (NODES, 0)
    until(
        lambda: "foreignDrivers" not in cluster.get("flexnode", nodes[0])["status"],
        10,
        "nobody is listed that nobody looks for",
    )


def test_a_failure_in_a_dry_run_is_told_with_its_node(cluster, name, nodes):
    broken = {"annotations": {"testbed/crash": nodes[3]}}
    cluster.apply(flexdriver(name, dryRun=True, podMetadata=broken))
    status = cluster.until_status(name, is_stalled, "it is Stalled", 60)
    assert (status["nodes"]["wouldInstall"], status["nodes"]["failed"]) == (NODES - 1, 1)
    assert [found["node"] for found in status["failing"]] == [nodes[3]]


def test_foreign_drivers_are_replaced_by_turns(cluster, name, nodes):
    cluster.apply(flexdriver(name, adoptionPolicy="Always", podMetadata=fakepods.STUCK))
    pods = until(lambda: all_of(cluster, name), 60, "every node has its pod")
    for pod in pods.values():
        fakepods.waits_for_its_turn(cluster, pod)
    done: set[str] = set()
    for _ in range(NODES):
        turns = until(lambda: turns_of(cluster, name, done), 20, "somebody has the turn")
        entries = [cluster.install(name, node) for node in nodes if node not in done]
        assert 1 <= len(turns) <= NODES // 10
        assert {e.get("state", "Pending") for e in entries} == {"Pending"}
        for node, pod in turns.items():
            # One that fails is told, and stops no other.
            if node == nodes[7]:
                fakepods.says(cluster, pod, "Failed", reason="PublishFailed", message="no")
            else:
                fakepods.says(cluster, pod, "Installed")
            done.add(node)
        if len(done) == NODES:
            break
    assert done == set(nodes)
    status = cluster.until_status(name, is_stalled, "one node has failed", 20)
    assert (status["nodes"]["installed"], status["nodes"]["failed"]) == (NODES - 1, 1)
    assert cluster.install(name, nodes[7])["reason"] == "PublishFailed"


def test_a_node_that_waits_for_its_turn_says_so_for_as_long_as_it_takes(cluster, name, nodes):
    cluster.apply(flexdriver(name, adoptionPolicy="Always", podMetadata=fakepods.STUCK))
    pods = until(lambda: all_of(cluster, name), 60, "every node has its pod")
    cluster.patch("flexdriver", name, {"spec": {"suspend": True}})
    cluster.until_status(
        name, lambda s: condition(s, "Ready")["reason"] == "Suspended", "it is suspended"
    )
    for pod in pods.values():
        fakepods.waits_for_its_turn(cluster, pod)
    reasons = lambda: {cluster.install(name, n).get("reason") for n in nodes}  # noqa: E731
    until(lambda: reasons() == {"WaitingForAdoption"}, 20, "all say that they wait")
    entry = cluster.install(name, nodes[0])
    assert "it is replaced when its turn comes" in entry["message"]
    assert turns_of(cluster, name, set()) == {}

    cluster.patch("flexdriver", name, {"spec": {"suspend": False}})
    until(lambda: turns_of(cluster, name, set()), 20, "somebody has the turn")


def all_of(cluster, name):
    found = fakepods.pods(cluster, name)
    return found if len(found) == NODES else None


def turns_of(cluster, name, done):
    found = fakepods.pods(cluster, name).items()
    return {n: pod for n, pod in found if n not in done and fakepods.has_its_turn(pod)}


def test_what_nodes_warn_of_is_counted(cluster, name, nodes):
    warned = {"annotations": {"testbed/warning": "SlowInit"}}
    cluster.apply(flexdriver(name, podMetadata=warned))
    status = cluster.until_ready(name)
    first = min(nodes)
    assert status["warnings"] == [
        {"reason": "SlowInit", "nodes": NODES, "message": f"{first}: as it is"}
    ]
    entry = cluster.install(name, nodes[5])
    assert entry["warnings"] == [{"reason": "SlowInit", "message": "as it is"}]


def test_nodes_of_another_architecture_have_no_pod_and_do_not_count(cluster, name, nodes):
    arm = nodes[2]
    label = ["label", "node", arm, "--overwrite"]
    cluster.cluster.kubectl(*label, "kubernetes.io/arch=arm64")
    try:
        cluster.apply(flexdriver(name, requirements={"architectures": ["amd64"]}))
        status = cluster.until_ready(name)
        assert status["summary"] == f"{NODES - 1}/{NODES - 1}"
        assert status["nodes"]["unsupported"] == 1
        entry = cluster.install(name, arm)
        assert (entry["state"], entry["reason"]) == ("Unsupported", "UnsupportedArchitecture")
        assert "arm64" in entry["message"]
        assert arm not in fakepods.pods(cluster, name)
    finally:
        cluster.cluster.kubectl(*label, "kubernetes.io/arch=amd64")
