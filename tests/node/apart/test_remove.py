"""`installer remove` on a real node; kubelet and controller-manager share the plugin directory.

The driver attaches, so that both have it, and a pod's volume is mounted twice: the device for the
node, and the volume for the pod. There is no operator: the DaemonSet is rendered.
"""

import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from testbed import images
from tests.support import drivers, rendering
from tests.support.kit import Kit, Object, until
from tests.support.logs import CONTROLLER_MANAGER, Logs, kubelet
from tests.support.readers import stop_using, use
from tests.support.removing import remove

pytestmark = [pytest.mark.node, pytest.mark.timeout(400)]

NODE = "node-1"
DEVICES = "/var/lib/kubelet/plugins/kubernetes.io/flexvolume/example.com"
DRIVER = "attaching"
UID = "none"  # what a rendered DaemonSet calls a FlexDriver that no API server knows
QUIET = 120.0


@pytest.fixture(scope="module")
def install(alone, tmp_path_factory) -> Callable[[], Path]:
    """Installs the driver and ends the installer; gives the driver's directory."""
    folder = tmp_path_factory.mktemp("driver")
    manifest = rendering.render(alone, folder, DRIVER, drivers.attaching())

    def install() -> Path:
        rendering.install(alone, DRIVER, manifest)
        rendering.withdraw(alone, DRIVER)
        directory: Path = alone.cluster.node(NODE).plugin_dir / f"example.com~{DRIVER}"
        assert (directory / DRIVER).read_bytes() == drivers.attaching()
        return directory

    return install


def listen(kit: Kit) -> Logs:
    """What both say from now on."""
    return Logs(kit, kubelet(NODE), CONTROLLER_MANAGER)


def start_pods(kit: Kit, seconds: float) -> int:
    """Start and end pods with a volume for so long: with each, both look for drivers."""
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "passing", "namespace": "default"},
            "spec": {
                "nodeName": NODE,
                "terminationGracePeriodSeconds": 0,
                "containers": [
                    {"name": "c", "image": images.BUSYBOX, "command": ["sleep", "1000"]}
                ],
                "volumes": [{"name": "v", "emptyDir": {}}],
            },
        }
        kit.apply(pod)
        kit.until_pod_ready("passing")
        kit.delete("pod", "passing")
        count += 1
    return count


def until_detached(logs: Logs) -> None:
    """Until kubelet and controller-manager have said their last word on a volume."""
    for words in ("Volume detached", "DetachVolume.Detach succeeded"):
        until(partial(logs.naming, words, DRIVER), 60, f"{words!r} is in a log")


@pytest.fixture(scope="module")
def refused(alone, install) -> tuple[Object, Object]:
    """What removing says while a pod has a volume, and the pod."""
    install()
    reads = use(alone, DRIVER, NODE)
    until(reads, 60, "a pod reads its volume")
    pod = alone.get("pod", f"{DRIVER}-{NODE}", "default")
    assert pod
    return remove(alone, DRIVER, UID), pod


@pytest.fixture(scope="module")
def removed(alone, refused) -> tuple[Object, Logs]:
    """What it says when the pod is gone, and the logs since then."""
    before = listen(alone)
    stop_using(alone, DRIVER, NODE)
    until_detached(before)
    logs = listen(alone)
    return remove(alone, DRIVER, UID), logs


def test_it_is_refused_while_a_pod_has_a_volume(alone, refused):
    report, pod = refused
    assert (report["exitCode"], report["reason"]) == (3, "VolumesMounted")
    assert report["pods"] == [pod["metadata"]["uid"]]
    for words in ("2 volumes", f"default/{DRIVER}-{NODE}", f"{DEVICES}/{DRIVER}/mounts/data"):
        assert words in report["message"]
    directory = alone.cluster.node(NODE).plugin_dir / f"example.com~{DRIVER}"
    assert (directory / DRIVER).read_bytes() == drivers.attaching()
    # The pod is none the worse for it.
    reads = use(alone, DRIVER, NODE)
    assert reads() == "attached"


def test_another_flexdrivers_uid_removes_nothing(alone, refused):
    report = remove(alone, DRIVER, "00000000-0000-0000-0000-000000000000")
    assert (report["exitCode"], report["reason"]) == (3, "NotOwner")
    assert f'belongs to FlexDriver "{DRIVER}"' in report["message"]


def test_it_is_removed_once_the_pod_is_gone(alone, removed):
    report, _ = removed
    assert (report["exitCode"], report["result"], report["changed"]) == (0, "Removed", True)
    assert list(alone.cluster.node(NODE).plugin_dir.iterdir()) == []
    assert [p.name for p in alone.cluster.node(NODE).plugin_dir.parent.iterdir()] == ["exec"]


def test_kubelet_and_controller_manager_are_silent_from_then_on(alone, removed):
    _, logs = removed
    assert start_pods(alone, QUIET) > 10
    assert logs.naming("example.com") == []


def test_again_it_finds_nothing_and_makes_no_noise(alone, removed):
    logs = listen(alone)
    report = remove(alone, DRIVER, UID)
    assert (report["result"], report.get("changed", False)) == ("Removed", False)
    assert start_pods(alone, 10) > 0
    assert logs.naming("example.com") == []


def test_it_ends_what_a_directory_that_was_moved_away_leaves_behind(alone, removed, install):
    directory = install()
    start_pods(alone, 1)
    moved = directory.rename(directory.parent.parent / "moved")
    before = listen(alone)
    start_pods(alone, 1)
    assert {line.partition(":")[0] for line in before.naming("example.com")} == {
        kubelet(NODE),
        CONTROLLER_MANAGER,
    }, "both try to load it"
    assert remove(alone, DRIVER, UID)["result"] == "Removed"
    start_pods(alone, 1)
    after = listen(alone)
    assert start_pods(alone, 10) > 0
    assert after.naming("example.com") == []
    shutil.rmtree(moved)
