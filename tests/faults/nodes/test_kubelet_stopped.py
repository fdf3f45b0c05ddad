"""A kubelet that is silent for two minutes: its node is unknown, and what runs there goes on."""

import time
from typing import NamedTuple

import pytest

from testbed.nodes import Node
from tests.faults.nodes.machines import (
    AT_ONCE,
    bystander,
    has,
    installer,
    is_down,
    is_up,
    linger,
    others,
    record,
    until_state,
    warnings,
)
from tests.support.inotify import Appearances
from tests.support.kit import Object, until

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

SILENT = 120.0


class Outage(NamedTuple):
    node: Node
    pod: Object
    record: Object
    seen: Appearances


@pytest.fixture(scope="module")
def outage(kit, steady, history, long):
    node = bystander(kit)
    before = Outage(
        node, installer(kit, steady, node.name), record(kit, steady, node),
        Appearances(node.plugin_dir),
    )  # fmt: skip
    with before.seen:
        began = time.monotonic()
        node.stop_kubelet()
        until_state(kit, steady, node.name, "Unknown")
        until(lambda: not long or time.monotonic() > began + SILENT, SILENT, "two minutes")
        node.start_kubelet()
        until_state(kit, steady, node.name, "Installed")
        linger(long)
    return before


def test_its_state_is_unknown_at_once_and_known_again_at_once(outage, history, steady):
    name = outage.node.name
    down = history.when("nodes", name, is_down)
    unknown = history.when("flexnodes", name, has(steady, "Unknown"))
    assert 0 < unknown - down < AT_ONCE
    up = history.when("nodes", name, is_up(outage.node.boot_id), after=down)
    known = history.when("flexnodes", name, has(steady, "Installed"), after=unknown)
    assert 0 < known - up < AT_ONCE


def test_nothing_was_installed_again(kit, outage, steady):
    pod = installer(kit, steady, outage.node.name)
    assert pod["metadata"]["uid"] == outage.pod["metadata"]["uid"]
    for kind in ("initContainerStatuses", "containerStatuses"):
        ids = [[c["containerID"] for c in of["status"][kind]] for of in (pod, outage.pod)]
        assert ids[0] == ids[1]
    assert record(kit, steady, outage.node) == outage.record
    assert (outage.seen.names, outage.seen.gone) == ([], [])


def test_ready_does_not_flap(kit, outage, history, steady):
    assert history.ready(steady) == [("True", "Installed")]
    assert history.states(steady, outage.node.name) == ["Installed", "Unknown", "Installed"]
    assert warnings(kit) == []


def test_no_write_says_nothing_new(kit, outage, history, steady):
    assert history.wasted() == []
    written = history.written("flexnodes")
    # The third: its kubelet comes back saying for a moment that it is not ready itself.
    assert 2 <= written.pop(outage.node.name) <= 3
    assert not written, f"FlexNodes of {others(kit, outage.node)}"
    assert history.written("flexdrivers") == {steady: 2}
