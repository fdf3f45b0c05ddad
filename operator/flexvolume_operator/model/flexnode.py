"""A FlexNode: what one node has of every driver, and the operator's memory of it.

One object and one writer per node: drivers are merged here. Every derived field (summary, state,
problem, label) follows from the entries, so that equal entries mean nothing to write.
"""

from collections.abc import Iterable
from enum import StrEnum
from sys import intern
from typing import Any

import msgspec
from msgspec import Struct

from flexvolume_operator.model import names
from flexvolume_operator.model.report import Capabilities, Serving
from flexvolume_operator.model.wire import Codec

MESSAGE_LIMIT = 1024
# In the status of a FlexDriver, which shows ten of them.
SAMPLE_LIMIT = 512
PROBLEM_LIMIT = 256


class State(StrEnum):
    """The state of one driver on one node, worst first."""

    FAILED = "Failed"
    UNKNOWN = "Unknown"
    REMOVING = "Removing"
    PENDING = "Pending"
    OUTDATED = "Outdated"
    UNSUPPORTED = "Unsupported"
    INSTALLED = "Installed"


_RANK = {state: rank for rank, state in enumerate(State)}


class Repairs(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """How often the guard of the present installer pod had to put the file back, and when last."""

    count: int = 0
    last_time: str = ""


class Install(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """One driver in one place on a node.

    `revision` is the one that its installer pod was made for, `serving` what really lies at `path`,
    `boot_id` the boot of the node on which the verdict was given.
    """

    driver: str
    role: str
    path: str
    state: State
    vendor: str = ""
    name: str = ""
    reason: str = ""
    message: str = ""
    revision: str = ""
    image: str = ""
    sha256: str = ""
    serving: Serving = Serving()
    capabilities: Capabilities | None = None
    boot_id: str = msgspec.field(default="", name="bootID")
    repairs: Repairs = Repairs()
    last_transition_time: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from the node's other entries."""
        return (self.driver, self.role, self.path)


class Observed(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """The boot and kubelet that a directory was resolved for."""

    boot_id: str = msgspec.field(default="", name="bootID")
    kubelet_version: str = ""


class NodeDirectory(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """The plugin directory of a node and where it is known from."""

    path: str = ""
    source: str = ""
    observed: Observed = Observed()


class FlexNode(Struct, frozen=True):
    """What the operator knows of the drivers of one node; entries in order of their key."""

    name: str
    node_uid: str = ""
    plugin_dir: NodeDirectory = NodeDirectory()
    installs: tuple[Install, ...] = ()

    @property
    def machine(self) -> tuple[str, NodeDirectory]:
        """What it says of the node itself, whatever becomes of the drivers."""
        return (self.node_uid, self.plugin_dir)

    @property
    def worst(self) -> Install | None:
        """The entry that the node is judged by."""
        return min(self.installs, key=lambda i: (_RANK[i.state], i.key), default=None)

    @property
    def state(self) -> State:
        """The worst state of its drivers; a node without any has nothing wrong."""
        worst = self.worst
        return worst.state if worst is not None else State.INSTALLED

    @property
    def summary(self) -> str:
        """Drivers installed of drivers that the node can have."""
        states = [install.state for install in self.installs]
        installed = states.count(State.INSTALLED)
        return f"{installed}/{len(states) - states.count(State.UNSUPPORTED)}"

    @property
    def problem(self) -> str:
        """One line about the worst entry; empty when there is nothing to do or to wait for."""
        worst = self.worst
        if worst is None or worst.state in (State.INSTALLED, State.UNSUPPORTED):
            return ""
        return shorten(f"{worst.driver}: {worst.reason} {worst.message}".strip(), PROBLEM_LIMIT)

    def manifest(self) -> dict[str, Any]:
        """The whole object for one server-side apply; it goes with its Node."""
        owner = {"apiVersion": "v1", "kind": "Node", "name": self.name, "uid": self.node_uid}
        derived = {"summary": self.summary, "state": self.state.value, "problem": self.problem}
        status = {key: value for key, value in derived.items() if value}
        return {
            "apiVersion": names.API_VERSION,
            "kind": "FlexNode",
            "metadata": {
                "name": self.name,
                "labels": {names.LABEL_STATE: self.state.value},
                "ownerReferences": [owner],
            },
            "status": status
            | {
                "pluginDir": msgspec.to_builtins(self.plugin_dir),
                "installs": [_wire(install) for install in self.installs],
            },
        }


def _wire(install: Install) -> dict[str, Any]:
    """An entry without what is empty: a server-side apply turns an emptied object into null."""
    fields: dict[str, Any] = msgspec.to_builtins(install)
    return {key: value for key, value in fields.items() if value != {}}


def flexnode(
    name: str, node_uid: str, plugin_dir: NodeDirectory, installs: Iterable[Install]
) -> FlexNode:
    """A FlexNode with its entries in order, so that equal contents are equal values."""
    return FlexNode(name, node_uid, plugin_dir, tuple(sorted(installs, key=lambda i: i.key)))


def shorten(text: str, limit: int) -> str:
    """One line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


class _Owner(Struct, gc=False):
    kind: str = ""
    uid: str = ""


class _Meta(Struct, rename="camel"):
    name: str
    owner_references: list[_Owner] = []


class _Status(Struct, rename="camel"):
    plugin_dir: NodeDirectory = NodeDirectory()
    installs: list[Install] = []


class _Wire(Struct):
    metadata: _Meta
    status: _Status = msgspec.field(default_factory=_Status)


def _flexnode(wire: _Wire) -> FlexNode:
    owner = next((o.uid for o in wire.metadata.owner_references if o.kind == "Node"), "")
    installs = (_shared(install) for install in wire.status.installs)
    return flexnode(intern(wire.metadata.name), owner, wire.status.plugin_dir, installs)


def _shared(install: Install) -> Install:
    """The same entry with the strings that repeat on every node kept once."""
    return msgspec.structs.replace(
        install,
        driver=intern(install.driver),
        role=intern(install.role),
        path=intern(install.path),
        vendor=intern(install.vendor),
        name=intern(install.name),
        reason=intern(install.reason),
        revision=intern(install.revision),
        image=intern(install.image),
        sha256=intern(install.sha256),
        serving=Serving(intern(install.serving.revision), intern(install.serving.sha256)),
        boot_id=intern(install.boot_id),
    )


FLEXNODES: Codec[FlexNode] = Codec(_Wire, _flexnode)
