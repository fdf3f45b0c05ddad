"""Two replicas of the operator: one acts, and when it goes the other one does, soon."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.kit import INSTALLERS, flexdriver, until
from tests.support.operator import Operator

pytestmark = pytest.mark.cluster

# As told to users: seconds until a deleted DaemonSet is there again.
LIMITS = {"SIGKILL": 15.0, "SIGTERM": 3.0}
CREATED = 'flexvolume_api_requests_total{code="201",verb="PATCH"}'


@pytest.fixture
def driver(cluster, operator):
    """A FlexDriver that is Ready on a few nodes."""
    cluster.cluster.fake_nodes(3)
    cluster.apply(flexdriver("steady"))
    cluster.until_ready("steady")
    yield "steady"
    cluster.delete("flexdriver", "steady")


@pytest.fixture
def second(cluster, operator, driver, tmp_path):
    """A replica that waits for the Lease; at the end the first one acts again."""
    found = Operator(cluster, tmp_path, identity="second")
    found.start(as_leader=False)
    yield found
    assert found.stop() == 0
    if operator._process is None:
        operator.start()


def child(cluster, driver):
    (found,) = cluster.list("daemonsets", f"flexvolume.io/driver={driver}", INSTALLERS)
    return found


def is_restored(cluster, driver, uid):
    """Whether another DaemonSet is in the place of this one."""
    found = cluster.list("daemonsets", f"flexvolume.io/driver={driver}", INSTALLERS)
    return any(daemonset["metadata"]["uid"] != uid for daemonset in found)


def delete(cluster, name):
    """Its pods stay and are adopted by the next one."""
    cluster.cluster.kubectl(
        "delete", "daemonset", name, f"--namespace={INSTALLERS}", "--cascade=orphan"
    )


def test_a_second_replica_leaves_everything_to_the_first(cluster, driver, second, operator):
    meta = child(cluster, driver)["metadata"]
    delete(cluster, meta["name"])
    until(lambda: is_restored(cluster, driver, meta["uid"]), 5, "the DaemonSet is there again")
    assert (operator.leads, second.leads) == (True, False)
    assert second.get("/readyz") == (200, "ok"), "so that a rollout of the Deployment goes on"
    verbs = [line for line in second.get("/metrics")[1].splitlines() if "api_requests" in line]
    assert not [line for line in verbs if 'verb="GET"' not in line and "{" in line]


@pytest.mark.parametrize("end", LIMITS)
def test_when_the_one_that_acts_ends_the_other_one_does(cluster, driver, second, operator, end):
    meta = child(cluster, driver)["metadata"]
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        ended = pool.submit(operator.kill if end == "SIGKILL" else operator.stop)
        delete(cluster, meta["name"])
        until(lambda: is_restored(cluster, driver, meta["uid"]), LIMITS[end], "it is there again")
        took = time.monotonic() - began
        assert ended.result() == (0 if end == "SIGTERM" else -signal.SIGKILL)
    assert took < LIMITS[end]
    assert second.leads
    assert second.metric(CREATED), "and it was this one that did it"
    cluster.until_ready(driver)
