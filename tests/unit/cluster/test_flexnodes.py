"""When what is known of a node is worth a write."""

import time

import pytest
from kubernetes.aio.client import Configuration

from flexvolume_operator.cluster.client import Client
from flexvolume_operator.cluster.flexnodes import FlexNodes
from flexvolume_operator.model.directory import NodeDirectory
from flexvolume_operator.model.flexnode import Install, Machine, State, flexnode
from flexvolume_operator.model.objects import Node
from flexvolume_operator.model.report import Serving

NODE = Node("node-1", uid="uid-1", ready=True)
MACHINE = Machine(NODE.uid, NodeDirectory("/plugins", "Default"))


def entry(driver: str, state: State, reason: str = "WaitingForPod") -> Install:
    path = f"/plugins/{driver}"
    return Install(driver=driver, role="kubelet", path=path, state=state, reason=reason)


@pytest.fixture
async def flexnodes():
    client = Client(Configuration(host="http://127.0.0.1:1"))
    yield FlexNodes(client, {NODE.name: NODE}, lambda _: MACHINE)
    await client.close()


def seen(flexnodes: FlexNodes, *entries: Install) -> None:
    """The API server shows a FlexNode with these entries."""
    known = flexnode(NODE.name, MACHINE, entries)
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


def serving(path: str, role: str = "kubelet") -> Install:
    served = Serving("r1", "a" * 64)
    return Install(driver="nfs", role=role, path=path, state=State.INSTALLED, serving=served)


async def test_the_file_of_a_directory_that_was_changed_is_told_until_it_is_used_again(flexnodes):
    flexnodes.put(NODE.name, serving("/old/nfs"))
    flexnodes.put(NODE.name, serving("/new/nfs"))
    (left,) = flexnodes._wanted(NODE.name).left_behind
    assert (left.path, left.revision, left.sha256) == ("/old/nfs", "r1", "a" * 64)
    flexnodes.put(NODE.name, serving("/old/nfs"))
    assert [file.path for file in flexnodes._wanted(NODE.name).left_behind] == ["/new/nfs"]


async def test_where_nothing_was_published_nothing_is_left(flexnodes):
    flexnodes.put(NODE.name, entry("nfs", State.FAILED))
    flexnodes.put(NODE.name, serving("/new/nfs"))
    assert flexnodes._wanted(NODE.name).left_behind == ()


async def test_what_a_driver_left_is_told_as_long_as_it_has_another_place_on_the_node(flexnodes):
    flexnodes.put(NODE.name, serving("/kubelet/nfs"))
    flexnodes.put(NODE.name, serving("/kcm/nfs", "controller-manager"))
    flexnodes.put(NODE.name, entry("san", State.INSTALLED))
    flexnodes.drop(NODE.name, "nfs", "controller-manager")
    assert [file.path for file in flexnodes._wanted(NODE.name).left_behind] == ["/kcm/nfs"]
    flexnodes.drop(NODE.name, "nfs")
    assert flexnodes._wanted(NODE.name).left_behind == ()
    assert [i.driver for i in flexnodes._wanted(NODE.name).installs] == ["san"]


async def test_the_last_driver_to_go_is_noticed(flexnodes):
    emptied: list[str] = []
    flexnodes._emptied = emptied.append
    flexnodes.put(NODE.name, entry("nfs", State.INSTALLED))
    flexnodes.put(NODE.name, entry("san", State.INSTALLED))
    flexnodes.drop(NODE.name, "nfs")
    assert emptied == []
    flexnodes.drop(NODE.name, "san")
    assert emptied == [NODE.name]


async def test_a_flexnode_that_we_deleted_ourselves_is_no_reason_to_write(flexnodes):
    seen(flexnodes, entry("nfs", State.INSTALLED))
    flexnodes.put(NODE.name, entry("nfs", State.INSTALLED))
    flexnodes.drop(NODE.name, "nfs")
    flexnodes._schedule._due.clear()
    # Its end may be seen before the answer to the request that ends it.
    flexnodes._seen(flexnodes.store.items.pop(NODE.name), None)
    assert NODE.name not in flexnodes._schedule._due
    flexnodes.put(NODE.name, entry("san", State.PENDING))
    assert due(flexnodes) == 60
