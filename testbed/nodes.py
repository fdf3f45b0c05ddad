"""Real nodes: containerd and a kubelet in namespaces of their own, with an own disk and boot.

Process 1 of the namespaces is the node's power: when it ends, the kernel ends every process
and every mount of the node, and its disk (a folder) stays.
"""

import json
import shutil
import signal
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from testbed import cgroups, network, nodeconfig, processes
from testbed.certificates import Authority
from testbed.controlplane import check, server
from testbed.layout import Layout
from testbed.plugindir import DROP_INS, PluginDir
from testbed.shell import ClusterError, run, until
from testbed.state import Config

START = Path(__file__).with_name("node_start.sh")
DISK_FOLDERS = (
    "etc/kubernetes/manifests",
    "sys",
    "usr/libexec/kubernetes",
    "var/lib/containerd/cni",
    "var/lib/kubelet/pki",
)
CTR = ["ctr", "--address", nodeconfig.SOCKET, "--namespace", "k8s.io"]


@dataclass(frozen=True)
class Programs:
    """The built programs: a folder with all of Kubernetes, and process 1 of nodes and pods."""

    kubernetes: Path
    pause: Path
    pause_image: Path


@dataclass(frozen=True)
class Node:
    """The index-th real node of a cluster, counted from 1."""

    layout: Layout
    config: Config
    programs: Programs
    index: int

    @property
    def name(self) -> str:
        return f"node-{self.index}"

    @property
    def disk(self) -> Path:
        """The folder of the machine that is the node's disk."""
        return self.layout.state / "nodes" / self.name

    @property
    def is_on(self) -> bool:
        return self._init() is not None

    @property
    def plugin_dir(self) -> Path:
        """The kubelet's volume plugin directory, seen from the machine; the node must be on."""
        return self.path(self.directory.path)

    @property
    def directory(self) -> PluginDir:
        """What the kubelet has been told last, and how."""
        try:
            return PluginDir(**json.loads(self._told.read_text()))
        except FileNotFoundError:
            return self.config.plugin_dir_of(self.name)

    @property
    def boot_id(self) -> str:
        return (self.disk / "sys/boot_id").read_text().strip()

    def path(self, inside: str) -> Path:
        """A path of the node, seen from the machine; the node must be on."""
        return Path(f"/proc/{self._require_init()}/root/{inside.lstrip('/')}")

    def exec(self, argv: Sequence[str], stdin: bytes | str | Path = b"") -> str:
        """Run a program in the node's namespaces to its end and return its output."""
        return run([*self._enter(), *argv], stdin)

    def create_disk(self, authority: Authority) -> None:
        """Write what the node's programs need to find."""
        for folder in DISK_FOLDERS:
            (self.disk / folder).mkdir(parents=True, exist_ok=True)
        for name, value in nodeconfig.KERNEL_SETTINGS.items():
            (self.disk / "sys" / name).write_text(f"{value}\n")
        containerd = self.disk / "var/lib/containerd"
        (containerd / "config.toml").write_text(nodeconfig.CONTAINERD)
        (containerd / "cni/10-pods.conflist").write_text(nodeconfig.cni(self.layout, self.index))
        kubelet = self.disk / "var/lib/kubelet"
        client = kubelet / "pki/kubelet"
        authority.issue(
            client,
            f"system:node:{self.name}",
            ["system:nodes"],
            [self.name],
            [self.layout.node_address(self.index)],
        )
        shutil.copy(authority.folder / "ca.crt", kubelet / "pki/ca.crt")
        authority.kubeconfig(kubelet / "kubeconfig", self.layout.name, server(self.layout), client)
        self._tell(self.config.plugin_dir_of(self.name))

    def reconfigure(self, plugin_dir: str, by: str = "config") -> None:
        """Tell the kubelet another directory (see PluginDir for `by`) and restart it; pods go on.

        Returns when the kubelet has been started. It is remembered on the node's disk.
        """
        self._tell(PluginDir(plugin_dir, by))
        if self.is_on:
            self.stop_kubelet()
            self.start_kubelet()

    def power_on(self) -> None:
        """Boot with a new boot id and an empty /run; returns when the kubelet has been started."""
        if not self.is_on:
            self.boot()
            self.start_kubelet()

    def boot(self) -> None:
        """Power on as far as containerd."""
        self.power_off()
        (self.disk / "sys/boot_id").write_text(f"{uuid.uuid4()}\n")
        cgroups.create(self.layout.cgroup(self.name))
        log = self.layout.logs / f"{self.name}.log"
        namespaces = ["--mount", "--propagation=shared", "--pid", "--uts", "--net"]
        boot = ["sh", str(START), self.name, str(self.disk), str(self.programs.pause)]
        command = ["unshare", *namespaces, "--fork", "--kill-child", *boot]
        processes.start(self.layout.state, self.name, command, log)
        until(self._has_booted, 20, f"{self.name} boots; see {log}")
        network.plug(self.layout, self.index, self._require_init())
        self.exec(["sh"], network.inside_script(self.layout, self.index, self.config.nodes))
        self._start("containerd", ["containerd", "--config=/var/lib/containerd/config.toml"])
        until(self._containerd_answers, 20, f"containerd of {self.name} answers")
        self.load(self.programs.pause_image)

    def power_off(self) -> None:
        """The cable is pulled: every process and mount of the node ends, its disk stays."""
        for role in (self.name, self._role("kubelet"), self._role("containerd")):
            processes.kill(self.layout.state, role)
        network.unplug(self.layout, self.index)
        cgroups.remove(self.layout.cgroup(self.name))

    def start_kubelet(self) -> None:
        """Start the kubelet; pods that run are found again."""
        if not processes.running(self.layout.state).get(self._role("kubelet")):
            flags = nodeconfig.kubelet_flags(self.layout, self.name, self.index, self.directory)
            self._start("kubelet", [str(self.programs.kubernetes / "kubelet"), *flags])

    def stop_kubelet(self) -> None:
        """Stop the kubelet and nothing else; pods go on."""
        processes.kill(self.layout.state, self._role("kubelet"), signal.SIGTERM)

    def load(self, archive: Path) -> None:
        """Load an archive (OCI or Docker) into the node's containerd."""
        self.exec([*CTR, "images", "import", "-"], archive)

    def has_image(self, reference: str) -> bool:
        """Whether the node's containerd has an image of this full name."""
        return bool(self.exec([*CTR, "images", "list", "--quiet", f"name=={reference}"]))

    @property
    def _told(self) -> Path:
        return self.disk / "plugin-dir.json"

    def _tell(self, directory: PluginDir) -> None:
        settings = nodeconfig.kubelet(self.layout, self.config, self.name, self.index, directory)
        _write_yaml(self.disk / "var/lib/kubelet/config.yaml", settings)
        drop_in = self.disk / DROP_INS.lstrip("/") / "10-plugin-dir.conf"
        drop_in.unlink(missing_ok=True)
        if directory.in_drop_in:
            drop_in.parent.mkdir(exist_ok=True)
            _write_yaml(drop_in, nodeconfig.drop_in(directory))
        self._told.write_text(json.dumps(asdict(directory)))

    def _start(self, program: str, argv: Sequence[str]) -> None:
        log = self.layout.logs / f"{self.name}-{program}.log"
        command = [*self._enter(), "setsid", "--fork", *argv]
        processes.start(self.layout.state, self._role(program), command, log)

    def _role(self, program: str) -> str:
        return f"{self.name}/{program}"

    def _enter(self) -> list[str]:
        target = str(self._require_init())
        return ["nsenter", f"--target={target}", "--mount", "--pid", "--uts", "--net", "--"]

    def _require_init(self) -> int:
        if (init := self._init()) is None:
            raise ClusterError(f"{self.name} of cluster {self.layout.name} is powered off")
        return init

    def _init(self) -> int | None:
        """The node's process 1, as the machine numbers it."""
        for pid in processes.running(self.layout.state).get(self.name, ()):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            numbers = next(line for line in status.splitlines() if line.startswith("NSpid:"))
            if len(numbers.split()) > 2 and numbers.split()[-1] == "1":
                return pid
        return None

    def _has_booted(self) -> bool:
        check(self.layout, self.name)
        # Looked up once: it is hard to see for a moment while it replaces its program.
        init = self._init()
        return init is not None and Path(f"/proc/{init}/root/run/node-is-ready").exists()

    def _containerd_answers(self) -> bool:
        check(self.layout, self._role("containerd"))
        return bool(self.exec(["ctr", "--address", nodeconfig.SOCKET, "version"]))


def _write_yaml(file: Path, document: Mapping[str, object]) -> None:
    file.write_text(yaml.safe_dump(dict(document), sort_keys=False))
