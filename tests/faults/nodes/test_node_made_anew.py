"""A node is deleted and made again under its name: nothing of its namesake is believed of it."""

import json

import pytest

from testbed.api import connect
from tests.faults.nodes.history import History
from tests.faults.nodes.machines import PASSING, bystander, linger, warnings
from tests.support import drivers
from tests.support.kit import until
from tests.support.readers import stop_using, use
from tests.support.scene import until_right

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

AGAIN = 20


@pytest.fixture(scope="module")
def machine(kit, stock, steady, history, long):
    """Its machine is gone, another one with an empty disk has the name."""
    node = bystander(kit)
    node.power_off()
    kit.delete("node", node.name)
    until(lambda: kit.get("flexnode", node.name) is None, 30, "its FlexNode goes with it")
    stock.replace(node)
    until(lambda: kit.install(steady, node.name).get("bootID") == node.boot_id, 90, "it is back")
    until_right(kit, {steady}, timeout=60)
    linger(long)
    return node


def test_the_driver_is_installed_on_the_new_machine(kit, machine, steady):
    entry = kit.install(steady, machine.name)
    assert machine.path(entry["path"]).read_bytes() == drivers.good("1")
    reads = use(kit, steady, machine.name)
    until(lambda: reads() == "1", 30, "a pod there reads its volume")
    stop_using(kit, steady, machine.name)


def test_its_flexnode_is_a_new_one_that_goes_with_the_new_node(kit, machine, history):
    old, *_, new = history.of("flexnodes", machine.name)
    node = kit.get("node", machine.name)
    assert [owner["uid"] for owner in new.body["metadata"]["ownerReferences"]] == [
        node["metadata"]["uid"]
    ]
    assert new.body["metadata"]["uid"] != old.body["metadata"]["uid"]


def test_nothing_is_said_to_serve_there_before_it_does(machine, history, steady):
    said = [v.entry(steady) for v in history.since("flexnodes", machine.name)]
    early = [entry for entry in said if entry and entry["state"] != "Installed"]
    assert [entry for entry in early if entry.get("serving") or entry.get("sha256")] == []


def test_ready_is_false_once_and_only_while_it_is_being_installed(kit, machine, history, steady):
    assert history.ready(steady) == [
        ("True", "Installed"), ("False", "Progressing"), ("True", "Installed"),
    ]  # fmt: skip
    states = [s for s in history.states(steady, machine.name) if s not in {"Pending", "Unknown"}]
    assert states == ["Installed", "", "Installed"]
    assert warnings(kit) == []


def test_no_write_says_nothing_new(machine, history, steady):
    assert history.wasted() == []
    assert all(gap > PASSING for gap in history.hasty(machine.name))
    written = history.written("flexnodes")
    assert written.keys() == {machine.name}
    assert written[machine.name] <= 4
    assert history.written("flexdrivers")[steady] <= 6


def test_a_node_object_that_is_replaced_at_once_keeps_a_flexnode(kit, machine, steady):
    def follows() -> bool:
        node, flexnode = kit.get("node", machine.name), kit.get("flexnode", machine.name)
        owners = flexnode["metadata"]["ownerReferences"] if flexnode else [{}]
        return owners[0].get("uid") == node["metadata"]["uid"]

    with History(kit) as history:
        for _ in range(AGAIN):
            replace(kit, machine.name)
            until(follows, 10, "the FlexNode belongs to the new object")
            until_right(kit, {steady})
        assert history.ready(steady) == [("True", "Installed")]
        assert set(history.states(steady, machine.name)) <= {"Installed", ""}
        assert history.wasted() == []


def replace(kit, name):
    """Delete a Node and make it again in the next moment, as kubectl replace --force does."""
    body = kit.get("node", name)
    kept = {key: body["metadata"][key] for key in ("name", "labels", "annotations")}
    body |= {"metadata": kept, "spec": {"podCIDR": body["spec"].get("podCIDR", "")}}
    with connect(kit.cluster.layout) as api:
        assert json.loads(api.request("GET", "/api/v1/nodes"))["items"]
        api.request("DELETE", f"/api/v1/nodes/{name}")
        api.request("POST", "/api/v1/nodes", body)
