"""What happens to machines: who runs where, and a new one under the name of an old one."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from testbed.certificates import Authority
from testbed.nodes import Node
from tests.faults.nodes.history import Version
from tests.support import drivers
from tests.support.kit import INSTALLERS, OPERATORS, Kit, Object, condition, until

# What design and users call so: as soon as it can be known.
AT_ONCE = 2.0
# From a node's Ready until its drivers are verified in its new boot, on a busy machine, too; a
# guard that is taken for crashed would not be believed for half a minute.
BACK = 25.0
# What passes is not written sooner than after 5 s.
PASSING = 4.0


class Stock:
    """The images that nodes have, also those that are made anew: there is nowhere to pull from."""

    def __init__(self, kit: Kit, folder: Path) -> None:
        self._kit = kit
        self._folder = folder
        self._archives: list[Path] = []

    def add(self, archive: Path) -> None:
        """Load an archive into every node that is on."""
        self._kit.cluster.load_image(archive)
        self._archives.append(archive)

    def driver(self, name: str, version: str) -> str:
        """The reference of an image with a driver that works, loaded."""
        files = {f"/{name}": drivers.good(version)}
        reference, archive = drivers.archive(self._folder, f"{name}-{version}", files)
        self.add(archive)
        return reference

    def replace(self, node: Node) -> None:
        """Another machine with the same name and address: an empty disk, a boot of its own."""
        node.power_off()
        shutil.rmtree(node.disk)
        node.create_disk(Authority(node.layout.pki))
        node.boot()
        for archive in self._archives:
            node.load(archive)
        node.start_kubelet()


def leader(kit: Kit) -> str:
    """The node on which the operator that acts is running."""
    lease = kit.get("lease", "flexvolume-operator", OPERATORS) or {}
    pod = kit.get("pod", lease["spec"]["holderIdentity"], OPERATORS) or {}
    return str(pod["spec"]["nodeName"])


def bystander(kit: Kit) -> Node:
    """The node without an operator on it."""
    taken = {pod["spec"]["nodeName"] for pod in kit.list("pods", namespace=OPERATORS)}
    return next(node for node in kit.cluster.nodes if node.name not in taken)


def others(kit: Kit, node: Node) -> list[str]:
    """The names of the other nodes."""
    return [each.name for each in kit.cluster.nodes if each.name != node.name]


def installer(kit: Kit, driver: str, node: str) -> Object:
    """The installer pod of a driver on a node."""
    found = kit.list("pods", f"flexvolume.io/driver={driver}", INSTALLERS)
    (pod,) = [pod for pod in found if pod["spec"].get("nodeName") == node]
    return pod


def record(kit: Kit, driver: str, node: Node) -> Object:
    """The ownership record beside a driver; it changes with each installation."""
    executable = node.path(kit.install(driver, node.name)["path"])
    found: Object = json.loads(executable.with_name(".flexvolume.json").read_text())
    return found


def warnings(kit: Kit) -> list[str]:
    """The reasons of all Warning events about FlexDrivers."""
    events = kit.list("events")
    told = (e for e in events if e["involvedObject"]["kind"] == "FlexDriver")
    return [event["reason"] for event in told if event["type"] == "Warning"]


def is_down(version: Version) -> bool:
    """Of a Node: the control plane has noticed that it is not Ready."""
    return condition(version.body.get("status", {}), "Ready").get("status") != "True"


def is_up(boot: str) -> Callable[[Version], bool]:
    """Of a Node: it is Ready in this boot."""

    def holds(version: Version) -> bool:
        return not is_down(version) and version.body["status"]["nodeInfo"]["bootID"] == boot

    return holds


def has(driver: str, state: str) -> Callable[[Version], bool]:
    """Of a FlexNode: the driver is in this state."""
    return lambda version: version.entry(driver).get("state") == state


def until_state(kit: Kit, driver: str, node: str, state: str, timeout: float = 90) -> Object:
    """The entry of a driver on a node once it is in this state."""

    def there() -> Object | None:
        entry = kit.install(driver, node)
        return entry if entry.get("state") == state else None

    return until(there, timeout, f"{driver} is {state} on {node}")


def linger(long: bool) -> None:
    """Long enough for what was put right to show that it does not stay so."""
    seconds = 40.0 if long else 2.0
    due = time.monotonic() + seconds
    until(lambda: time.monotonic() > due, seconds + 1, "some time has passed")
