"""What is written down about a cluster, before anything of it is made.

One file, cluster.json, holds name, slot and settings; every link, cgroup and process follows
from it. `complete` becomes true when `up` has reached its end, so a crash on the way shows.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from testbed import network
from testbed.layout import MAX_NODES, SLOTS, Layout, preferred_slots, state_root
from testbed.plugindir import DEFAULT, PluginDir
from testbed.shell import ClusterError

# Four signs of life have to fit in, and they come in whole seconds.
MIN_GRACE = 4


@dataclass(frozen=True)
class Config:
    """The settings of a cluster.

    `plugin_dir` is the kubelets' volume plugin directory and `plugin_dir_by` the way they are told,
    see PluginDir; `plugin_dirs` and `plugin_dir_bys` override them by node name. The
    controller-manager runs on the machine, so its directory is a path of the machine; empty: an
    own, empty one (as a pod on a node it has others, see Cluster.controller_manager_pod).
    `node_grace` is after how many seconds without a sign of life a node is NotReady; 0: as long
    as Kubernetes waits by itself, which is 50.
    """

    nodes: int = 1
    plugin_dir: str = DEFAULT
    plugin_dirs: Mapping[str, str] = field(default_factory=dict)
    plugin_dir_by: str = "config"
    plugin_dir_bys: Mapping[str, str] = field(default_factory=dict)
    controller_manager_plugin_dir: str = ""
    node_grace: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 0 <= self.nodes <= MAX_NODES:
            raise ClusterError(f"nodes is {self.nodes}; it must be 0 to {MAX_NODES}")
        if self.node_grace and self.node_grace < MIN_GRACE:
            raise ClusterError(
                f"node_grace is {self.node_grace}; it must be 0 or at least {MIN_GRACE} seconds"
            )
        for node in ("", *self.plugin_dirs, *self.plugin_dir_bys):
            self.plugin_dir_of(node)

    def plugin_dir_of(self, node: str) -> PluginDir:
        """The volume plugin directory that one node's kubelet is told at first."""
        return PluginDir(
            self.plugin_dirs.get(node, self.plugin_dir),
            self.plugin_dir_bys.get(node, self.plugin_dir_by),
        )


@dataclass(frozen=True)
class Record:
    """A cluster's cluster.json."""

    name: str
    slot: int
    config: Config
    complete: bool = False

    @property
    def layout(self) -> Layout:
        return Layout(self.name, self.slot)

    def save(self) -> None:
        """Write it, whole or not at all."""
        file = _file(self.name)
        temporary = file.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(self), indent=2) + "\n")
        temporary.rename(file)

    def completed(self) -> "Record":
        """The same cluster after `up` has reached its end."""
        done = replace(self, complete=True)
        done.save()
        return done


def load(name: str) -> Record | None:
    """What is written down about the cluster, or None if there is no such cluster."""
    try:
        document = json.loads(_file(name).read_text())
    except FileNotFoundError:
        return None
    # A cluster of another version of this program may have settings that are not known here.
    known = {f.name for f in fields(Config)}
    config = {key: value for key, value in document["config"].items() if key in known}
    return Record(**{**document, "config": Config(**config)})


def create(name: str, config: Config) -> Record:
    """Choose a free slot and write the record; the cluster's folder exists afterwards."""
    with locked(state_root()):
        taken = {record.slot for record in clusters()}
        for slot in preferred_slots(name):
            if slot not in taken and network.is_free(Layout(name, slot)):
                record = Record(name, slot, config)
                record.layout.logs.mkdir(parents=True, exist_ok=True)
                record.save()
                return record
    raise ClusterError(f"all {SLOTS} slots are taken; `testbed down` some of the clusters")


def clusters() -> Iterator[Record]:
    """Every cluster that is written down."""
    for folder in state_root().glob("*/cluster.json"):
        if record := load(folder.parent.name):
            yield record


def clear(name: str) -> None:
    """Delete what is in the cluster's folder, the record last."""
    entries = list((state_root() / name).iterdir())
    for entry in sorted(entries, key=lambda entry: entry == _file(name)):
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def forget(name: str) -> None:
    """Delete the cluster's folder, which must be empty, and the folder of all if it was the last.

    The caller holds the cluster's lock.
    """
    (state_root() / name).rmdir()
    with locked(state_root()):
        if not any(state_root().iterdir()):
            state_root().rmdir()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, making it if needed; waits while another process holds it."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_nlink == 0:
                continue
            yield
            return
        finally:
            os.close(handle)


def _file(name: str) -> Path:
    return state_root() / name / "cluster.json"
