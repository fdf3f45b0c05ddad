"""The API server, or the way to it, fails for a while: what is asked for meanwhile is done.

One table of faults. Some changes are made at the beginning of each, past the fault; when it is
over there are 30 seconds to do what they ask for.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from tests.faults.conftest import NODES, only
from tests.support import faults
from tests.support.faults import refused, slow, watch_error
from tests.support.kit import flexdriver, until
from tests.support.operator import changes, log_end
from tests.support.proxy import Deed, Fault, Request, too_early, too_often
from tests.support.scene import until_right

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

RETRY_AFTER = 2
# kopf ends the process when the watch of FlexDrivers is refused like this.
EACH_TIME = 9
POOL = flexdriver("pool", placement={"nodeSelector": {"pool": "storage"}})


def anything(_: Request) -> bool:
    return True


def watches(request: Request) -> bool:
    return request.verb == "watch"


def reads(request: Request) -> bool:
    return request.verb in {"watch", "list"}


def writes(request: Request) -> bool:
    return request.changes


def writes_of(*resources: str) -> Callable[[Request], bool]:
    return lambda request: request.changes and request.resource in resources


def all_but_the_lease(request: Request) -> bool:
    return request.resource != "leases"


@dataclass(frozen=True)
class Case:
    """A fault for so many seconds, or for half a minute with `--long`.

    `brief`: it is tried in the short form too. `ends`: so often the process may end because of it
    and be started again; if that is each time that it tries, the fault is kept short. `heals`: the
    operator gets over it while it lasts. `running`: open watches have it too.
    """

    deed: Deed
    when: Callable[[Request], bool] = anything
    seconds: float = 5
    brief: bool = False
    ends: int = 0
    heals: bool = False
    running: bool = True


CASES: Mapping[str, Case] = {
    "watches are cut": Case(faults.cut, watches),
    "watches break when they have begun": Case(faults.broken, watches, 3, brief=True),
    "watches fall silent": Case(faults.silent, watches),
    "open watches die in silence": Case(faults.dead, watches, 100, heals=True),
    "watches and lists have expired": Case(faults.expired, reads, 4, brief=True),
    "watches are refused as expired": Case(refused(410), watches, 3, ends=EACH_TIME),
    "watches end with an error": Case(watch_error(500), watches, 3, ends=EACH_TIME),
    "connections are cut": Case(faults.cut, ends=1),
    "nothing is answered": Case(faults.silent, ends=1),
    "everything is an error": Case(refused(500), seconds=10, brief=True, ends=1),
    "answers take long": Case(slow(1), running=False),
    "too many requests": Case(refused(429, RETRY_AFTER), all_but_the_lease, 5, brief=True),
    "writes conflict": Case(refused(409), writes, 3, brief=True),
    "FlexNodes cannot be written": Case(refused(500), writes_of("flexnodes"), brief=True),
    "FlexNodes conflict": Case(refused(409), writes_of("flexnodes")),
    "finalizers conflict": Case(refused(409), writes_of("flexdrivers")),
    "statuses conflict": Case(refused(409), writes_of("flexdrivers/status")),
}


def pytest_generate_tests(metafunc):
    cases = {n: case for n, case in CASES.items() if case.brief or metafunc.config.option.long}
    metafunc.parametrize("case", cases.values(), ids=cases)


@pytest.fixture
def scene(cluster, supervisor):
    """Three FlexDrivers that are Ready; one is there for two nodes only."""
    names = cluster.cluster.fake_nodes(NODES)
    cluster.cluster.kubectl("label", "node", "--all", "pool-")
    cluster.cluster.kubectl("label", "node", *names[:2], "pool=storage")
    return only(cluster, flexdriver("steady"), flexdriver("leaving"), POOL)


def make_changes(cluster):
    """One of each kind: a FlexDriver comes, one goes, nodes change their labels, a node goes."""
    cluster.apply(flexdriver("new"))
    cluster.cluster.kubectl("delete", "flexdriver", "leaving", "--wait=false")
    cluster.cluster.kubectl("label", "node", "fake-0001", "pool-")
    cluster.cluster.kubectl("label", "node", "fake-0003", "pool=storage")
    cluster.cluster.kubectl("delete", "node", f"fake-{NODES:04d}", "--wait=false")


def test_what_is_asked_for_meanwhile_is_done(cluster, scene, proxy, supervisor, case, long):
    wanted = {"steady", "new", "pool"}
    seconds = max(case.seconds, 30) if long and case.ends < EACH_TIME else case.seconds
    ended, before, began = len(supervisor.exits), len(proxy.requests), time.monotonic()
    with proxy.fault(Fault(case.deed, case.when, case.running)):
        make_changes(cluster)
        if case.heals:
            until_right(cluster, wanted, seconds)
        until(lambda: time.monotonic() > began + seconds, seconds, "the time has passed")
    asked, lasted = proxy.requests[before:], time.monotonic() - began

    now = until_right(cluster, wanted, 30)
    assert now.entries("steady").items() <= scene.entries("steady").items()
    assert now.uids("steady") <= scene.uids("steady")
    assert len(supervisor.exits) - ended <= case.ends
    assert not too_often(asked, lasted)
    assert not too_early(asked, RETRY_AFTER)
    until(lambda: rests(cluster, 20 if long else 1), 60, "it rests")


def rests(cluster, seconds):
    """Whether nothing but the Lease is written in this time."""
    position, began = log_end(cluster), time.monotonic()
    until(lambda: time.monotonic() > began + seconds, seconds + 1, "the time has passed")
    return not changes(cluster, position)
