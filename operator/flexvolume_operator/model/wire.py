"""Reads nodes, pods and DaemonSets from the wire.

A Node is 14 KB of JSON. Only the fields declared here are decoded, and strings that repeat from
object to object (label keys, versions, revisions, images) are kept once.
"""

from datetime import datetime
from functools import lru_cache
from sys import intern

import msgspec

from flexvolume_operator.model import names
from flexvolume_operator.model.codec import Codec, Wire
from flexvolume_operator.model.objects import (
    Container,
    ContainerState,
    DaemonSet,
    Node,
    Pod,
    Running,
    Taint,
    Terminated,
    Waiting,
)
from flexvolume_operator.model.times import epoch, parse


class _Meta(Wire, frozen=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None


# Nodes are decoded without annotations: that is where other people keep their big secrets.
class _NodeMeta(Wire, frozen=True):
    name: str = ""
    uid: str = ""
    labels: dict[str, str] = {}


class _WireTaint(Wire, frozen=True):
    key: str
    value: str = ""
    effect: str = ""


class _NodeSpec(Wire, frozen=True):
    taints: list[_WireTaint] = []


class _Condition(Wire, frozen=True):
    type: str
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class _NodeInfo(Wire, frozen=True):
    boot_id: str = msgspec.field(default="", name="bootID")
    kubelet_version: str = ""
    operating_system: str = ""
    os_image: str = ""


class _Address(Wire, frozen=True):
    type: str = ""
    address: str = ""


class _Endpoint(Wire, frozen=True):
    port: int = msgspec.field(default=0, name="Port")


class _Endpoints(Wire, frozen=True):
    kubelet_endpoint: _Endpoint = _Endpoint()


class _NodeStatus(Wire, frozen=True):
    conditions: list[_Condition] = []
    addresses: list[_Address] = []
    daemon_endpoints: _Endpoints = _Endpoints()
    node_info: _NodeInfo = _NodeInfo()


class _WireNode(Wire, frozen=True):
    metadata: _NodeMeta
    spec: _NodeSpec = _NodeSpec()
    status: _NodeStatus = _NodeStatus()


@lru_cache(maxsize=1024)
def _taint(key: str, value: str, effect: str) -> Taint:
    return Taint(key, value, effect)


def _node(wire: _WireNode) -> Node:
    meta, info = wire.metadata, wire.status.node_info
    ready = _condition(wire.status.conditions, "Ready")
    return Node(
        name=intern(meta.name),
        uid=meta.uid,
        labels={intern(key): intern(value) for key, value in meta.labels.items()},
        taints=tuple(_taint(t.key, t.value, t.effect) for t in wire.spec.taints),
        ready=ready.status == "True",
        ready_reason=intern(ready.reason),
        silent=ready.status == "Unknown",
        boot_id=intern(info.boot_id),
        kubelet_version=intern(info.kubelet_version),
        operating_system=intern(info.operating_system),
        os_image=intern(info.os_image),
        address=_reachable(wire.status.addresses),
        kubelet_port=wire.status.daemon_endpoints.kubelet_endpoint.port or _KUBELET_PORT,
    )


_KUBELET_PORT = 10250
# As the API server itself prefers them, but for names, which need not resolve in a pod.
_PREFERRED = ("InternalIP", "ExternalIP", "Hostname")


def _reachable(addresses: list[_Address]) -> str:
    """The address on which to ask a kubelet."""
    known = {found.type: found.address for found in reversed(addresses)}
    return next((known[kind] for kind in _PREFERRED if known.get(kind)), "")


def _condition(conditions: list[_Condition], kind: str) -> _Condition:
    return next((c for c in conditions if c.type == kind), _Condition(kind))


class _NodeField(Wire, frozen=True):
    key: str = ""
    values: list[str] = []


class _Term(Wire, frozen=True):
    match_fields: list[_NodeField] = []


class _Required(Wire, frozen=True):
    node_selector_terms: list[_Term] = []


class _NodeAffinity(Wire, frozen=True):
    required: _Required = msgspec.field(
        default=_Required(), name="requiredDuringSchedulingIgnoredDuringExecution"
    )


class _Affinity(Wire, frozen=True):
    node_affinity: _NodeAffinity = _NodeAffinity()


class _PodSpec(Wire, frozen=True):
    node_name: str = ""
    affinity: _Affinity = _Affinity()


class _WireTerminated(Wire, frozen=True):
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    finished_at: datetime | None = None


class _WireRunning(Wire, frozen=True):
    started_at: datetime | None = None


class _WireState(Wire, frozen=True):
    waiting: Waiting | None = None
    running: _WireRunning | None = None
    terminated: _WireTerminated | None = None


class _WireContainer(Wire, frozen=True):
    name: str
    ready: bool = False
    restart_count: int = 0
    image_id: str = msgspec.field(default="", name="imageID")
    state: _WireState = _WireState()
    last_state: _WireState = _WireState()


class _PodStatus(Wire, frozen=True):
    phase: str = ""
    reason: str = ""
    message: str = ""
    start_time: datetime | None = None
    conditions: list[_Condition] = []
    init_container_statuses: list[_WireContainer] = []
    container_statuses: list[_WireContainer] = []


class _WirePod(Wire, frozen=True):
    metadata: _Meta
    spec: _PodSpec = _PodSpec()
    status: _PodStatus = _PodStatus()


def _pod(wire: _WirePod) -> Pod:
    meta, status, label = wire.metadata, wire.status, wire.metadata.labels.get
    containers = {
        c.name: _container(c) for c in status.init_container_statuses + status.container_statuses
    }
    scheduled = _condition(status.conditions, "PodScheduled")
    sandbox = _condition(status.conditions, _SANDBOX)
    return Pod(
        name=meta.name,
        namespace=intern(meta.namespace),
        uid=meta.uid,
        node=intern(wire.spec.node_name or _meant_for(wire.spec.affinity)),
        flexdriver=intern(label(names.LABEL_DRIVER, "")),
        role=intern(label(names.LABEL_ROLE, "")),
        directory=intern(label(names.LABEL_DIRECTORY, "")),
        revision=intern(label(names.LABEL_REVISION, "")),
        template=intern(label(names.LABEL_TEMPLATE, "")),
        template_hash=intern(meta.annotations.get(names.ANNOTATION_TEMPLATE_HASH, "")),
        created=epoch(meta.creation_timestamp),
        deleted=epoch(meta.deletion_timestamp),
        phase=intern(status.phase),
        reason=intern(status.reason),
        message=status.message,
        scheduled=bool(wire.spec.node_name),
        scheduling_message=scheduled.message,
        scheduling_since=epoch(scheduled.last_transition_time),
        started=epoch(status.start_time),
        sandbox_since=epoch(sandbox.last_transition_time),
        granted=_granted(meta),
        entrypoint=_ENTRYPOINT in containers,
        tools=containers.get("tools") or containers.get(_ENTRYPOINT, _NO_CONTAINER),
        install=containers.get("install", _NO_CONTAINER),
        guard=containers.get("guard", _NO_CONTAINER),
    )


_NO_CONTAINER = Container()
_ENTRYPOINT = "entrypoint"
_SANDBOX = "PodReadyToStartContainers"


def _granted(meta: _Meta) -> float:
    """Since when the pod may replace a foreign driver; by hand it may be told without a time."""
    if meta.annotations.get(names.ANNOTATION_ADOPT) != "true":
        return 0.0
    since = parse(meta.annotations.get(names.ANNOTATION_ADOPT_SINCE, ""))
    return since or epoch(meta.creation_timestamp)


def _meant_for(affinity: _Affinity) -> str:
    """The node that the DaemonSet controller made a pod for, as it writes it into the affinity."""
    for term in affinity.node_affinity.required.node_selector_terms:
        for field in term.match_fields:
            if field.key == "metadata.name" and field.values:
                return field.values[0]
    return ""


def _container(wire: _WireContainer) -> Container:
    return Container(
        state=_state(wire.state),
        last=_terminated(wire.last_state.terminated),
        restarts=wire.restart_count,
        ready=wire.ready,
        image_id=intern(wire.image_id),
    )


def _state(wire: _WireState) -> ContainerState:
    if wire.running is not None:
        return Running(epoch(wire.running.started_at))
    return _terminated(wire.terminated) or wire.waiting or Waiting()


def _terminated(wire: _WireTerminated | None) -> Terminated | None:
    if wire is None:
        return None
    return Terminated(wire.exit_code, intern(wire.reason), wire.message, epoch(wire.finished_at))


class _OwnerReference(Wire, frozen=True):
    uid: str = ""


class _OwnedFields(Wire, frozen=True):
    spec: object = msgspec.field(default=None, name="f:spec")


class _ManagedFields(Wire, frozen=True):
    manager: str = ""
    operation: str = ""
    subresource: str = ""
    fields_v1: _OwnedFields = _OwnedFields()


class _DaemonSetMeta(_Meta, frozen=True):
    owner_references: list[_OwnerReference] = []
    managed_fields: list[_ManagedFields] = []


class _DaemonSetStatus(Wire, frozen=True):
    observed_generation: int = 0


class _WireDaemonSet(Wire, frozen=True):
    metadata: _DaemonSetMeta
    status: _DaemonSetStatus = _DaemonSetStatus()


def _daemonset(wire: _WireDaemonSet) -> DaemonSet:
    meta = wire.metadata
    return DaemonSet(
        name=meta.name,
        uid=meta.uid,
        generation=meta.generation,
        observed_generation=wire.status.observed_generation,
        flexdriver=meta.labels.get(names.LABEL_DRIVER, ""),
        template_hash=meta.annotations.get(names.ANNOTATION_TEMPLATE_HASH, ""),
        labels=meta.labels,
        annotations=meta.annotations,
        owner_uids=tuple(o.uid for o in meta.owner_references),
        editors=tuple(sorted({m.manager for m in meta.managed_fields if _edits(m)})),
        deleting=meta.deletion_timestamp is not None,
    )


def _edits(fields: _ManagedFields) -> bool:
    """Whether it tells of a part of the spec that does not come from an apply of ours."""
    applied = fields.manager == names.FIELD_MANAGER and fields.operation == "Apply"
    return fields.fields_v1.spec is not None and not (applied or fields.subresource)


NODES: Codec[Node] = Codec(_WireNode, _node)
PODS: Codec[Pod] = Codec(_WirePod, _pod)
DAEMONSETS: Codec[DaemonSet] = Codec(_WireDaemonSet, _daemonset)
