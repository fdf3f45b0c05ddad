"""Fake nodes by kwok: Node objects that look alive, with installer pods that report like real ones.

How installer pods end on a node is its shape: "well", or "crash" (init keeps failing, with a
report), "pull" (image cannot be pulled), "stuck" (containers never get made). Either the node's
name says it, fake-crash-0001, or annotations of the pod do: testbed/crash with node names,
comma-separated, or "all". testbed/reason and testbed/message go into the report of a crash.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from testbed import controlplane, processes
from testbed.api import connect
from testbed.builds import KUBERNETES_VERSION
from testbed.layout import Layout
from testbed.shell import ClusterError, until

STAGES = Path(__file__).with_name("stages")
SHAPES = ("crash", "pull", "stuck")
ANNOTATION = "kwok.x-k8s.io/node"
FAKES = "testbed%2Fnode%3Dfake"

# A jq expression, as the stages' selectors are.
SHAPE = """
. as $pod | if .metadata.labels["app.kubernetes.io/name"] != "flexvolume-installer" then "ordinary"
else ([.metadata.annotations // {} | to_entries[]
| select(.key | IN("testbed/crash", "testbed/pull", "testbed/stuck"))
| select(.value | split(",") | any(. == "all" or . == $pod.spec.nodeName))
| .key | ltrimstr("testbed/")][0])
// (.spec.nodeName // "" | capture("^fake-(?<shape>crash|pull|stuck)-").shape) // "well" end
"""


def stages() -> str:
    """The stages kwok plays, as YAML documents."""
    texts = [(STAGES / f"{name}.yaml").read_text() for name in ("nodes", "pods", "installer-well")]
    fails = (STAGES / "installer-fails.yaml").read_text()
    texts += [fails.replace("@KIND@", shape) for shape in SHAPES]
    return "---\n".join(texts).replace("@SHAPE@", " ".join(SHAPE.split()))


def boot_id(node: str) -> str:
    """The boot id of a fake node, derived from its name; the stages derive the same."""
    digest = hashlib.sha256(node.encode()).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))


def manifest(name: str) -> Mapping[str, object]:
    """The Node object of a fake node. Its taint keeps off what does not tolerate everything."""
    identity = {"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"}
    room = {"cpu": "32", "memory": "256Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {ANNOTATION: "fake"},
            "labels": {**identity, "kubernetes.io/hostname": name, "testbed/node": "fake"},
        },
        "spec": {"taints": [{"key": ANNOTATION, "value": "fake", "effect": "NoSchedule"}]},
        "status": {
            "allocatable": room,
            "capacity": room,
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


def set_count(layout: Layout, programs: Path, count: int, shape: str = "") -> Sequence[str]:
    """Create or delete fake nodes of a shape until there are `count`; returns their names.

    Returns when all of them are Ready.
    """
    if shape not in ("", *SHAPES):
        raise ClusterError(f"shape is {shape!r}; it must be empty or one of {', '.join(SHAPES)}")
    prefix = f"fake-{shape}-" if shape else "fake-"
    wanted = [f"{prefix}{number:04d}" for number in range(1, count + 1)]
    _start_kwok(layout, programs)
    with connect(layout) as api:
        there = {name for name in api.nodes(FAKES) if name.removeprefix(prefix).isdecimal()}
        for name in sorted(there - set(wanted)):
            api.request("DELETE", f"/api/v1/nodes/{name}")
        for name in wanted:
            if name not in there:
                api.request("POST", "/api/v1/nodes", manifest(name))
        what = f"{count} fake nodes are Ready"
        until(lambda: all(map(api.nodes(FAKES).get, wanted)), 60 + count / 10, what)
    return wanted


def touch_pods(layout: Layout) -> None:
    """Have kwok look at all pods: one whose status it could not write it has given up."""
    change = {"metadata": {"annotations": {"testbed/touched": str(time.time())}}}
    with connect(layout) as api:
        for pod in api.list("/api/v1/pods"):
            path = "/api/v1/namespaces/{namespace}/pods/{name}".format(**pod["metadata"])
            # It may have gone since.
            with suppress(ClusterError):
                api.request("PATCH", path, change)


def _start_kwok(layout: Layout, programs: Path) -> None:
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
        "--node-lease-duration-seconds=40",
        f"--cidr={layout.fake_pods}",
        f"--node-ip={layout.gateway}",
    ]
    processes.start(layout.state, "kwok", command, layout.logs / "kwok.log")
