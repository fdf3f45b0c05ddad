"""An operator that was frozen must not believe, when it wakes up, that it still leads.

The time is longer than the Lease lasts, so another one may have acted meanwhile.
"""

import signal
import time

import pytest

from tests.faults.conftest import NODES, only
from tests.support.faults import Strike
from tests.support.kit import flexdriver, until
from tests.support.operator import Operator, log_end, requests
from tests.support.proxy import Fault, Proxy
from tests.support.scene import until_right

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

WRITES = {"create", "update", "patch", "delete"}


@pytest.fixture
def proxy(cluster, tmp_path):
    with Proxy(cluster.cluster.layout, tmp_path) as proxy:
        yield proxy


@pytest.fixture
def operator(cluster, proxy, tmp_path):
    operator = Operator(cluster, tmp_path, server=proxy.url)
    operator.start()
    only(cluster)
    yield operator
    operator.kill()


@pytest.fixture
def second(cluster, operator, tmp_path):
    (tmp_path / "second").mkdir()
    second = Operator(cluster, tmp_path / "second", identity="second")
    second.start(as_leader=False)
    yield second
    second.stop()


@pytest.fixture
def freeze(cluster, proxy, operator, rng):
    """Freezes it in the middle of an installation, at one of its writes."""

    def at_a_write() -> float:
        number = rng.randint(1, NODES + 6)
        strike = Strike(number, lambda: operator.send(signal.SIGSTOP), done=True)
        with proxy.fault(Fault(strike, when=lambda request: request.changes)):
            cluster.apply(flexdriver("before"))
            until(lambda: strike.happened, 20, f"write {number} is made")
        return time.monotonic()

    return at_a_write


def thaw(cluster, operator):
    """Wake it up; it must end by itself. What it wrote after that, its Lease included."""
    position = log_end(cluster)
    operator.send(signal.SIGCONT)
    assert operator.wait(10) == 1, operator.log.read_text()
    return [
        (entry["verb"], entry["requestURI"])
        for entry in requests(cluster, position)
        if entry["verb"] in WRITES and operator.credential in credentials(entry)
    ]


def credentials(entry):
    return entry["user"]["extra"]["authentication.kubernetes.io/credential-id"]


def passed(since, seconds):
    until(lambda: time.monotonic() - since > seconds, seconds + 1, "the time has passed")


def test_alone_it_ends_without_another_write_and_is_started_again(cluster, operator, freeze, long):
    since = freeze()
    cluster.apply(flexdriver("meanwhile"))
    passed(since, 30 if long else 12)
    assert thaw(cluster, operator) == []
    operator.start()
    until_right(cluster, {"before", "meanwhile"})


def test_another_takes_over_and_is_not_disturbed(cluster, operator, second, freeze, long):
    since = freeze()
    cluster.apply(flexdriver("meanwhile"))
    until(lambda: second.leads, 20, "the second one leads")
    scene = until_right(cluster, {"before", "meanwhile"})
    passed(since, 30 if long else 12)
    assert thaw(cluster, operator) == []
    assert second.leads
    assert until_right(cluster, {"before", "meanwhile"}).entries("before") == scene.entries(
        "before"
    )
