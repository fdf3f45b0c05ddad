"""One test cluster, from nothing to Ready and back to nothing."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from testbed import (
    builds,
    cgroups,
    controlplane,
    fakekubelets,
    fakes,
    images,
    managerpod,
    network,
    oci,
    packages,
    processes,
    state,
)
from testbed.api import connect
from testbed.controllers import CONTROLLER_MANAGER, SCHEDULER
from testbed.layout import Layout, state_root
from testbed.managerpod import ManagerPod
from testbed.nodeconfig import PAUSE
from testbed.nodes import Node, Programs
from testbed.shell import ClusterError, run, say, tail, until
from testbed.state import Config, Record

CONTROL_PLANE = (*controlplane.API, CONTROLLER_MANAGER, SCHEDULER)


class Cluster:
    """A cluster by name. Its settings count when it is brought up and stay until it is down."""

    def __init__(self, name: str = "demo", config: Config | None = None) -> None:
        if not name or not all(part.isalnum() and part.isascii() for part in name.split("-")):
            raise ClusterError(f"cluster name {name!r} must be letters, digits and single dashes")
        self.name = name
        self._config = config or Config()

    def up(self) -> bool:
        """Bring the cluster up and return True; False if it is up already.

        What a crash left is cleared first. When a component does not start, the error names it
        and nothing but the logs stays; after Ctrl-C nothing at all does.
        """
        packages.ensure()
        programs = self._programs
        with state.locked(state_root() / self.name):
            if self.is_up:
                return False
            self._clear()
            started = time.monotonic()
            record = state.create(self.name, self._config)
            try:
                self._start(record, programs)
            except Exception:
                self._stop()
                raise
            except BaseException:
                self._clear()
                state.forget(self.name)
                raise
            record.completed()
            say(f"cluster {self.name} is up after {time.monotonic() - started:.1f} s")
        return True

    def down(self) -> bool:
        """Take everything away that was made for the cluster; False if there was nothing."""
        if not (state_root() / self.name).exists():
            return False
        with state.locked(state_root() / self.name):
            self._clear()
            state.forget(self.name)
        return True

    @property
    def is_up(self) -> bool:
        """Whether `up` has reached its end and the control plane runs. Nodes may be off."""
        record = state.load(self.name)
        roles = processes.running(state_root() / self.name)
        if record is None or not record.complete:
            return False
        elsewhere = {CONTROLLER_MANAGER} if managerpod.exists(record.layout) else set()
        return all(role in roles or role in elsewhere for role in CONTROL_PLANE)

    @property
    def layout(self) -> Layout:
        """Addresses and paths of the cluster; it must exist."""
        return self._record.layout

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return controlplane.kubeconfig(self.layout, "admin")

    @property
    def audit_log(self) -> Path:
        """One JSON object per line; reads by the system's own components are left out."""
        return self.layout.logs / "audit.log"

    @property
    def nodes(self) -> Sequence[Node]:
        """The real nodes, powered on or off."""
        return self._nodes(self._record, self._programs)

    def node(self, name: str) -> Node:
        """A real node by name; raises ClusterError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.nodes)
        raise ClusterError(f"cluster {self.name} has no real node {name!r}; it has: {names}")

    def kill(self, role: str) -> None:
        """Kill etcd or kube-apiserver, as an accident would; what it has stored stays."""
        if role not in controlplane.API:
            wanted = " or ".join(controlplane.API)
            raise ClusterError(f"role is {role!r}; it must be {wanted}")
        processes.kill(self.layout.state, role)

    def restart(self, role: str) -> None:
        """Start what was killed; returns when the API is ready again."""
        controlplane.start_api(self.layout, self._programs.kubernetes, [role])
        controlplane.wait_for_api(self.layout)
        fakes.touch_pods(self.layout)

    def controller_manager_pod(
        self,
        node: str,
        plugin_dir: str | None,
        host_path: str | None,
        image: str,
        *,
        read_only: bool = False,
    ) -> None:
        """Have the controller-manager run as a static pod of a real node, as kubeadm has it.

        `plugin_dir` is its --flex-volume-plugin-dir; None: it is not told any. `host_path` is the
        directory of the node that is mounted there (or at the default), None: the container has
        an empty one of its own. `image` is images.CONTROLLER_MANAGER, which has nothing else in
        it, or images.CONTROLLER_MANAGER_WITH_SHELL, both loaded if need be, or one that the node
        has. Returns when the pod is healthy. Called again, it replaces the pod, wherever it is.
        """
        chosen = self.node(node)
        managerpod.prepare(chosen, image)
        processes.kill(self.layout.state, CONTROLLER_MANAGER)
        for other in self.nodes:
            if other.name != node:
                managerpod.remove(other)
        managerpod.place(chosen, ManagerPod(plugin_dir, host_path, image, read_only))

    def controller_manager_process(self) -> None:
        """Have it run as a process of this machine again, as at first."""
        for node in self.nodes:
            managerpod.remove(node)
        if CONTROLLER_MANAGER not in processes.running(self.layout.state):
            programs = self._programs.kubernetes
            controlplane.start_controller_manager(self.layout, programs, self._record.config)

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl as the administrator and return its output; raises ClusterError."""
        return run([*self.kubectl_command, *arguments], stdin)

    def load_image(self, image: str | Path) -> None:
        """Load an image into every real node that is on.

        It is the path of an archive (OCI or Docker), or the name of an image built here.
        """
        archive = images.find(image)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: node.load(archive), (n for n in self.nodes if n.is_on)))

    def fake_nodes(
        self,
        count: int,
        shape: str = "",
        *,
        pool: str = "",
        port: int = fakekubelets.PORT,
        labels: Mapping[str, str] | None = None,
    ) -> Sequence[str]:
        """Have exactly `count` fake nodes of a shape (see testbed.fakes) or a pool; their names.

        A pool is those named fake-POOL-0001 and so on. New ones get these labels and a kubelet at
        this port of the machine's address; testbed.fakekubelets says what it answers.
        """
        kind = fakes.Kind(shape, pool, port, labels or {})
        grace = self._record.config.node_grace
        return fakes.set_count(self.layout, self._programs.kubernetes, count, kind, grace)

    @staticmethod
    def build_images() -> Mapping[str, Path]:
        """Build the operator's, the installer's and all examples' images; archives by name."""
        return images.build_all()

    def helm(self, *arguments: str, stdin: str = "") -> str:
        """Run helm as the administrator and return its output; raises ClusterError."""
        own = {"KUBECONFIG": str(self.kubeconfig)} | {
            f"HELM_{kind}_HOME": str(self.layout.state / "helm" / kind.lower())
            for kind in ("CACHE", "CONFIG", "DATA")
        }
        return run([str(builds.build(builds.HELM)), *arguments], stdin, own)

    @property
    def kubectl_command(self) -> Sequence[str]:
        """The start of every kubectl command line."""
        return [str(self._programs.kubernetes / "kubectl"), f"--kubeconfig={self.kubeconfig}"]

    @cached_property
    def _programs(self) -> Programs:
        pause = builds.build(builds.PAUSE)
        image = pause.with_suffix(".tar")
        if not image.exists():
            image.write_bytes(oci.single_program(pause, "pause").archive(PAUSE))
        return Programs(builds.build(builds.KUBERNETES).parent, pause, image)

    @property
    def _record(self) -> Record:
        if record := state.load(self.name):
            return record
        raise ClusterError(f"there is no cluster {self.name}; `python -m testbed up` makes it")

    def _nodes(self, record: Record, programs: Programs) -> Sequence[Node]:
        return [
            Node(record.layout, record.config, programs, index)
            for index in range(1, record.config.nodes + 1)
        ]

    def _start(self, record: Record, programs: Programs) -> None:
        layout = record.layout
        say(f"starting cluster {self.name} in {layout.state} on {layout.network}")
        authority = controlplane.create_identities(layout)
        network.create_bridge(layout)
        controlplane.start_api(layout, programs.kubernetes)
        nodes = self._nodes(record, programs)
        for node in nodes:
            node.create_disk(authority)
            node.boot()
        controlplane.wait_for_api(layout)
        controlplane.start_controllers(layout, programs.kubernetes, record.config)
        # A kubelet that finds no API server when it starts may take a minute to try again.
        for node in nodes:
            node.start_kubelet()
        self._wait_until_ready(layout, nodes)

    def _wait_until_ready(self, layout: Layout, nodes: Sequence[Node]) -> None:
        def ready() -> bool:
            there = processes.running(layout.state)
            for role in (*CONTROL_PLANE, *(f"{node.name}/kubelet" for node in nodes)):
                if role not in there:
                    controlplane.check(layout, role)
            with connect(layout) as api:
                found = api.nodes()
                accounts = api.list("/api/v1/namespaces/default/serviceaccounts")
            return bool(accounts) and len(found) == len(nodes) and all(found.values())

        try:
            until(ready, 60, f"the {len(nodes)} nodes and the default ServiceAccount are ready")
        except ClusterError as problem:
            logs = sorted(layout.logs.glob("node-*-kubelet.log"))
            ends = (f"\n{log} ends with:\n{tail(log, 6)}" for log in logs)
            raise ClusterError(f"{problem}{''.join(ends)}") from None

    def _clear(self) -> None:
        self._stop()
        state.clear(self.name)

    def _stop(self) -> None:
        """End and take away all but files. Follows from the record alone, whatever was reached."""
        processes.kill(state_root() / self.name)
        if record := state.load(self.name):
            network.remove(record.layout)
            for index in range(1, record.config.nodes + 1):
                cgroups.remove(record.layout.cgroup(f"node-{index}"))
