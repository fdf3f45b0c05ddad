"""(j): how long an installation takes on a real kubelet, beside a pod that installs nothing.

Most of it is the kubelet's: each init container costs it most of a second whatever it does. So the
pod to compare with has the same containers, of the same images, mounts and rights, with commands
that end at once, and wait in the guard's place.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct, field

from testbed import images
from testbed.api import connect
from testbed.oci import File, Image
from tests.scale import node_program
from tests.scale.figures import Goal, Row, Section
from tests.scale.plan import Plan, Tell
from tests.scale.watching import AllReady, Pod, Watch
from tests.support.clusters import running
from tests.support.kit import Kit, Object, flexdriver, until
from tests.support.rendered import container, namespace, rendered, report

NAMESPACE = "bench"
DRIVER, IMAGE = "driver", "localhost/bench:test"
DAEMONSETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
NOTHING = ["/installer", "version"]


def measure(plan: Plan, tell: Tell) -> list[Section]:
    """The section j."""
    ours: list[float] = []
    bare: list[float] = []
    with bench() as node:
        for run in range(2 * plan.few_runs):
            tell(f"(j) one real node, run {run + 1} of {2 * plan.few_runs}")
            both = [(node.bare, bare), (node.ours, ours)]
            for start, found in both if run % 2 == 0 else reversed(both):
                found.append(start())
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    rows = [
        Row("pod scheduled until Ready, commands that do nothing", "s", bare),
        Row("pod scheduled until Ready, driver installed", "s", ours),
        Row("the latter by the former", "", ratios, Goal("<=", 1.1), every=False),
    ]
    return [Section("j", "An installation on a real kubelet", NOTE, rows)]


NOTE = (
    "DaemonSets of one real node, made and deleted in turn; both moments as a watch sees them, the "
    "images are there. Ready means that the guard runs, and so that a driver of "
    f"{node_program.SIZE / 1e6:.0f} MB has been verified and published, which is looked at. The "
    "goal is for the median of the pairs."
)


@contextmanager
def bench() -> Iterator["Node"]:
    """A cluster with one real kubelet and no operator, warmed up."""
    with running("bench-node") as kit, tempfile.TemporaryDirectory() as folder:
        program = node_program.build(Path(folder)).read_bytes()
        image = Image({f"/{DRIVER}": File(node_program.driver()), "/installer": File(program)})
        archive = Path(folder, "bench.tar")
        archive.write_bytes(image.archive(IMAGE))
        for found in (images.INSTALLER, archive):
            kit.cluster.load_image(found)
        namespace(kit, NAMESPACE)
        (manifest,) = rendered([flexdriver(DRIVER, IMAGE)], NAMESPACE)
        with Watch(kit.cluster.layout, PODS, Seen) as pods:
            node = Node(kit, pods, manifest)
            node.bare()
            yield node


class Spec(Struct):
    node: str = field(default="", name="nodeName")


class Seen(Pod):
    """Of a pod, whether it is ready, and whether a node is to run it."""

    spec: Spec = field(default_factory=Spec)


def scheduled(pods: Mapping[str, Seen]) -> bool:
    return any(pod.spec.node for pod in pods.values())


@dataclass(frozen=True)
class Node:
    """Starts one DaemonSet or the other, and takes away what came of it."""

    kit: Kit
    pods: Watch[Seen]
    manifest: Object

    def bare(self) -> float:
        """Seconds until the pod is Ready that does nothing."""
        idle = json.loads(json.dumps(self.manifest))
        pod = idle["spec"]["template"]
        for name in ("tools", "install"):
            container(pod, name)["command"] = NOTHING
        container(pod, "guard")["command"].append("--idle")
        return self._start(idle)

    def ours(self) -> float:
        """Seconds until the driver is installed and guarded."""
        return self._start(self.manifest, installs=True)

    def _start(self, manifest: Object, *, installs: bool = False) -> float:
        begun, ready = self.pods.expect(scheduled), self.pods.expect(AllReady(1))
        with connect(self.kit.cluster.layout) as api:
            api.request("POST", DAEMONSETS, manifest)
            end = ready.wait(60, "the pod is Ready")
            (pod,) = api.list(PODS)
            assert (report(pod).get("result") == "Installed") is installs
            api.request("DELETE", f"{DAEMONSETS}/{manifest['metadata']['name']}")
            until(lambda: not self.pods.objects, 60, "the pod is gone")
        self._forget()
        return end - begun.wait(0, "the pod is scheduled")

    def _forget(self) -> None:
        """The next installation finds a node without the driver."""
        node = self.kit.cluster.node("node-1")
        node.exec(["rm", "-rf", f"{node_program.PLUGINS}/example.com~{DRIVER}"])
