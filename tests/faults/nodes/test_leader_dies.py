"""The node of the operator that acts loses its power: the standby takes over and says so."""

import time
from typing import NamedTuple

import pytest

from testbed.nodes import Node
from tests.faults.nodes.machines import (
    AT_ONCE,
    BACK,
    PASSING,
    has,
    is_down,
    is_up,
    leader,
    linger,
    until_state,
    warnings,
)
from tests.support.kit import until
from tests.support.scene import until_right

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

# The Lease lasts 10 s, is looked at every second, and the operator has to look at all there is.
TAKEOVER = 15.0


class Loss(NamedTuple):
    node: Node
    at: float
    taken: float


@pytest.fixture(scope="module")
def loss(kit, steady, history, long):
    node = kit.cluster.node(leader(kit))
    lease = history.of("leases", "flexvolume-operator")[-1].body["spec"]["holderIdentity"]
    at = time.monotonic()
    node.power_off()
    until(lambda: leader(kit) != node.name, 60, "the standby leads")
    taken = history.when(
        "leases", "flexvolume-operator", lambda v: v.body["spec"]["holderIdentity"] != lease
    )
    until_state(kit, steady, node.name, "Unknown")
    node.power_on()
    until(lambda: kit.install(steady, node.name)["bootID"] == node.boot_id, 60, "it is back")
    until_right(kit, {steady}, timeout=60)
    linger(long)
    return Loss(node, at, taken)


def test_the_standby_takes_over_within_seconds(loss):
    assert 0 < loss.taken - loss.at < TAKEOVER


def test_it_says_at_once_that_the_node_is_unknown(loss, history, steady):
    down = history.when("nodes", loss.node.name, is_down)
    unknown = history.when("flexnodes", loss.node.name, has(steady, "Unknown"))
    assert 0 < unknown - max(down, loss.taken) < AT_ONCE


def test_its_driver_is_known_again_soon_after_it_is_back(loss, history, steady):
    up = history.when("nodes", loss.node.name, is_up(loss.node.boot_id))
    known = history.when("flexnodes", loss.node.name, has(steady, "Installed"), after=up)
    assert known - up < BACK


def test_neither_the_takeover_nor_the_reboot_makes_anything_flap(kit, loss, history, steady):
    assert history.ready(steady) == [
        ("True", "Installed"), ("False", "Progressing"), ("True", "Installed"),
    ]  # fmt: skip
    states = [s for s in history.states(steady, loss.node.name) if s != "Pending"]
    assert states == ["Installed", "Unknown", "Installed"]
    assert warnings(kit) == []


def test_no_write_says_nothing_new(loss, history, steady):
    assert history.wasted() == []
    assert all(gap > PASSING for gap in history.hasty(loss.node.name))
    written = history.written("flexnodes")
    assert written.keys() == {loss.node.name}
    assert 2 <= written[loss.node.name] <= 4
    assert 3 <= history.written("flexdrivers")[steady] <= 4
