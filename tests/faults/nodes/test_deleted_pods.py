"""Somebody deletes installer pods by hand, over and over, sometimes by force."""

import random
import time
from contextlib import ExitStack, suppress
from functools import partial

import pytest

from testbed.api import NotFound, connect
from tests.faults.nodes.machines import warnings
from tests.support.inotify import Appearances
from tests.support.kit import INSTALLERS, until
from tests.support.operator import changes
from tests.support.paths import collection

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

PODS = collection("pods", INSTALLERS)
PERIOD = 1.0


def zap(api, rng):
    """Delete every installer pod, by force or as is usual; how many there were."""
    pods = [pod for pod in api.list(PODS) if "deletionTimestamp" not in pod["metadata"]]
    for pod in pods:
        force = rng.choice(["", "?gracePeriodSeconds=0"])
        with suppress(NotFound):
            api.request("DELETE", f"{PODS}/{pod['metadata']['name']}{force}")
    return len(pods)


def works_everywhere(kit, driver):
    (child,) = kit.list("daemonsets", f"flexvolume.io/driver={driver}", INSTALLERS)
    status = child["status"]
    return status["numberReady"] == status["desiredNumberScheduled"] == 3


@pytest.fixture(scope="module")
def seen(request, kit, steady, history, long):
    """What came and went in the plugin directory of each node meanwhile."""
    rng = random.Random(f"{request.config.option.seed} {request.node.nodeid}")
    zapped, rounds = 0, 60 if long else 20
    with ExitStack() as stack, connect(kit.cluster.layout) as api:
        watched = [stack.enter_context(Appearances(n.plugin_dir)) for n in kit.cluster.nodes]
        began = time.monotonic()
        for number in range(rounds):
            due = began + number * PERIOD
            until(partial(lambda at: time.monotonic() >= at, due), PERIOD + 1, "its turn")
            zapped += zap(api, rng)
        assert zapped > rounds
        until(lambda: works_everywhere(kit, steady), 60, "an installer pod works on every node")
        return watched


def test_the_driver_is_never_missing(seen):
    assert [watched.gone for watched in seen] == [[], [], []]


def test_neither_the_driver_nor_a_node_changes_its_state(kit, seen, history, steady):
    assert history.ready(steady) == [("True", "Installed")]
    for node in kit.cluster.nodes:
        assert history.states(steady, node.name) == ["Installed"]
    assert warnings(kit) == []


def test_the_operator_writes_nothing_at_all(kit, seen, history):
    assert changes(kit, history.audited) == []


def test_it_ends_as_it_began(kit, seen, steady):
    status = kit.until_ready(steady)
    assert (status["summary"], status["rollout"]["updated"]) == ("3/3", 3)
