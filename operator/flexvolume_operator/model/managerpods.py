"""Reads the mirror pods of kube-controller-manager from the wire: what it is told, what it sees."""

from sys import intern

import msgspec
from msgspec import Struct

from flexvolume_operator.model.codec import Codec, Wire

PROGRAM = "kube-controller-manager"


class Mount(Struct, frozen=True, gc=False):
    """A directory of the node that a container sees."""

    path: str
    host_path: str
    read_only: bool = False


class ManagerPod(Struct, frozen=True):
    """A kube-controller-manager in a pod; `arguments` are its whole command line."""

    name: str
    node: str = ""
    image: str = ""
    arguments: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    deleting: bool = False


class _Meta(Wire, frozen=True):
    name: str = ""
    deletion_timestamp: str = ""


class _HostPath(Wire, frozen=True):
    path: str = ""


class _Volume(Wire, frozen=True):
    name: str = ""
    host_path: _HostPath | None = None


class _Mount(Wire, frozen=True):
    name: str = ""
    mount_path: str = ""
    sub_path: str = ""
    read_only: bool = False


class _Container(Wire, frozen=True):
    name: str = ""
    image: str = ""
    command: list[str] = []
    args: list[str] = []
    volume_mounts: list[_Mount] = []


class _Spec(Wire, frozen=True):
    node_name: str = ""
    containers: list[_Container] = []
    volumes: list[_Volume] = []


class _Pod(Wire, frozen=True):
    metadata: _Meta = _Meta()
    spec: _Spec = msgspec.field(default_factory=_Spec)


def _manager(wire: _Pod) -> ManagerPod:
    spec = wire.spec
    container = next((c for c in spec.containers if _runs_it(c)), _Container())
    volumes = {v.name: v.host_path.path for v in spec.volumes if v.host_path is not None}
    mounts = (
        Mount(m.mount_path, _below(volumes[m.name], m.sub_path), m.read_only)
        for m in container.volume_mounts
        if m.name in volumes
    )
    return ManagerPod(
        name=wire.metadata.name,
        node=intern(spec.node_name),
        image=container.image,
        arguments=(*container.command, *container.args),
        mounts=tuple(mounts),
        deleting=bool(wire.metadata.deletion_timestamp),
    )


def _runs_it(container: _Container) -> bool:
    # Some distributions start it by a shell, whose one argument then is the whole command line.
    words = " ".join((container.name, *container.command, *container.args))
    return PROGRAM in words


def _below(host_path: str, sub_path: str) -> str:
    return f"{host_path.rstrip('/')}/{sub_path}" if sub_path else host_path


MANAGER_PODS: Codec[ManagerPod] = Codec(_Pod, _manager)
