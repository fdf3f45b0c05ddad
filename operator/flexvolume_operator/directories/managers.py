"""Where the kube-controller-managers look for drivers, one control-plane node at a time.

Their mirror pods tell all of it: the flag, the mounts, the image. Where there is none (it runs on
the host, or in a namespace that is not ours to see), the node program sees its command line; and
where nobody sees anything, the administrator may have said it.
"""

import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from flexvolume_operator.model.directory import ControllerManager, Seen
from flexvolume_operator.model.managerpods import PROGRAM, ManagerPod, Mount
from flexvolume_operator.model.names import (
    DEFAULT_PLUGIN_DIR,
    InvalidPluginDir,
    cleaned_plugin_dir,
)
from flexvolume_operator.model.objects import Node

FLAG: Final = "--flex-volume-plugin-dir"
_CONTROL_PLANE: Final = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


class Managers:
    """Every control-plane node, in `known`, with nothing said where nothing is known.

    `changed(name)` tells of news. `flag`: the directory by the operator's own flag, normalised or
    empty. `used`: whether any FlexDriver installs there, None before one did.
    """

    def __init__(
        self, nodes: Mapping[str, Node], flag: str, changed: Callable[[str], None]
    ) -> None:
        self.known: dict[str, ControllerManager] = {}
        self.used: bool | None = None
        self._users: set[str] = set()
        self._nodes = nodes
        self._flag = flag
        self._changed = changed
        self._pods: dict[str, ManagerPod] = {}
        self._seen: dict[str, tuple[float, Seen]] = {}

    def load(self, name: str, known: ControllerManager) -> None:
        """Take in what an earlier process wrote down about a node."""
        if known.process.path:
            self._seen[name] = (0.0, known.process)
            self._decide(name)

    def pod_changed(self, old: ManagerPod | None, new: ManagerPod | None) -> None:
        """A mirror pod appeared, changed or vanished."""
        if new is not None and not new.deleting:
            self._pods[new.node] = new
            self._decide(new.node)
        elif (gone := new or old) is not None:
            # A changed manifest makes a pod anew under its name, in whatever order that is told.
            if self._pods.get(gone.node, gone).name == gone.name:
                self._pods.pop(gone.node, None)
            self._decide(gone.node)

    def heard(self, name: str, boot_id: str, seen: Seen, at: float) -> None:
        """The node program has looked for the process on the node, at `at` epoch seconds."""
        node = self._nodes.get(name)
        if node is None or (boot_id and node.boot_id and boot_id != node.boot_id):
            return
        if at >= self._seen.get(name, (0.0, seen))[0]:
            self._seen[name] = (at, seen)
            self._decide(name)

    def node_changed(self, name: str) -> None:
        """A Node appeared, changed or vanished."""
        if name not in self._nodes:
            self._seen.pop(name, None)
        self._decide(name)

    def use(self, flexdriver: str) -> None:
        """A FlexDriver installs for controller-managers: their nodes are labelled."""
        self._users.add(flexdriver)
        self._note_use()

    def leave(self, flexdriver: str) -> None:
        """It does not, or not any more."""
        self._users.discard(flexdriver)
        # Of a process that has just begun it may be another one's that is not judged yet.
        if self.used is not None:
            self._note_use()

    def _note_use(self) -> None:
        before, self.used = self.used, bool(self._users)
        if self.used != before:
            for name in self.known:
                self._changed(name)

    def _decide(self, name: str) -> None:
        before, found = self.known.get(name), self._found(name)
        if found == before:
            return
        if found is None:
            self.known.pop(name, None)
        else:
            self.known[name] = found
        self._changed(name)

    def _found(self, name: str) -> ControllerManager | None:
        node = self._nodes.get(name)
        if node is None:
            return None
        seen = self._seen.get(name, (0.0, Seen()))[1]
        if (pod := self._pods.get(name)) is not None:
            return of_pod(pod, seen)
        control_plane = any(key in node.labels for key in _CONTROL_PLANE)
        # Anybody may run a pod that looks like one; it must not draw drivers to where it points.
        if seen.path and (control_plane or not seen.container):
            return of_process(seen)
        if not control_plane:
            return None
        source = "Flag" if self._flag else ""
        return ControllerManager(self._flag, source, host_path=self._flag)


def of_pod(pod: ManagerPod, seen: Seen) -> ControllerManager:
    """What a mirror pod tells."""
    told = flag_value(pod.arguments)
    path = _cleaned(told) or DEFAULT_PLUGIN_DIR
    return ControllerManager(
        path=path,
        source="Pod",
        host_path=host_path(pod.mounts, path),
        image=pod.image,
        flag=bool(told),
        process=seen,
    )


def of_process(seen: Seen) -> ControllerManager:
    """What its process tells: on the host itself both paths are one."""
    known = "" if seen.container else seen.path
    return ControllerManager(
        seen.path, "Process", host_path=known, flag=seen.origin == FLAG, process=seen
    )


def flag_value(arguments: Sequence[str]) -> str:
    """The flag's value in a command line; the last one wins."""
    # The argument of a shell that starts it is a whole command line by itself.
    words = [w for a in arguments for w in (a.split() if f"{PROGRAM} " in a else [a])]
    value = ""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, said = word.strip("'\"").partition("=")
        if name.replace("_", "-") == FLAG:
            value = said if equals else following
    return value.strip("'\"")


def host_path(mounts: Sequence[Mount], path: str) -> str:
    """Where on the node a directory of the container lies, by the longest mount over it."""
    covering = [mount for mount in mounts if _covers(posixpath.normpath(mount.path), path)]
    if not covering:
        return ""
    mount = max(covering, key=lambda m: len(posixpath.normpath(m.path)))
    inside = path.removeprefix(posixpath.normpath(mount.path)).lstrip("/")
    return _cleaned(posixpath.join(mount.host_path, inside))


def _covers(mount: str, path: str) -> bool:
    return mount == "/" or f"{path}/".startswith(f"{mount}/")


def _cleaned(path: str) -> str:
    try:
        return cleaned_plugin_dir(path)
    except InvalidPluginDir:
        return ""
