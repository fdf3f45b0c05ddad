"""Fake nodes by kwok: Node objects that look alive, with installer pods that report like real ones.

How installer pods end on a node is its shape: "well", or "crash" (init keeps failing, with a
report), "pull" (image cannot be pulled), "stuck" (containers never get made). Either the node's
name says it, fake-crash-0001, or annotations of the pod do: testbed/crash with node names,
comma-separated, or "all". testbed/reason and testbed/message go into the report of a crash.

testbed/kubelet-dir says what `install` sees of the kubelet: NODE=DIRECTORY, comma-separated, NODE
may be "all", and the first that fits counts; without it, nothing. Where the directory is another
than --plugin-dir, the pod ends in "mismatch", unless it is forced or of another role. A driver
attaches if there is an annotation testbed/attach. testbed/warning is a word that `install` warns
of, and testbed/foreign the name of a driver that a dry run finds.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from testbed import controlplane, fakekubelets, processes
from testbed.api import Api, connect
from testbed.builds import KUBERNETES_VERSION
from testbed.layout import Layout
from testbed.shell import ClusterError, until

STAGES = Path(__file__).with_name("stages")
SHAPES = ("crash", "pull", "stuck")
ANNOTATION = "kwok.x-k8s.io/node"
FAKES = "testbed%2Fnode%3Dfake"
# A kubelet's own, in seconds: it is renewed four times as often.
_LEASE = 40

# A jq expression, as the stages' selectors are.
SHAPE = """
. as $pod
| ([.spec.initContainers[]? | select(.name == "install") | .command + .args] | add // []) as $said
| ($said | map(select(startswith("--plugin-dir=")) | ltrimstr("--plugin-dir="))[0]) as $dir
| (.metadata.annotations["testbed/kubelet-dir"] // "" | split(",") | map(split("=")
| select(.[0] == "all" or .[0] == $pod.spec.nodeName) | .[1:] | join("="))[0]) as $told
| if .metadata.labels["app.kubernetes.io/name"] != "flexvolume-installer" then "ordinary"
else ([.metadata.annotations // {} | to_entries[]
| select(.key | IN("testbed/crash", "testbed/pull", "testbed/stuck"))
| select(.value | split(",") | any(. == "all" or . == $pod.spec.nodeName))
| .key | ltrimstr("testbed/")][0])
// (.spec.nodeName // "" | capture("^fake-(?<shape>crash|pull|stuck)-").shape)
// (if $told and ($told | rtrimstr("/")) != ($dir // "" | rtrimstr("/"))
and ($said | any(IN("--force-plugin-dir", "--role=controller-manager")) | not)
then "mismatch" else "well" end) end
"""

# What $told is there, in the stages' own language.
TOLD = """
{{ $told := "" }}
{{ $pairs := index (.metadata.annotations | default dict) "testbed/kubelet-dir" | default "" }}
{{ range splitList "," $pairs }}
{{ $pair := regexSplit "=" . 2 }}
{{ if and (not $told) (has (first $pair) (list "all" $.spec.nodeName)) }}
{{ $told = last $pair }}
{{ end }}
{{ end }}
"""


@dataclass(frozen=True)
class Kind:
    """What fake nodes have in common: a shape or the name of a pool, if any, and more.

    `port` is that of their kubelets; see fakekubelets.
    """

    shape: str = ""
    pool: str = ""
    port: int = fakekubelets.PORT
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.shape not in ("", *SHAPES):
            known = ", ".join(SHAPES)
            raise ClusterError(f"shape is {self.shape!r}; it must be empty or one of {known}")
        if self.pool in SHAPES or (self.shape and self.pool):
            raise ClusterError(
                f"pool is {self.pool!r}; it must be another name than a shape's, and empty with one"
            )

    @property
    def prefix(self) -> str:
        """How the nodes' names begin."""
        middle = self.shape or self.pool
        return f"fake-{middle}-" if middle else "fake-"


def stages() -> str:
    """The stages kwok plays, as YAML documents."""
    texts = [(STAGES / f"{name}.yaml").read_text() for name in ("nodes", "pods", "installer-well")]
    fails = (STAGES / "installer-fails.yaml").read_text()
    texts += [fails.replace("@KIND@", shape) for shape in (*SHAPES, "mismatch")]
    text = "---\n".join(texts).replace("@SHAPE@", " ".join(SHAPE.split()))
    return text.replace("@TOLD@", " ".join(TOLD.split()))


def boot_id(node: str) -> str:
    """The boot id of a fake node, derived from its name; the stages derive the same."""
    digest = hashlib.sha256(node.encode()).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))


def manifest(
    name: str, port: int = fakekubelets.PORT, labels: Mapping[str, str] | None = None
) -> Mapping[str, object]:
    """The Node object of a fake node. Its taint keeps off what does not tolerate everything."""
    identity = {"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"}
    room = {"cpu": "32", "memory": "256Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {ANNOTATION: "fake"},
            "labels": {
                **identity,
                "kubernetes.io/hostname": name,
                "testbed/node": "fake",
                **(labels or {}),
            },
        },
        "spec": {"taints": [{"key": ANNOTATION, "value": "fake", "effect": "NoSchedule"}]},
        "status": {
            "allocatable": room,
            "capacity": room,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": boot_id(name),
                "containerRuntimeVersion": "containerd://1.6.20",
                "kernelVersion": "6.1.0",
                "kubeProxyVersion": "",
                "kubeletVersion": f"v{KUBERNETES_VERSION}",
                "machineID": boot_id(name).replace("-", ""),
                "operatingSystem": "linux",
                "osImage": "Debian GNU/Linux 12 (bookworm)",
                "systemUUID": boot_id(name),
            },
        },
    }


def set_count(layout: Layout, programs: Path, count: int, kind: Kind, grace: int) -> Sequence[str]:
    """Create or delete fake nodes of a kind until there are `count`; returns their names.

    They give signs of life as often as `grace`, the Config's `node_grace`, wants it. Returns when
    all of them are Ready. Those that there were stay as they are.
    """
    prefix = kind.prefix
    wanted = [f"{prefix}{number:04d}" for number in range(1, count + 1)]
    fakekubelets.start(layout)
    _start_kwok(layout, programs, grace or _LEASE)
    with connect(layout) as api:
        there = {name for name in api.nodes(FAKES) if name.removeprefix(prefix).isdecimal()}
        for name in sorted(there - set(wanted)):
            api.request("DELETE", f"/api/v1/nodes/{name}")
        new = [name for name in wanted if name not in there]
        for name in new:
            api.request("POST", "/api/v1/nodes", manifest(name, kind.port, kind.labels))
        what = f"{count} fake nodes are Ready"
        until(lambda: all(map(api.nodes(FAKES).get, wanted)), 60 + count / 10, what)
        # A pod may have come before kwok knew the node.
        _touch(api, lambda pod: pod["spec"].get("nodeName") in new)
    return wanted


def touch_pods(layout: Layout) -> None:
    """Have kwok look at all pods: one whose status it could not write it has given up."""
    with connect(layout) as api:
        _touch(api, lambda _: True)


def _touch(api: Api, chosen: Callable[[Mapping[str, Mapping[str, object]]], bool]) -> None:
    change = {"metadata": {"annotations": {"testbed/touched": str(time.time())}}}
    for pod in filter(chosen, api.list("/api/v1/pods")):
        path = "/api/v1/namespaces/{namespace}/pods/{name}".format(**pod["metadata"])
        # It may have gone since.
        with suppress(ClusterError):
            api.request("PATCH", path, change)


def _start_kwok(layout: Layout, programs: Path, grace: int) -> None:
    if processes.running(layout.state).get("kwok"):
        return
    config = layout.state / "kwok-stages.yaml"
    config.write_text(stages())
    command = [
        str(programs / "kwok"),
        f"--kubeconfig={controlplane.kubeconfig(layout, 'kwok')}",
        f"--config={config}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={ANNOTATION}=fake",
        f"--node-lease-duration-seconds={grace}",
        f"--cidr={layout.fake_pods}",
        f"--node-ip={layout.gateway}",
    ]
    processes.start(layout.state, "kwok", command, layout.logs / "kwok.log")
