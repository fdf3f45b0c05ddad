"""What the policies of a cluster do to us: pods refused, with whose words; children rewritten."""

import time
from contextlib import ExitStack

import pytest

from flexvolume_operator.assess.facts import NO_POD, REFUSED_AGAIN
from tests.support import policies
from tests.support.kit import INSTALLERS, condition, flexdriver, is_stalled, until
from tests.support.operator import changes, log_end, requests
from tests.support.policies import REFUSALS

pytestmark = pytest.mark.cluster

NODES = 3
# What is ours of the time that passes: a pass, and a write for each node.
SLACK = 5
REST = 30


@pytest.fixture(scope="module")
def nodes(cluster):
    return cluster.cluster.fake_nodes(NODES)


@pytest.fixture
def refused(cluster, operator, nodes):
    """The name of a FlexDriver for the test to apply."""
    yield "refused"
    cluster.delete("flexdriver", "refused")


def child(cluster, driver):
    (found,) = cluster.list("daemonsets", f"flexvolume.io/driver={driver}", INSTALLERS)
    return found


@pytest.mark.parametrize("who", REFUSALS)
def test_refused_pods_are_explained_and_come_once_they_are_let_in(cluster, nodes, refused, who):
    refusal = REFUSALS[who]
    with refusal.cause(cluster) as end:
        cluster.apply(flexdriver(refused, **refusal.spec))
        applied = time.monotonic()
        entries = [cluster.until_failed(refused, node, NO_POD + SLACK) for node in nodes]
        status = cluster.until_status(refused, is_stalled, "it is Stalled", SLACK)
        assert time.monotonic() - applied < NO_POD + SLACK

        assert {entry["reason"] for entry in entries} == {"PodRejected"}
        (message,) = {entry["message"] for entry in entries}
        assert message.startswith(f"The pod is not admitted: {refusal.words}")
        assert message.endswith(f"; {refusal.remedy}")
        assert [(c["type"], c["status"], c["reason"]) for c in status["conditions"]] == [
            ("Ready", "False", "NodesFailed"),
            ("Reconciling", "False", "NodesFailed"),
            ("Stalled", "True", "NodesFailed"),
            ("DirectoryConfirmed", "True", "Confirmed"),
        ]
        assert {found["message"] for found in status["failing"]} == {message}
        assert all(message in c["message"] for c in status["conditions"][:3])
        described = cluster.cluster.kubectl("describe", "flexdriver", refused)
        assert message in described.partition("Events:")[2]

        end()
        cluster.until_ready(refused, REFUSED_AGAIN + SLACK)


def test_a_controller_that_waits_ever_longer_is_made_to_try_again(cluster, nodes, refused):
    refusal = REFUSALS["Pod Security"]
    with refusal.cause(cluster) as end:
        cluster.apply(flexdriver(refused))
        of_ours = f"flexvolume.io/driver={refused}"
        until(lambda: cluster.list("daemonsets", of_ours), 10, "the DaemonSet is there")
        # Each change makes it try at once, and each failure doubles its pause: these are 80 min,
        # of which it waits 17.
        name = child(cluster, refused)["metadata"]["name"]
        for number in range(20):
            attempt = {"metadata": {"annotations": {"attempt": str(number)}}}
            cluster.patch("daemonset", name, attempt, INSTALLERS)
        before = log_end(cluster)
        cluster.until_failed(refused, nodes[0], NO_POD + SLACK)
        cluster.until_status(refused, is_stalled, "it is Stalled")

        end()
        cluster.until_ready(refused, REFUSED_AGAIN + SLACK)
        assert ("patch", "daemonsets", name) in changes(cluster, before)


def test_a_refused_flexnode_is_not_asked_for_each_second(cluster, nodes, refused):
    before = log_end(cluster)
    with policies.refusing_flexnodes(cluster):
        cluster.apply(flexdriver(refused))
        time.sleep(2 * SLACK)
        asked = [
            entry
            for entry in requests(cluster, before)
            if "/flexnodes/" in str(entry["requestURI"]) and entry["verb"] == "patch"
        ]
        assert {entry["responseStatus"]["code"] for entry in asked} == {422}
        assert len(asked) <= 5 * NODES
    until(lambda: cluster.install(refused, nodes[0]), REFUSED_AGAIN + SLACK, "it is written")
    cluster.until_ready(refused)


@pytest.fixture(scope="module")
def mirrored(cluster, process, nodes):
    """Two FlexDrivers, Ready: the DaemonSet of one and the pods of the other are rewritten."""
    if process._process is None:
        process.start()
    drivers = {kind: f"mirrored-{kind.lower()}" for kind in policies.REWRITTEN}
    with ExitStack() as stack:
        for kind, driver in drivers.items():
            stack.enter_context(policies.rewriting(cluster, kind, driver))
        cluster.apply(*(flexdriver(driver) for driver in drivers.values()))
        for driver in drivers.values():
            cluster.until_ready(driver)
        yield drivers
    if process._process is None:
        process.start()
    cluster.delete("flexdriver", *drivers.values())


@pytest.mark.parametrize("kind", policies.REWRITTEN)
def test_what_a_policy_rewrites_is_the_revision_that_was_asked_for(cluster, mirrored, nodes, kind):
    driver = mirrored[kind]
    pods = cluster.list("pods", f"flexvolume.io/driver={driver}", INSTALLERS)
    assert len(pods) == NODES
    for pod in pods:
        containers = (*pod["spec"]["initContainers"], *pod["spec"]["containers"])
        assert all(c["image"].startswith(policies.MIRROR) for c in containers)
        assert policies.TOLERATION in pod["spec"]["tolerations"]
        assert pod["metadata"]["labels"].items() >= policies.LABEL.items()
    rollout = cluster.flexdriver(driver)["rollout"]
    assert (rollout["state"], rollout["updated"]) == ("Complete", NODES)
    for node in nodes:
        entry = cluster.install(driver, node)
        assert (entry["state"], entry["revision"]) == ("Installed", rollout["currentRevision"])
    assert child(cluster, driver)["metadata"]["generation"] == 1


def test_nothing_is_written_at_rest_where_policies_rewrite(cluster, mirrored, process):
    before = log_end(cluster)
    time.sleep(REST)
    assert changes(cluster, before) == []

    children = [child(cluster, driver)["metadata"] for driver in mirrored.values()]
    assert process.stop() == 0
    before = log_end(cluster)
    process.start()
    time.sleep(REST)
    # It looks at each of them once, by an apply that changes nothing.
    assert sorted(changes(cluster, before)) == sorted(
        ("patch", "daemonsets", meta["name"]) for meta in children
    )
    assert children == [child(cluster, driver)["metadata"] for driver in mirrored.values()]


def test_an_edit_under_a_policy_is_put_right_once(cluster, mirrored, process):
    driver = mirrored["DaemonSet"]
    found = child(cluster, driver)
    name, before = found["metadata"]["name"], log_end(cluster)
    change = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 99}}}}
    cluster.patch("daemonset", name, change, INSTALLERS)
    until(lambda: child(cluster, driver)["spec"] == found["spec"], SLACK, "the edit is undone")
    cluster.until_ready(driver)
    time.sleep(SLACK)
    written = [c for c in changes(cluster, before) if c[1] == "daemonsets"]
    assert 1 <= len(written) <= 2, "an apply and, if somebody else owns a field, a replacement"
    assert condition(cluster.flexdriver(driver), "Stalled")["status"] == "False"
