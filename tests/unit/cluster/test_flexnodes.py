"""When what is known of a node is worth a write."""

import time

import pytest
from kubernetes.aio.client import Configuration

from flexvolume_operator.cluster.client import Client
from flexvolume_operator.cluster.flexnodes import FlexNodes
from flexvolume_operator.model.flexnode import Install, NodeDirectory, State, flexnode
from flexvolume_operator.model.objects import Node

NODE = Node("node-1", uid="uid-1", ready=True)
DIRECTORY = NodeDirectory("/plugins", "Default")


def entry(driver: str, state: State, reason: str = "WaitingForPod") -> Install:
    path = f"/plugins/{driver}"
    return Install(driver=driver, role="kubelet", path=path, state=state, reason=reason)


@pytest.fixture
async def flexnodes():
    client = Client(Configuration(host="http://127.0.0.1:1"))
    yield FlexNodes(client, {NODE.name: NODE}, lambda _: DIRECTORY)
    await client.close()


def seen(flexnodes: FlexNodes, *entries: Install) -> None:
    """The API server shows a FlexNode with these entries."""
    known = flexnode(NODE.name, NODE.uid, DIRECTORY, entries)
    before = flexnodes.store.items.get(NODE.name)
    flexnodes.store.items[NODE.name] = known
    flexnodes._seen(before, known)


def due(flexnodes: FlexNodes) -> float:
    """Seconds until it will be written, rounded."""
    return round(flexnodes._schedule._due[NODE.name] - time.monotonic())


async def test_what_is_decided_is_written_at_once(flexnodes):
    flexnodes.put(NODE.name, entry("nfs", State.PENDING))
    flexnodes.put(NODE.name, entry("nfs", State.INSTALLED))
    assert due(flexnodes) == 0


async def test_a_driver_that_is_not_named_yet_has_a_minute_to_be_done(flexnodes):
    seen(flexnodes, entry("san", State.INSTALLED))
    flexnodes.put(NODE.name, entry("san", State.INSTALLED))
    flexnodes._schedule._due.clear()
    flexnodes.put(NODE.name, entry("nfs", State.PENDING))
    assert due(flexnodes) == 60
    flexnodes.put(NODE.name, entry("nfs", State.PENDING, "PullingImage"))
    assert due(flexnodes) == 60


async def test_what_is_not_true_any_more_is_put_right_sooner(flexnodes):
    seen(flexnodes, entry("nfs", State.INSTALLED))
    flexnodes.put(NODE.name, entry("nfs", State.PENDING))
    assert due(flexnodes) == 5


async def test_an_echo_hurries_nothing_that_may_wait(flexnodes):
    flexnodes.put(NODE.name, entry("san", State.INSTALLED))
    flexnodes.put(NODE.name, entry("nfs", State.PENDING))
    flexnodes._schedule._due.clear()
    seen(flexnodes, entry("san", State.INSTALLED))
    assert due(flexnodes) == 60


async def test_what_somebody_else_changed_is_put_right_in_a_second(flexnodes):
    flexnodes.put(NODE.name, entry("nfs", State.INSTALLED))
    flexnodes.put(NODE.name, entry("san", State.PENDING))
    flexnodes._schedule._due.clear()
    seen(flexnodes, entry("nfs", State.FAILED), entry("san", State.PENDING))
    assert due(flexnodes) == 1
