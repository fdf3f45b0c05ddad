"""Nodes that hold the drivers already: taken over, replaced node by node, or left alone."""

import shutil

import pytest

from tests.node.mixed.conftest import OPT, VAR
from tests.support import drivers
from tests.support.aside import Aside
from tests.support.inotify import Appearances
from tests.support.kit import INSTALLERS, Kit, condition, flexdriver, is_ready, until
from tests.support.readers import stop_using, use

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

NODES = ("node-1", "node-2", "node-3")
OLD, NEW = drivers.good("old"), drivers.good("new")


def plugin_dir(kit, node):
    """The node's own, as a path of this machine."""
    own = {"node-2": VAR, "node-3": OPT}
    machine = kit.cluster.node(node)
    return machine.path(own[node]) if node in own else machine.plugin_dir


def put(kit, node, name, content):
    """A driver installed as people do it by hand: written beside and renamed."""
    folder = plugin_dir(kit, node) / f"example.com~{name}"
    folder.mkdir()
    hidden = folder / ".tmp"
    hidden.write_bytes(content)
    hidden.chmod(0o755)
    hidden.rename(folder / name)
    return folder / name


@pytest.fixture(scope="module")
def image(mixed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")

    def load(name, content=NEW):
        reference, archive = drivers.archive(folder, name, {f"/{name}": content})
        mixed.cluster.load_image(archive)
        return reference

    return load


class Turns(Aside):
    """Watches how many pods of a driver are at work on a foreign file at one time."""

    pause = 0.05

    def __init__(self, kit: Kit, name: str) -> None:
        super().__init__()
        self.most = 0
        self.granted: set[str] = set()
        self._kit, self._name = kit, name

    def step(self) -> None:
        pods = self._kit.list("pods", f"flexvolume.io/driver={self._name}", INSTALLERS)
        granted = [p for p in pods if "flexvolume.io/adopt" in p["metadata"]["annotations"]]
        self.granted |= {pod["spec"]["nodeName"] for pod in granted}
        working = [pod for pod in granted if not is_ready(pod["status"])]
        self.most = max(self.most, len(working))


def test_the_same_content_is_taken_over_without_a_write(mixed, image):
    path = put(mixed, "node-1", "same", NEW)
    inode = path.stat().st_ino
    with Appearances(plugin_dir(mixed, "node-1")) as seen:
        mixed.apply(flexdriver("same", image("same")))
        mixed.until_ready("same")
    assert (seen.names, seen.gone) == (["example.com~same/.flexvolume.json"], [])
    assert path.stat().st_ino == inode
    mixed.delete("flexdriver", "same")


@pytest.mark.parametrize(
    ("policy", "content"), [("IfIdentical", OLD), ("Never", OLD), ("Never", NEW)]
)
def test_what_must_not_be_taken_is_left_alone(mixed, image, policy, content):
    path = put(mixed, "node-1", "kept", content)
    mixed.apply(flexdriver("kept", image("kept"), adoptionPolicy=policy))
    entry = mixed.until_failed("kept")
    assert entry["reason"] == "ForeignDriverPresent"
    assert path.read_bytes() == content
    assert [found.name for found in path.parent.iterdir()] == ["kept"]
    mixed.delete("flexdriver", "kept")
    shutil.rmtree(path.parent)


@pytest.fixture(scope="module")
def replaced(mixed, image):
    """Adopted on three nodes, of which two hold another content and one nothing."""
    paths = {node: put(mixed, node, "taken", OLD) for node in NODES[:2]}
    body = flexdriver("taken", image("taken"), adoptionPolicy="Always")
    with Turns(mixed, "taken") as turns:
        mixed.apply(body)
        mixed.until_ready("taken", 120)
    yield paths, turns
    mixed.delete("flexdriver", "taken")


def test_other_content_is_replaced_node_by_node(mixed, replaced):
    paths, turns = replaced
    assert all(path.read_bytes() == NEW for path in paths.values())
    assert turns.granted == set(paths)
    assert turns.most == 1


def test_what_was_there_is_kept_outside_and_named(mixed, replaced):
    for node, path in replaced[0].items():
        (warning,) = (
            w
            for w in mixed.install("taken", node)["warnings"]
            if w["reason"] == "AdoptedWithBackup"
        )
        where = next(word for word in warning["message"].split() if word.startswith("/"))
        copy = mixed.cluster.node(node).path(where)
        assert copy.read_bytes() == OLD
        assert path.parent.parent not in copy.parents
    assert "warnings" not in mixed.install("taken", "node-3")


def test_the_adopted_driver_serves(mixed, replaced):
    reads = use(mixed, "taken", "node-2")
    assert until(reads, 60, "the pod runs") == "new"
    stop_using(mixed, "taken", "node-2")


def test_a_dry_run_tells_everything_and_does_nothing(mixed, image):
    hang, put_by = drivers.answering("sleep 100"), {}
    put_by["dry"] = put(mixed, "node-1", "dry", OLD)
    put_by["other"] = put(mixed, "node-1", "other", drivers.answering("echo oops"))
    broken = flexdriver("wet", image("wet", hang), dryRun=True, verify={"timeoutSeconds": 2})
    body = flexdriver("dry", image("dry"), dryRun=True, adoptionPolicy="Always")
    with Appearances(plugin_dir(mixed, "node-1")) as seen:
        mixed.apply(body, broken)

        def all_answered():
            states = {mixed.install("dry", node).get("state") for node in NODES}
            return states == {"WouldInstall"}

        until(all_answered, 60, "every node has answered")
        failed = mixed.until_failed("wet")
    assert (seen.names, seen.gone) == ([], [])
    assert failed["reason"] == "InitTimeout"
    assert put_by["dry"].read_bytes() == OLD
    status = mixed.get("flexnode", "node-1")["status"]
    foreign = {found["name"]: found["init"] for found in status["foreignDrivers"]}
    assert foreign["example.com/dry"] == "Success"
    assert foreign["example.com/other"] == "InitInvalidOutput"
    ready = condition(mixed.flexdriver("dry"), "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "DryRun")

    mixed.apply(body | {"spec": body["spec"] | {"dryRun": False}})
    mixed.until_ready("dry", 120)
    assert put_by["dry"].read_bytes() == NEW
    mixed.delete("flexdriver", "dry", "wet")
    shutil.rmtree(put_by["other"].parent)
