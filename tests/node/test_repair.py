"""The published file is put right whatever somebody does to it, and people get to know."""

import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.support import drivers
from tests.support.kit import flexdriver, until

pytestmark = pytest.mark.node

TIMES = 10
PERIOD = 2.0
LIMIT = 2.0


@pytest.fixture(scope="module")
def path(kit, image):
    kit.apply(flexdriver("guarded", image("guarded", {"/guarded": drivers.good("1")})))
    kit.until_ready("guarded")
    yield kit.cluster.node("node-1").path(kit.install("guarded")["path"])
    kit.delete("flexdriver", "guarded")


def has_come(due: float) -> bool:
    return time.monotonic() >= due


@pytest.mark.timeout(240)
def test_deleted_overwritten_and_chmodded_ten_times_in_a_minute(kit, path):
    def right() -> bool:
        try:
            return path.read_bytes() == drivers.good("1") and path.stat().st_mode & 0o777 == 0o755
        except FileNotFoundError:
            return False

    def overwrite() -> None:
        path.write_bytes(b"#!/bin/false\n")

    def forbid() -> None:
        path.chmod(0o600)

    harms: list[Callable[[], None]] = [path.unlink, overwrite, forbid] * TIMES
    began = time.monotonic()
    for number, harm in enumerate(harms):
        until(partial(has_come, began + number * PERIOD), PERIOD + 1, "its turn")
        harm()
        until(right, LIMIT, f"harm {number + 1} is repaired")

    def reported() -> bool:
        return kit.install("guarded").get("repairs", {}).get("count", 0) >= len(harms)

    until(reported, 60, "all repairs are reported")
    assert kit.install("guarded")["state"] == "Installed"
    told = kit.cluster.kubectl("describe", "flexdriver", "guarded").partition("Events:")[2]
    assert "DriverRepaired" in told


def test_the_reports_do_not_make_the_driver_flap(kit, path):
    told = kit.cluster.kubectl("describe", "flexdriver", "guarded").partition("Events:")[2]
    assert "GuardNotRunning" not in told
    assert "NodeRecovered" not in told


def test_a_removed_directory_comes_back(kit, path):
    node = kit.cluster.node("node-1")
    inside = kit.install("guarded")["path"].rpartition("/")[0]
    # The guard may put the file back before the directory goes.
    node.exec(["sh", "-c", 'until rm -r "$1"; do :; done 2>/dev/null', "sh", inside])
    until(lambda: path.exists() and path.read_bytes() == drivers.good("1"), LIMIT, "it is back")
