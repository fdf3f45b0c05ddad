"""(a) (b) (c): an installation beside a bare DaemonSet, on one cluster, in turn.

The bare DaemonSet is our own manifest without its owner, replaced by rolling update, and with
another `managed-by`, which keeps it out of the operator's sight; kwok plays the same stages for
both, since those go by the label `app.kubernetes.io/name`.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flexvolume_operator.model import names
from flexvolume_operator.model.flexdriver import parse_flexdriver
from flexvolume_operator.render.daemonset import Installer, render
from flexvolume_operator.render.gate import Place
from testbed import images
from testbed.api import Api, NotFound, connect
from tests.scale.crowd import for_each
from tests.scale.figures import Goal, Row, Section
from tests.scale.fleet import DAEMONSETS, PODS
from tests.scale.plan import Plan, Tell
from tests.scale.subject import Subject
from tests.scale.watching import AllReady, Pod, Watch, installed
from tests.support.clusters import nodeless
from tests.support.kit import INSTALLERS, Kit, Object, flexdriver, until
from tests.support.operator import changes, log_end, requests
from tests.support.paths import collection

FLEXDRIVERS = collection("flexdrivers")
FLEXNODES = collection("flexnodes")
ALL_PODS = f"{PODS}?labelSelector={names.LABEL_APP.replace('/', '%2F')}%3D{names.APP}"
DRIVER, ANOTHER = "bench", "bench-too"
# What is written late, as an echo of an installation, counts as part of it.
ECHO = 5.0


@dataclass
class Runs:
    """What the runs at one number of nodes have shown; seconds, and writes by kind."""

    bare: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    another: list[float] = field(default_factory=list)
    lag: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    writes: list[Counter[str]] = field(default_factory=list)


def measure(plan: Plan, tell: Tell) -> list[Section]:
    """The sections a, b and c."""
    found: dict[int, Runs] = {}
    with bench() as cluster:
        for size, runs in plan.sizes:
            tell(f"{size} fake nodes")
            cluster.kit.cluster.fake_nodes(size)
            found[size] = Runs()
            for run in range(runs):
                tell(f"(a) {size} nodes, run {run + 1} of {runs}")
                shapes = [cluster.bare, cluster.ours]
                # Who goes second finds a warmer, or a more tired, cluster.
                for shape in shapes if run % 2 == 0 else reversed(shapes):
                    shape(size, found[size])
        tell(f"(c) {plan.rest:.0f} s of rest")
        rest = resting(cluster, plan)
    return [in_turn(found), lag(found), writes(found, rest)]


@contextmanager
def bench() -> Iterator["Cluster"]:
    """The cluster with the operator running beside it."""
    with ExitStack() as stack:
        kit = stack.enter_context(nodeless("bench"))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        operator = Subject(kit, folder)
        stack.callback(operator.kill)
        operator.start()
        layout = kit.cluster.layout
        pods = stack.enter_context(Watch(layout, ALL_PODS, Pod))
        drivers: Watch[Any] = stack.enter_context(Watch(layout, FLEXDRIVERS, dict))
        yield Cluster(kit, operator, pods, drivers)


@dataclass(frozen=True)
class Cluster:
    """Installs in one way or the other, and takes away again."""

    kit: Kit
    operator: Subject
    pods: Watch[Pod]
    drivers: Watch[Any]

    def bare(self, size: int, found: Runs) -> None:
        """From the DaemonSet's creation until the last of its pods is Ready."""
        ready = self.pods.expect(AllReady(size))
        with connect(self.kit.cluster.layout) as api:
            began = time.monotonic()
            api.request("POST", DAEMONSETS, bare_daemonset())
            found.bare.append(ready.wait(60 + size, "all pods are ready") - began)
            api.request("DELETE", f"{DAEMONSETS}/{bare_daemonset()['metadata']['name']}")
        self._clear_pods()

    def ours(self, size: int, found: Runs) -> None:
        """From the FlexDriver's creation until it is Ready with every node reported."""
        position = log_end(self.kit)
        used = self.operator.cpu
        pods = self.pods.expect(AllReady(size))
        ready = self.drivers.expect(installed(DRIVER, size))
        with connect(self.kit.cluster.layout) as api:
            began = time.monotonic()
            api.request("POST", FLEXDRIVERS, flexdriver(DRIVER))
            last = pods.wait(60 + size, "all pods are ready")
            done = ready.wait(60, "the FlexDriver is Ready")
            reported = [node["metadata"]["labels"][names.LABEL_STATE] for node in self._flexnodes()]
        assert reported == ["Installed"] * size, f"{len(reported)} FlexNodes, not all Installed"
        found.ours.append(done - began)
        found.lag.append(done - last)
        time.sleep(ECHO)
        found.cpu.append(self.operator.cpu - used)
        found.writes.append(Counter(kind for _, kind, _ in changes(self.kit, position)))
        began = time.monotonic()
        found.another.append(self.install(size, ANOTHER) - began)
        self.remove(DRIVER, ANOTHER)

    def install(self, size: int, driver: str = DRIVER) -> float:
        """Install without a look at the clock; when (monotonic) the FlexDriver is Ready."""
        ready = self.drivers.expect(installed(driver, size))
        with connect(self.kit.cluster.layout) as api:
            api.request("POST", FLEXDRIVERS, flexdriver(driver))
        return ready.wait(120 + size, "the FlexDriver is Ready")

    def remove(self, *drivers: str) -> None:
        """Delete FlexDrivers and wait until all that came of them is gone."""
        with connect(self.kit.cluster.layout) as api:
            for driver in drivers:
                api.request("DELETE", f"{FLEXDRIVERS}/{driver}")
            until(lambda: not api.list(DAEMONSETS), 60, "the DaemonSet is gone")
            self._clear_pods()
            until(lambda: not api.list(FLEXDRIVERS), 120, "the FlexDriver is gone")

    def _flexnodes(self) -> Sequence[Object]:
        with connect(self.kit.cluster.layout) as api:
            found: Sequence[Any] = api.list(FLEXNODES)
        return found

    def _clear_pods(self) -> None:
        with connect(self.kit.cluster.layout) as api:
            until(lambda: not api.list(DAEMONSETS), 60, "the DaemonSet is gone")
        for_each(self.kit.cluster.layout, list(self.pods.objects), delete_pod)
        until(lambda: not self.pods.objects, 60, "all pods are gone")


def delete_pod(api: Api, name: str) -> None:
    """Delete without grace, which kwok would take a minute for; it may be gone by itself."""
    with suppress(NotFound):
        api.request("DELETE", f"{PODS}/{name}", {"gracePeriodSeconds": 0})


def bare_daemonset() -> Object:
    """Our DaemonSet as somebody would write it who has no operator."""
    driver = parse_flexdriver(flexdriver("bare"))
    installer = Installer(INSTALLERS, images.INSTALLER)
    manifest = render(driver, Place(names.DEFAULT_PLUGIN_DIR, gated=False), installer).manifest
    manifest["spec"]["updateStrategy"] = {"type": "RollingUpdate"}
    for metadata in (manifest["metadata"], manifest["spec"]["template"]["metadata"]):
        metadata["labels"] = metadata["labels"] | {names.LABEL_MANAGED_BY: "nobody"}
    return manifest


def resting(cluster: Cluster, plan: Plan) -> list[Row]:
    """What the operator asks of the API server when nothing happens, and what that costs."""
    kit, operator = cluster.kit, cluster.operator
    cluster.install(plan.many)
    time.sleep(4 * ECHO)
    position, used = log_end(kit), operator.cpu
    time.sleep(plan.rest)
    spent = (operator.cpu - used) / plan.rest * 60_000
    verbs = Counter(str(request["verb"]) for request in requests(kit, position))
    written = len(changes(kit, position))
    during = f"in {plan.rest:.0f} s at rest with {plan.many:,} nodes"
    lease = verbs["update"] + verbs["patch"] + verbs["create"] - written
    return [
        Row(f"writes {during}, the Lease apart", "", [written], Goal("=", 0)),
        Row(f"Lease renewals {during}", "", [lease]),
        Row(f"reads {during}", "", [verbs["get"] + verbs["list"] + verbs["watch"]]),
        Row(f"CPU at rest with {plan.many:,} nodes", "ms a minute", [spent]),
    ]


def in_turn(found: dict[int, Runs]) -> Section:
    rows = []
    largest = max(found)
    for size, runs in found.items():
        of = f"{size:,} nodes"
        first, second = (
            [ours / bare for bare, ours in zip(runs.bare, those, strict=True)]
            for those in (runs.ours, runs.another)
        )
        goal = Goal("<=", 1.1) if size == largest else None
        rows += [
            Row(f"bare DaemonSet applied until its pods are Ready, {of}", "s", runs.bare),
            Row(f"FlexDriver applied until Ready, every node reported, {of}", "s", runs.ours),
            Row(f"the latter by the former, {of}", "", first, goal, every=False),
            Row(f"another FlexDriver, {of}", "s", runs.another),
            Row(f"that by the bare DaemonSet, {of}", "", second),
            Row(f"CPU of the operator for the first, {of}", "s", runs.cpu),
        ]
    note = (
        "A DaemonSet of the same shape without an operator, and a FlexDriver, in turn on one "
        "cluster of fake nodes. All of it shares the machine's cores, kwok, controllers and API "
        "server too. The goal is for the median of the pairs. For the first FlexDriver, kubelets "
        "are asked for their directory and nodes get their labels; for another one all is known."
    )
    return Section("a", "An installation beside a bare DaemonSet", note, rows)


def lag(found: dict[int, Runs]) -> Section:
    what = "last installer pod Ready until FlexDriver Ready"
    rows = [
        Row(f"{what}, {size:,} nodes", "s", runs.lag, Goal("<", 1)) for size, runs in found.items()
    ]
    note = "In the runs of (a), both moments as a watch sees them."
    return Section("b", "Ready after the last pod", note, rows)


def writes(found: dict[int, Runs], rest: list[Row]) -> Section:
    rows = []
    for size, runs in found.items():
        kinds = sorted({kind for counts in runs.writes for kind in counts})
        for kind in kinds:
            each = [counts[kind] / size for counts in runs.writes]
            rows.append(Row(f"writes to {kind} for each node, {size:,} nodes", "", each))
    note = "By the API server's audit log: an installation from (a), and rest after the last one."
    return Section("c", "Requests", note, rows + rest)
