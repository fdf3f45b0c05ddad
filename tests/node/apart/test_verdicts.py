"""A real kubelet comes to the verdicts of the node program's table, or the table has the reason.

The drivers lie in the plugin directory when the kubelet starts, which runs the init of each once.
"""

import shutil
import time
from collections.abc import Iterator, Sequence

import pytest

from testbed import processes
from testbed.nodes import Node
from tests.support.clusters import running
from tests.support.kit import Kit, condition, until
from tests.support.verdicts import CRASH, VENDOR, Driver, crashed, read_table, verdicts

pytestmark = pytest.mark.node

DRIVERS = read_table()
CRASHING = [driver for driver in DRIVERS if driver.kubelet == CRASH]
HANGING = [driver for driver in DRIVERS if driver.hangs]
OTHERS = [driver for driver in DRIVERS if driver not in (*CRASHING, *HANGING)]
# A kubelet starts in a part of a second.
PATIENCE = 30


class Tried:
    """A kubelet that is given drivers and started again."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.node: Node = kit.cluster.node("node-1")
        self._log = kit.cluster.layout.logs / "node-1-kubelet.log"
        self._begin = 0

    def start(self, *drivers: Driver) -> None:
        """Start the kubelet with these drivers and no others."""
        self.node.stop_kubelet()
        for old in self.node.plugin_dir.iterdir():
            shutil.rmtree(old)
        for driver in drivers:
            folder = self.node.plugin_dir / f"{VENDOR}~{driver.name}"
            folder.mkdir()
            (folder / driver.name).write_text(f"#!/bin/sh\n{driver.script}")
            (folder / driver.name).chmod(0o755)
        self._begin = self._log.stat().st_size
        self.node.start_kubelet()

    @property
    def log(self) -> str:
        """What the kubelet has said since it was started."""
        with self._log.open("rb") as log:
            log.seek(self._begin)
            return log.read().decode(errors="replace")

    def until_judged(self, drivers: Sequence[Driver]) -> dict[str, str]:
        """The verdicts once all of these drivers have one."""
        names = {driver.name for driver in drivers}
        deadline = time.monotonic() + PATIENCE
        while missing := names - (found := verdicts(self.log)).keys():
            assert time.monotonic() < deadline, f"the kubelet says nothing of {missing}"
            time.sleep(0.05)
        return found

    def has_ended(self) -> bool:
        return processes.has_stopped(self.kit.cluster.layout.state, "node-1/kubelet")


@pytest.fixture(scope="module")
def tried() -> Iterator[Tried]:
    with running("tests-verdicts") as kit:
        yield Tried(kit)


@pytest.fixture(scope="module")
def judged(tried: Tried) -> dict[str, str]:
    """All that neither hang nor crash, at once."""
    tried.start(*OTHERS)
    return tried.until_judged(OTHERS)


def names(driver: Driver) -> str:
    return driver.name


def test_the_table_is_not_small_and_names_are_there_once():
    assert len(DRIVERS) >= 60
    assert len({driver.name for driver in DRIVERS}) == len(DRIVERS)
    assert CRASHING
    assert HANGING


@pytest.mark.parametrize("driver", OTHERS, ids=names)
def test_the_kubelet_comes_to_the_same_verdict(judged, driver):
    assert judged[driver.name] == driver.kubelet


@pytest.mark.parametrize("driver", HANGING, ids=names)
def test_the_kubelet_waits_for_a_driver_that_hangs(tried, driver):
    tried.start(driver)
    began = time.monotonic()
    assert tried.until_judged([driver]) == {driver.name: driver.kubelet}
    assert time.monotonic() - began >= driver.hangs


@pytest.mark.parametrize("driver", CRASHING, ids=names)
def test_the_kubelet_crashes(tried, driver):
    tried.start(driver)
    until(tried.has_ended, PATIENCE, "the kubelet has ended")
    assert crashed(tried.log)


def test_the_kubelet_is_well_once_they_are_gone(tried):
    plain = next(driver for driver in DRIVERS if driver.name == "plain")
    tried.start(plain)
    assert tried.until_judged([plain]) == {"plain": "Success"}

    def ready() -> bool:
        node = tried.kit.get("node", "node-1") or {}
        return condition(node.get("status", {}), "Ready").get("status") == "True"

    until(ready, PATIENCE, "the node is Ready")
    assert not tried.has_ended()
