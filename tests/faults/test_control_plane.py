"""The API server or etcd is killed in the middle of the operator's work, and comes back."""

import time

import pytest

from tests.faults.conftest import NODES, only
from tests.support.faults import Strike
from tests.support.kit import flexdriver, until
from tests.support.proxy import Fault, too_often
from tests.support.scene import until_right

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

    now = until_right(cluster, {"steady", "new"}, 30)
    assert now.entries("steady") == steady.entries("steady")
    assert now.uids("steady") == steady.uids("steady")
    assert not too_often(proxy.requests[before:], time.monotonic() - began)
    # The Lease is lost when nobody can renew it.
    assert len(supervisor.exits) - ended <= 1
