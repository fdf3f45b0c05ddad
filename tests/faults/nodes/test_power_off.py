"""A node without power: known to be unknown, in nobody's way, and back with a new boot."""

from datetime import UTC, datetime
from typing import NamedTuple

import pytest

from testbed.nodes import Node
from tests.faults.nodes.machines import (
    AT_ONCE,
    BACK,
    PASSING,
    bystander,
    has,
    installer,
    is_down,
    is_up,
    linger,
    others,
    until_state,
    warnings,
)
from tests.support import drivers
from tests.support.kit import INSTALLERS, Object, flexdriver, until
from tests.support.readers import stop_using, use
from tests.support.scene import until_right

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

UP, BUSY = ("True", "Installed"), ("False", "Progressing")
# A pod that has been there for longer than it may take to start must not seem to be late.
OLD = 125.0


class Dead(NamedTuple):
    node: Node
    boot: str
    before: Object


@pytest.fixture(scope="module")
def newer(kit, stock, steady):
    """Two more drivers: one to be updated to the image that this gives, one to be deleted."""
    first, second = (stock.driver("moving", version) for version in "12")
    kit.apply(flexdriver("moving", first), flexdriver("leaving", stock.driver("leaving", "1")))
    kit.until_ready("moving")
    kit.until_ready("leaving")
    yield second
    kit.delete("flexdriver", "moving", "leaving")


@pytest.fixture(scope="module")
def dead(kit, steady, newer, history, long):
    """A node whose power is off, as everybody knows. A pod there has a volume."""
    node = bystander(kit)
    reads = use(kit, steady, node.name)
    until(lambda: reads() == "1", 30, "a pod reads its volume")
    if long:
        pod = installer(kit, steady, node.name)
        made = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
        until(lambda: (datetime.now(UTC) - made).total_seconds() > OLD, OLD, "the pod is old")
    before = Dead(node, node.boot_id, kit.install("moving", node.name))
    node.power_off()
    until_state(kit, steady, node.name, "Unknown")
    return before


def test_its_drivers_are_unknown_at_once(kit, dead, history, steady):
    down = history.when("nodes", dead.node.name, is_down)
    for driver in (steady, "moving", "leaving"):
        unknown = history.when("flexnodes", dead.node.name, has(driver, "Unknown"))
        assert 0 < unknown - down < AT_ONCE
    assert kit.install(steady, dead.node.name)["bootID"] == dead.boot
    status = kit.until_ready(steady)
    assert (status["summary"], status["nodes"]["unknown"]) == ("2/3", 1)


def test_an_update_passes_it_by(kit, dead, newer):
    kit.apply(flexdriver("moving", newer))
    status = kit.until_ready("moving")
    assert (status["summary"], status["rollout"]["updated"]) == ("2/3", 2)
    for name in others(kit, dead.node):
        entry = kit.install("moving", name)
        assert entry["revision"] == status["rollout"]["currentRevision"]
        assert kit.cluster.node(name).path(entry["path"]).read_bytes() == drivers.good("2")
    entry = kit.install("moving", dead.node.name)
    assert entry["state"] == "Unknown"
    assert entry["serving"] == dead.before["serving"]


def test_a_deletion_passes_it_by(kit, dead):
    kit.cluster.kubectl("delete", "flexdriver", "leaving", "--wait=false")
    until(lambda: kit.get("flexdriver", "leaving") is None, 20, "it is gone")
    assert not any(kit.install("leaving", node.name) for node in kit.cluster.nodes)


def test_with_power_it_has_what_it_had_and_gets_what_it_missed(kit, dead, steady, long):
    node = dead.node
    at = kit.install(steady, node.name)["path"]
    node.boot()
    assert node.path(at).read_bytes() == drivers.good("1"), "before any kubelet runs"
    node.start_kubelet()

    def back() -> bool:
        entries = [kit.install(driver, node.name) for driver in (steady, "moving")]
        return all(e["state"] == "Installed" and e["bootID"] == node.boot_id for e in entries)

    until(back, 60, "both drivers are installed in the new boot")
    assert node.boot_id != dead.boot
    path = node.path(kit.install("moving", node.name)["path"])
    assert path.read_bytes() == drivers.good("2")
    until_right(kit, {steady, "moving"}, timeout=60)
    assert kit.list("pods", "flexvolume.io/driver=leaving", INSTALLERS) == []
    linger(long)


def test_its_drivers_are_known_again_soon_after_it_is_back(dead, history, steady):
    up = history.when("nodes", dead.node.name, is_up(dead.node.boot_id))
    for driver in (steady, "moving"):
        known = history.when("flexnodes", dead.node.name, has(driver, "Installed"), after=up)
        assert known - up < BACK


def test_the_pod_that_had_a_volume_there_has_it_again(kit, dead, steady):
    reads = use(kit, steady, dead.node.name)
    until(lambda: reads() == "1", 30, "it reads its volume")
    pod = kit.get("pod", f"{steady}-{dead.node.name}", "default")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 1
    stop_using(kit, steady, dead.node.name)


def test_ready_follows_what_happens_and_nothing_else(kit, dead, history, steady):
    assert history.ready(steady) == [UP, BUSY, UP]
    assert history.ready("moving") == [UP, BUSY, UP, BUSY, UP]
    for driver in (steady, "moving"):
        states = [s for s in history.states(driver, dead.node.name) if s != "Pending"]
        assert states == ["Installed", "Unknown", "Installed"]
    assert warnings(kit) == []


def test_no_write_says_nothing_new(kit, dead, history, steady):
    assert history.wasted() == []
    for name in others(kit, dead.node):
        entries = [version.entry(steady) for version in history.of("flexnodes", name)]
        assert all(entry == entries[0] for entry in entries)
    assert all(gap > PASSING for node in kit.cluster.nodes for gap in history.hasty(node.name))
    written = history.written("flexnodes")
    assert written[dead.node.name] <= 9
    assert max(written[name] for name in others(kit, dead.node)) <= 5
    assert history.written("flexdrivers")[steady] <= 4
