"""The attachable example with a real controller-manager and a real kubelet, from both logs.

The operator installs it on the node; where the controller-manager runs it is copied by hand, as
docs/manual-install.md says.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed import images
from tests.support.kit import until

pytestmark = pytest.mark.node

EXAMPLE = images.ROOT / "examples/attachable"
NODE_LOG = "/var/log/attachable.log"
DISK = "attachable-data"
OPTIONS = (
    f'{{"kubernetes.io/fsType":"","kubernetes.io/pvOrVolumeName":"{DISK}",'
    '"kubernetes.io/readwrite":"rw"}'
)
DEVICE_MOUNT = (
    f"/var/lib/kubelet/plugins/kubernetes.io/flexvolume/example.com/attachable/mounts/{DISK}"
)


@dataclass(frozen=True)
class Call:
    """One line of the driver's log."""

    time: str
    name: str
    arguments: str
    reply: dict[str, Any]


def calls(log: Path) -> list[Call]:
    found = []
    for line in log.read_text().splitlines():
        said, _, reply = line.partition(" -> ")
        time, name, *arguments = said.split(" ")
        found.append(Call(time, name, " ".join(arguments), json.loads(reply)))
    return found


@dataclass(frozen=True)
class Visit:
    """What was seen while a pod used the disk, and after it."""

    pod: dict[str, Any]
    pool: Path
    output: str
    attached: Sequence[dict[str, str]]
    controller_manager: Sequence[Call]
    kubelet: Sequence[Call]


@pytest.fixture(scope="module")
def controller_manager(kit, tmp_path_factory) -> Iterator[Path]:
    """The driver where the controller-manager looks; its settings, its log and its pool."""
    plugins = kit.cluster.layout.state / "controller-manager-plugins"
    folder = tmp_path_factory.mktemp("controller-manager")
    (folder / "pool/detached" / DISK).mkdir(parents=True)
    stage, published = plugins.parent / ".stage", plugins / "example.com~attachable"
    stage.mkdir()
    shutil.copy(EXAMPLE / "attachable", stage)
    settings = f"log={folder}/calls.log\npool={folder}/pool\n"
    (stage / "attachable.conf").write_text(settings)
    stage.rename(published)
    yield folder
    # The order in which the controller-manager forgets a driver without a word.
    (published / "attachable.conf").unlink()
    (published / "attachable").unlink()
    published.rmdir()


@pytest.fixture(scope="module")
def driver(kit, controller_manager) -> Iterator[dict[str, Any]]:
    """The status of the FlexDriver, Ready."""
    kit.cluster.load_image("localhost/attachable:dev")
    kit.cluster.kubectl("apply", f"--filename={EXAMPLE}/flexdriver.yaml")
    path = kit.cluster.node("node-1").plugin_dir / "example.com~attachable"
    yield kit.until_ready("attachable")
    kit.delete("flexdriver", "attachable")
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def visit(kit, driver, controller_manager) -> Iterator[Visit]:
    pool, node = controller_manager / "pool", kit.cluster.node("node-1")
    (pool / "detached" / DISK / "starts").write_text("from before\n")
    volume, claim, pod = yaml.safe_load_all((EXAMPLE / "pod.yaml").read_text())
    pod["spec"]["containers"][0]["image"] = images.BUSYBOX
    kit.apply(volume, claim, pod)
    try:
        running = kit.until_pod_ready("attachable")
        output = kit.cluster.kubectl("logs", "attachable")
        attached = kit.get("node", "node-1")["status"]["volumesAttached"]
    finally:
        kit.delete("pod", "attachable")
    detached = (pool / "detached" / DISK).is_dir
    until(lambda: detached() and not _attached(kit), 60, "the disk is detached")
    log = controller_manager / "calls.log"
    yield Visit(running, pool, output, attached, calls(log), calls(node.path(NODE_LOG)))
    kit.delete("persistentvolumeclaim", claim["metadata"]["name"])
    kit.delete("persistentvolume", volume["metadata"]["name"])


def _attached(kit) -> Sequence[dict[str, str]]:
    return kit.get("node", "node-1")["status"].get("volumesAttached", ())


def test_the_operator_tells_that_the_driver_attaches(driver):
    assert driver["capabilities"]["attach"] is True


def test_the_pod_reads_and_writes_the_disk(visit):
    before, started = visit.output.splitlines()
    assert before == "from before"
    assert (visit.pool / "detached" / DISK / "starts").read_text() == f"{before}\n{started}\n"


def test_the_node_reports_the_device_that_attach_answered(visit):
    device = f"{visit.pool}/attached/node-1/{DISK}"
    assert visit.attached == [{"name": f"example.com/attachable/{DISK}", "devicePath": device}]


def test_the_controller_manager_attaches_and_detaches(visit):
    device = f"{visit.pool}/attached/node-1/{DISK}"
    # isattached is asked once a minute.
    found = [call for call in visit.controller_manager if call.name != "isattached"]
    assert [(call.name, call.arguments) for call in found] == [
        ("init", ""),
        ("getvolumename", "{...}"),
        ("attach", f"{OPTIONS} node-1"),
        ("detach", f"{DISK} node-1"),
    ]
    assert found[2].reply == {"status": "Success", "device": device}


def test_the_kubelet_mounts_the_device_once_and_the_pod_from_there(visit):
    device = f"{visit.pool}/attached/node-1/{DISK}"
    uid = visit.pod["metadata"]["uid"]
    volume = f"/var/lib/kubelet/pods/{uid}/volumes/example.com~attachable/{DISK}"
    # The operator runs init before it publishes, the kubelet after.
    assert [(call.name, call.arguments) for call in visit.kubelet] == [
        ("init", ""),
        ("init", ""),
        ("getvolumename", "{...}"),
        ("waitforattach", f"{device} {OPTIONS}"),
        ("mountdevice", f"{DEVICE_MOUNT} {device} {OPTIONS}"),
        ("mount", f"{volume} {{...}}"),
        ("unmount", volume),
        ("unmountdevice", DEVICE_MOUNT),
    ]


def test_no_call_fails(visit):
    found = [*visit.controller_manager, *visit.kubelet]
    assert {call.reply["status"] for call in found} == {"Success", "Not supported"}
    left = {call.name for call in found if call.reply["status"] == "Not supported"}
    assert left == {"getvolumename", "mount", "unmount"}


def test_the_two_sides_take_turns(visit):
    when = {call.name: call.time for call in (*visit.controller_manager, *visit.kubelet)}
    turns = [
        "attach",
        "waitforattach",
        "mountdevice",
        "mount",
        "unmount",
        "unmountdevice",
        "detach",
    ]
    times = [when[name] for name in turns]
    assert times == sorted(times)


def test_nothing_stays_mounted(kit, visit):
    assert "attachable" not in kit.cluster.node("node-1").exec(["cat", "/proc/mounts"])
