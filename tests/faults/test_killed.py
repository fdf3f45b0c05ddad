"""The operator is killed in the middle of its work, and started again as a kubelet does.

A moment is a write: before it has reached the API server, or when it is done and nobody has heard
the answer. Between two writes nothing happens that could be lost.
"""

import signal

import pytest

from tests.faults.conftest import NODES
from tests.support.faults import Strike
from tests.support.kit import INSTALLERS, flexdriver, until
from tests.support.proxy import Fault
from tests.support.scene import look, until_right

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]


class Killer:
    """Kills the operator, and remembers which entries of the victim were final at that time."""

    def __init__(self, cluster, proxy, supervisor, rng):
        self._cluster = cluster
        self._proxy = proxy
        self._supervisor = supervisor
        self._rng = rng
        self._final = []

    def kill(self, times, writes):
        """So often at random, spread over a phase that takes about so many writes."""
        self._final = []
        for _ in range(times):
            number = self._rng.randint(1, 2 * writes // (times + 1))
            self._kill(number, done=self._rng.random() < 0.5)
            entries = look(self._cluster).entries("victim")
            self._final += [(n, e) for n, e in entries.items() if e["state"] == "Installed"]

    def kill_at_rest(self):
        """Once, when it has done all that it can do."""
        self._kill(10_000, done=False)

    def _kill(self, number, *, done):
        """At this write; at rest, if it does not make so many."""
        before = len(self._supervisor.exits)
        strike = Strike(number, lambda: self._send(signal.SIGKILL), done=done)
        with self._proxy.fault(Fault(strike, when=lambda r: r.changes)):
            until(lambda: strike.happened or self._rests(strike), 60, "that write is made")
        if not strike.happened:
            self._send(signal.SIGKILL)
        until(lambda: len(self._supervisor.exits) > before, 10, "it is dead")
        assert self._supervisor.exits[before:] == [-signal.SIGKILL]

    def _rests(self, strike):
        return strike.idle > 2 and self._supervisor.has_reconciled

    def _send(self, number):
        self._supervisor.operator.send(number)

    def lost(self, scene):
        """Entries that were final already in this phase and are not as they were."""
        now = scene.entries("victim")
        (revision,) = {entry["revision"] for entry in now.values()}
        return [(e, now[n]) for n, e in self._final if e["revision"] == revision and e != now[n]]


@pytest.fixture
def killer(cluster, proxy, supervisor, rng):
    return Killer(cluster, proxy, supervisor, rng)


def test_killed_at_any_moment_it_goes_on_where_it_was(cluster, steady, killer, long):
    rounds, times = (5, 4) if long else (1, 3)
    for _ in range(rounds):
        cluster.apply(flexdriver("victim"))
        killer.kill(times, writes=NODES + 8)
        scene = until_right(cluster, {"steady", "victim"})
        assert not killer.lost(scene)

        cluster.patch("flexdriver", "victim", {"spec": {"image": "localhost/hostfile:next"}})
        killer.kill(times, writes=3 * NODES)
        scene = until_right(cluster, {"steady", "victim"}, 60)
        assert not killer.lost(scene)

        cluster.cluster.kubectl("delete", "flexdriver", "victim", "--wait=false")
        killer.kill(times, writes=NODES + 4)
        scene = until_right(cluster, {"steady"})
        assert scene.entries("steady") == steady.entries("steady")
        assert scene.uids("steady") == steady.uids("steady")
        assert scene.flexdrivers["steady"]["status"] == steady.flexdrivers["steady"]["status"]


def test_killed_while_pods_are_still_going_it_waits_for_them(cluster, steady, killer, long):
    cluster.apply(flexdriver("victim"))
    scene = until_right(cluster, {"steady", "victim"})
    held = [name for name in scene.pods if name.startswith("victim-")][:3]
    for name in held:
        cluster.patch("pod", name, {"metadata": {"finalizers": ["testbed/held"]}}, INSTALLERS)
    cluster.cluster.kubectl("delete", "flexdriver", "victim", "--wait=false")
    try:
        for _ in range(3 if long else 1):
            until(
                lambda: set(look(cluster).pods) & set(scene.pods) >= set(held), 20, "some are left"
            )
            killer.kill_at_rest()
            assert "deletionTimestamp" in look(cluster).flexdrivers["victim"]["metadata"]
    finally:
        for name in held:
            cluster.patch("pod", name, {"metadata": {"finalizers": None}}, INSTALLERS)
    until_right(cluster, {"steady"})
