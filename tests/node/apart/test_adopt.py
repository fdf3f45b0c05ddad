"""docs/adopt.md, run as it is written: a hand-made DaemonSet, looked at, taken over and deleted.

Its `preStop` hook deletes the driver, as those of some installers do. A pod has a volume all along.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import yaml

from testbed import images
from testbed.nodes import Node
from tests.support import documents
from tests.support.clusters import prepared, running
from tests.support.inotify import Appearances
from tests.support.kit import Kit, Object, until

pytestmark = pytest.mark.node

DOCUMENT = images.ROOT / "docs/adopt.md"
EXAMPLE = images.ROOT / "examples/upstream-style"
IMAGE = "localhost/upstream-style:dev"
DIRECTORY = "example.com~scratch"
HOOK = ["/bin/rm", "-rf", f"/flexmnt/{DIRECTORY}"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Kit]:
    """The operator, and a node that has the driver from elsewhere and a pod that uses it."""
    with running("tests-adopt") as kit:
        prepared(kit)
        kit.cluster.load_image(IMAGE)
        daemonset = yaml.safe_load((EXAMPLE / "daemonset.yaml").read_text())
        (container,) = daemonset["spec"]["template"]["spec"]["containers"]
        container["lifecycle"] = {"preStop": {"exec": {"command": HOOK}}}
        kit.apply(daemonset)
        until(lambda: driver(kit.cluster.node("node-1")).exists(), 60, "the driver is copied")
        use(kit)
        yield kit


@pytest.fixture(scope="module")
def run(cluster, tmp_path_factory) -> Callable[[str], None]:
    return documents.Shell(cluster, tmp_path_factory.mktemp("bin"), {})


def driver(node: Node):
    return node.plugin_dir / DIRECTORY / "scratch"


def use(kit: Kit) -> None:
    pod = yaml.safe_load((EXAMPLE / "pod.yaml").read_text())
    pod["metadata"]["namespace"] = "default"
    pod["spec"]["containers"][0]["image"] = images.BUSYBOX
    kit.apply(pod)
    kit.until_pod_ready("scratch")


@dataclass(frozen=True)
class Step:
    """What a step did in the plugin directory, and which file is there afterwards."""

    inode: int
    appeared: list[str]
    gone: list[str]
    flexnode: Object


@pytest.fixture(scope="module")
def step(cluster, run) -> Callable[[str, Callable[[], object]], Step]:
    """Runs all commands below a heading until something holds."""
    node = cluster.cluster.node("node-1")

    def step(heading: str, holds: Callable[[], object]) -> Step:
        with Appearances(node.plugin_dir) as seen:
            for block in documents.commands(DOCUMENT, heading):
                run(block)
            until(holds, 60, heading)
        flexnode = cluster.get("flexnode", "node-1") or {}
        return Step(driver(node).stat().st_ino, seen.names, seen.gone, flexnode)

    return step


@pytest.fixture(scope="module")
def looked(cluster, step) -> Step:
    there = driver(cluster.cluster.node("node-1")).stat().st_ino
    found = step(
        "2. Look, without touching anything",
        lambda: cluster.install("scratch").get("state") == "WouldInstall",
    )
    assert found.inode == there
    return found


@pytest.fixture(scope="module")
def taken_over(cluster, step, looked) -> Step:
    return step(
        "4. One node, then all", lambda: cluster.install("scratch").get("state") == "Installed"
    )


@pytest.fixture(scope="module")
def alone(cluster, step, taken_over) -> Step:
    """The DaemonSet deleted with all its pods, and the driver there."""
    node = cluster.cluster.node("node-1")

    def settled() -> bool:
        pods = cluster.list("pods", "app=scratch-deploy", "kube-system")
        return not pods and driver(node).exists()

    return step("5. Delete the DaemonSet, last", settled)


def test_looking_publishes_nothing_and_finds_what_is_there(looked):
    assert looked.appeared == looked.gone == []
    (found,) = (
        found
        for found in looked.flexnode["status"]["foreignDrivers"]
        if found["name"] == "example.com/scratch"
    )
    assert found["init"] == "Success"
    assert len(found["sha256"]) == 64


def test_the_same_content_is_taken_over_without_writing_the_driver(looked, taken_over):
    assert taken_over.inode == looked.inode
    assert f"{DIRECTORY}/scratch" not in taken_over.appeared + taken_over.gone


def test_what_the_hook_of_the_daemonset_deletes_is_put_back(alone):
    assert f"{DIRECTORY}/scratch" in alone.gone
    assert DIRECTORY in alone.appeared


def test_the_pod_that_used_it_all_along_goes_on_and_ends_as_usual(cluster, alone):
    node = cluster.cluster.node("node-1")
    (volume,) = volumes(node)
    assert node.path(f"{volume}/file").read_text() == "it works\n"
    cluster.delete("pod", "scratch")
    assert volumes(node) == []


def volumes(node: Node) -> list[str]:
    """Where the kubelet has had the driver mount something."""
    lines = node.exec(["cat", "/proc/mounts"]).splitlines()
    places = [line.split()[1] for line in lines]
    return [p for p in places if p.startswith("/var/lib/kubelet/pods/") and DIRECTORY in p]
