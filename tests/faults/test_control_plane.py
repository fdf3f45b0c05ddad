"""The API server or etcd is killed in the middle of the operator's work, and comes back."""

import time

import pytest

from testbed import ClusterError
from tests.faults.conftest import NODES, only
from tests.support.faults import Strike
from tests.support.kit import condition, flexdriver, until
from tests.support.proxy import Fault, too_often
from tests.support.scene import look, until_right

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def pytest_generate_tests(metafunc):
    # The longer one is longer than the Lease lasts.
    metafunc.parametrize("seconds", [0, 20] if metafunc.config.option.long else [0])


@pytest.mark.parametrize("role", ["kube-apiserver", "etcd"])
def test_what_was_begun_is_finished(cluster, steady, proxy, supervisor, rng, role, seconds):
    only(cluster, flexdriver("steady"), flexdriver("leaving"))
    ended, before, began = len(supervisor.exits), len(proxy.requests), time.monotonic()
    strike = Strike(rng.randint(1, NODES), lambda: None, done=rng.random() < 0.5)
    with proxy.fault(Fault(strike, when=lambda request: request.changes)):
        cluster.apply(flexdriver("new"))
        cluster.cluster.kubectl("delete", "flexdriver", "leaving", "--wait=false")
        until(lambda: strike.happened, 20, "it is at work")
        cluster.cluster.kill(role)
    over = time.monotonic() + seconds
    until(lambda: time.monotonic() > over, seconds + 1, "the time has passed")
    cluster.cluster.restart(role)

    until(lambda: kubernetes_is_done(cluster), 90, "Kubernetes has made and deleted all pods")
    now = until_right(cluster, {"steady", "new"}, 30)
    # After half a minute without an API Kubernetes may think for a moment that a node is dead.
    quiet = {node for node in steady.nodes if ready_since(now, node) == ready_since(steady, node)}
    then, entries = steady.entries("steady"), now.entries("steady")
    assert quiet or seconds
    assert {node: entries[node] for node in quiet} == {node: then[node] for node in quiet}
    assert now.uids("steady") == steady.uids("steady")
    assert not too_often(proxy.requests[before:], time.monotonic() - began)
    # The Lease is lost when nobody can renew it.
    assert len(supervisor.exits) - ended <= 1


def kubernetes_is_done(cluster):
    """Its controllers wait longer each time while there is no API, in the end half a minute."""
    try:
        scene = look(cluster)
    except (OSError, ClusterError):
        return False
    running = [name for name, pod in scene.pods.items() if pod["status"]["phase"] == "Running"]
    return len(running) == len(scene.pods) and not any(n.startswith("leaving-") for n in running)


def ready_since(scene, node):
    return condition(scene.nodes[node]["status"], "Ready")["lastTransitionTime"]
