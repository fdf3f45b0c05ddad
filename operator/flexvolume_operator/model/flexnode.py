"""A FlexNode: what one node has of every driver, and the operator's memory of it.

One object and one writer per node: drivers are merged here. Every derived field (summary, state,
problem, label) follows from the entries, so that equal entries mean nothing to write.
"""

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from sys import intern
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from flexvolume_operator.model import names
from flexvolume_operator.model.codec import Codec
from flexvolume_operator.model.directory import (
    Asked,
    ControllerManager,
    NodeDirectory,
    Observed,
    Seen,
)
from flexvolume_operator.model.report import Capabilities, Caution, Foreign, Serving

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
    WOULD_INSTALL = "WouldInstall"
    UNSUPPORTED = "Unsupported"
    INSTALLED = "Installed"


# With these there is nothing to do or to wait for.
CONTENT = frozenset({State.INSTALLED, State.WOULD_INSTALL, State.UNSUPPORTED})
T = TypeVar("T", Caution, Foreign)
_RANK = {state: rank for rank, state in enumerate(State)}


class Repairs(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """How often the guard of the present installer pod had to put the file back, and when last."""

    count: int = 0
    last_time: str = ""


Key = tuple[str, str, str]


class Install(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """One driver in one place on a node.

    `source` is where the directory in `path` is known from; an empty path is not known yet.
    `revision` is the one that its installer pod was made for, `serving` what really lies at `path`,
    `boot_id` the boot of the node on which the verdict was given. `interpreter` is what the file
    needs to run, empty if nothing. Of `warnings` no two have one reason.
    """

    driver: str
    role: str
    path: str
    state: State
    source: str = ""
    vendor: str = ""
    name: str = ""
    reason: str = ""
    message: str = ""
    revision: str = ""
    image: str = ""
    sha256: str = ""
    serving: Serving = Serving()
    capabilities: Capabilities | None = None
    interpreter: str = ""
    warnings: tuple[Caution, ...] = ()
    boot_id: str = msgspec.field(default="", name="bootID")
    repairs: Repairs = Repairs()
    last_transition_time: str = ""

    @property
    def key(self) -> Key:
        """What tells it from the node's other entries."""
        return (self.driver, self.role, self.path)


class LeftBehind(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """A file of ours where no kubelet looks any more; `since` is RFC 3339."""

    driver: str
    role: str
    path: str
    revision: str = ""
    sha256: str = ""
    since: str = ""

    @property
    def key(self) -> Key:
        """What tells it from the node's others, and an entry of the same place from those."""
        return (self.driver, self.role, self.path)


class Machine(Struct, frozen=True):
    """What a FlexNode says of the node itself, whatever becomes of its drivers.

    `controller_manager` is there on nodes that run one. `foreign` are drivers that are not ours, as
    dry runs have found them, the first of `foreign_count`.
    """

    uid: str = ""
    plugin_dir: NodeDirectory = NodeDirectory()
    controller_manager: ControllerManager | None = None
    foreign: tuple[Foreign, ...] = ()
    foreign_count: int = 0


class FlexNode(Struct, frozen=True):
    """What the operator knows of the drivers of one node; entries in order of their key."""

    name: str
    machine: Machine
    installs: tuple[Install, ...] = ()
    left_behind: tuple[LeftBehind, ...] = ()

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
        if worst is None or worst.state in CONTENT:
            return ""
        return shorten(f"{worst.driver}: {worst.reason} {worst.message}".strip(), PROBLEM_LIMIT)

    def manifest(self) -> dict[str, Any]:
        """The whole object for one server-side apply; it goes with its Node."""
        owner = {"apiVersion": "v1", "kind": "Node", "name": self.name, "uid": self.machine.uid}
        status = {
            "summary": self.summary,
            "state": self.state.value,
            "problem": self.problem,
            "pluginDir": _wire(self.machine.plugin_dir),
            "controllerManager": _wire(self.machine.controller_manager),
            "foreignDrivers": [_wire(driver) for driver in self.machine.foreign],
            "foreignDriverCount": self.machine.foreign_count,
            "leftBehind": [_wire(file) for file in self.left_behind],
        }
        return {
            "apiVersion": names.API_VERSION,
            "kind": "FlexNode",
            "metadata": {
                "name": self.name,
                "labels": {names.LABEL_STATE: self.state.value},
                "ownerReferences": [owner],
            },
            "status": {key: value for key, value in status.items() if value}
            | {"installs": [_wire(install) for install in self.installs]},
        }


def _wire(value: Struct | None) -> dict[str, Any]:
    """A value without what is empty: a server-side apply turns an emptied object into null."""
    fields: dict[str, Any] = msgspec.to_builtins(value) if value is not None else {}
    return {key: field for key, field in fields.items() if field != {}}


def flexnode(
    name: str,
    machine: Machine,
    installs: Iterable[Install],
    left_behind: Iterable[LeftBehind] = (),
) -> FlexNode:
    """A FlexNode with its entries in order, so that equal contents are equal values."""
    return FlexNode(
        name,
        machine,
        tuple(sorted(installs, key=lambda i: i.key)),
        tuple(sorted(left_behind, key=lambda f: f.key)),
    )


def shorten(text: str, limit: int) -> str:
    """One line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


@lru_cache(maxsize=1024)
def shared(values: tuple[T, ...]) -> tuple[T, ...]:
    """Equal ones, kept once: what a node says of a driver, most others say too."""
    return values


class _Owner(Struct, gc=False):
    kind: str = ""
    uid: str = ""


class _Meta(Struct, rename="camel"):
    name: str
    owner_references: list[_Owner] = []


class _Status(Struct, rename="camel"):
    plugin_dir: NodeDirectory = NodeDirectory()
    controller_manager: ControllerManager | None = None
    foreign_drivers: tuple[Foreign, ...] = ()
    foreign_driver_count: int = 0
    installs: list[Install] = []
    left_behind: list[LeftBehind] = []


class _Wire(Struct):
    metadata: _Meta
    status: _Status = msgspec.field(default_factory=_Status)


def _flexnode(wire: _Wire) -> FlexNode:
    owner = next((o.uid for o in wire.metadata.owner_references if o.kind == "Node"), "")
    status = wire.status
    machine = Machine(
        owner,
        _known(status.plugin_dir),
        status.controller_manager,
        shared(status.foreign_drivers),
        status.foreign_driver_count,
    )
    installs = (_shared(install) for install in status.installs)
    return flexnode(intern(wire.metadata.name), machine, installs, status.left_behind)


def _known(directory: NodeDirectory) -> NodeDirectory:
    """The same with the strings that repeat on every node kept once."""
    kubelet, process, observed = directory.kubelet, directory.process, directory.observed
    return NodeDirectory(
        path=intern(directory.path),
        source=intern(directory.source),
        observed=Observed(
            intern(observed.boot_id), intern(observed.kubelet_version), observed.address
        ),
        kubelet=Asked(
            intern(kubelet.path), intern(kubelet.tls), intern(kubelet.reason), kubelet.message
        ),
        process=Seen(intern(process.path), intern(process.origin), process.container),
    )


def _shared(install: Install) -> Install:
    """The same entry with the strings that repeat on every node kept once."""
    return msgspec.structs.replace(
        install,
        driver=intern(install.driver),
        role=intern(install.role),
        path=intern(install.path),
        vendor=intern(install.vendor),
        name=intern(install.name),
        source=intern(install.source),
        interpreter=intern(install.interpreter),
        reason=intern(install.reason),
        revision=intern(install.revision),
        image=intern(install.image),
        sha256=intern(install.sha256),
        serving=Serving(intern(install.serving.revision), intern(install.serving.sha256)),
        warnings=shared(install.warnings),
        boot_id=intern(install.boot_id),
    )


FLEXNODES: Codec[FlexNode] = Codec(_Wire, _flexnode)
