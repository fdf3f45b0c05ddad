"""Nodes, pods and DaemonSets, cut down to what decisions need.

A big cluster has 15,000 nodes and three pods on each, so these are small, and two of them are equal
when nothing has changed that matters here: a heartbeat leaves a Node as it was.
"""

from msgspec import Struct


class Taint(Struct, frozen=True, gc=False):
    """A node's taint."""

    key: str
    value: str = ""
    effect: str = ""


class Node(Struct, frozen=True):
    """A node; equal values mean that nothing changed that matters here.

    `silent`: its kubelet has ceased to report.
    """

    name: str
    uid: str = ""
    labels: dict[str, str] = {}
    taints: tuple[Taint, ...] = ()
    ready: bool = False
    ready_reason: str = ""
    silent: bool = False
    boot_id: str = ""
    kubelet_version: str = ""
    operating_system: str = ""
    os_image: str = ""
    address: str = ""
    kubelet_port: int = 0


class Waiting(Struct, frozen=True, gc=False):
    """A container that does not run yet, or not again yet."""

    reason: str = ""
    message: str = ""


class Running(Struct, frozen=True, gc=False):
    """A running container; `started_at` in epoch seconds."""

    started_at: float = 0.0


class Terminated(Struct, frozen=True, gc=False):
    """A container that ended; `message` is what it left in its termination log."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    finished_at: float = 0.0


ContainerState = Waiting | Running | Terminated


class Container(Struct, frozen=True, gc=False):
    """The status of one container; a container without a status yet is `Container()`."""

    state: ContainerState = Waiting()
    last: Terminated | None = None
    restarts: int = 0
    ready: bool = False
    image_id: str = ""


class Pod(Struct, frozen=True, gc=False):
    """An installer pod; times in epoch seconds, 0.0 where there is none yet.

    `node` is the node it is meant for, also before it is bound. `deleted` is when its grace ends,
    `sandbox_since` when its sandbox was made or lost, which a reboot does to it. `granted` is since
    when it may replace a foreign driver. `entrypoint`: its first container, here in the place of
    `tools`, is an image that copies its driver by itself and goes on running.
    """

    name: str
    namespace: str = ""
    uid: str = ""
    node: str = ""
    flexdriver: str = ""
    role: str = ""
    directory: str = ""
    revision: str = ""
    template: str = ""
    template_hash: str = ""
    created: float = 0.0
    deleted: float = 0.0
    phase: str = ""
    reason: str = ""
    message: str = ""
    scheduled: bool = False
    scheduling_message: str = ""
    scheduling_since: float = 0.0
    started: float = 0.0
    sandbox_since: float = 0.0
    granted: float = 0.0
    entrypoint: bool = False
    tools: Container = Container()
    install: Container = Container()
    guard: Container = Container()


class DaemonSet(Struct, frozen=True):
    """A child of ours: is it the one asked for, and has its controller seen it.

    `editors` are the field managers, ourselves among them, that own parts of its spec by anything
    else than our applies.
    """

    name: str
    uid: str = ""
    generation: int = 0
    observed_generation: int = 0
    flexdriver: str = ""
    template_hash: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_uids: tuple[str, ...] = ()
    editors: tuple[str, ...] = ()
    deleting: bool = False

    @property
    def settled(self) -> bool:
        """The DaemonSet controller has seen the newest spec."""
        return self.observed_generation >= self.generation
