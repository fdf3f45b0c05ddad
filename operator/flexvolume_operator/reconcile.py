"""One FlexDriver, brought to what its spec says: observe, decide, apply, report.

Level-triggered: a pass looks at what is there and asks the pure rooms (render, assess, rollout)
what should be; what woke it does not matter. The finalizer and the deletion are handled here too,
so that an operator killed in the middle of a removal goes on with it when it comes back.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flexvolume_operator import metrics
from flexvolume_operator.assess import events
from flexvolume_operator.assess.conditions import Trouble, find
from flexvolume_operator.assess.events import Event
from flexvolume_operator.assess.facts import REFUSED_AGAIN
from flexvolume_operator.assess.placement import Matcher
from flexvolume_operator.assess.summary import invalid_status, status
from flexvolume_operator.assess.tally import Tally
from flexvolume_operator.cluster.children import Children, Rejected
from flexvolume_operator.cluster.client import Client, Json
from flexvolume_operator.cluster.events import Recorder, Regarding
from flexvolume_operator.cluster.flexdrivers import StatusWriter, claim, release
from flexvolume_operator.cluster.flexnodes import FlexNodes
from flexvolume_operator.cluster.podindex import PodIndex
from flexvolume_operator.cluster.warnings import newest_warning
from flexvolume_operator.directories.resolve import resolve
from flexvolume_operator.model.flexdriver import (
    FlexDriver,
    InvalidFlexDriver,
    Metadata,
    parse_flexdriver,
    parse_metadata,
)
from flexvolume_operator.model.flexnode import Install, State
from flexvolume_operator.model.names import FINALIZER
from flexvolume_operator.model.objects import DaemonSet, Node
from flexvolume_operator.model.reasons import ConditionReason
from flexvolume_operator.model.verdict import Target, target
from flexvolume_operator.render.daemonset import Installer, Rendered, render
from flexvolume_operator.rollout.plan import Rollout
from flexvolume_operator.survey import Change, Survey

# Warning events fetched in one pass: a broken node pool must not turn into a flood of requests.
_EXPLAINED_PER_PASS: Final = 10


@dataclass(frozen=True, slots=True)
class World:
    """What all reconcilers share: live views of the cluster and the ways to change it."""

    client: Client
    installer: Installer
    volume_plugin_dir: str
    nodes: Mapping[str, Node]
    pods: PodIndex
    daemonsets: Mapping[str, DaemonSet]
    children: Children
    flexnodes: FlexNodes
    recorder: Recorder
    # Names of the other live FlexDrivers with this vendor and driver.
    rivals: Callable[[FlexDriver], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a valid FlexDriver asks for, made ready once for its generation and its rivals."""

    flexdriver: FlexDriver
    rivals: Sequence[str]
    rendered: Rendered
    target: Target
    matcher: Matcher


class Reconciler:
    """Brings about one FlexDriver. `mark` and `mark_all` say what changed; `reconcile` acts."""

    def __init__(self, name: str, world: World, body: Json) -> None:
        self.name = name
        self.body = body
        self._world = world
        self._survey = Survey(name, world.nodes, world.pods, self._remembered)
        self._tally = Tally()
        self._rollout: Rollout | None = None
        self._wanted: Wanted | None = None
        self._status: Json = body.get("status", {})
        # Nodes with an entry that was there before the question that is asked now.
        self._unjudged: set[str] = set()
        # Nodes whose failure was told and not yet followed by a recovery.
        self._failures: dict[str, Install] = {}
        # Told when a pass gets through, so that one that fails half-way loses none.
        self._news: list[Event] = []
        self._writer = StatusWriter(world.client, name)
        self.mark = self._survey.mark
        self.mark_all = self._survey.mark_all

    async def reconcile(self) -> float | None:
        """One pass; seconds until the next one is due by time alone, None: never."""
        try:
            flexdriver = parse_flexdriver(self.body)
        except InvalidFlexDriver as error:
            return await self._refuse(error)
        wanted = self._want(flexdriver)
        if flexdriver.metadata.deleting:
            return await self._remove(wanted)
        if FINALIZER not in flexdriver.metadata.finalizers:
            await claim(self._world.client, self.name, flexdriver.uid)
        refusal = await self._apply(wanted)
        self._observe(wanted)
        if await self._explain(wanted):
            self._observe(wanted)
        await self._roll(wanted)
        due = await self._report(self._conclude(wanted, refusal))
        return _soonest(due, self._until_deadline(), REFUSED_AGAIN if refusal else None)

    def gone(self) -> None:
        """The FlexDriver does not exist any more: forget it everywhere."""
        self._forget_nodes()
        for state in State:
            metrics.NODES.remove(self.name, state.value)

    def _want(self, flexdriver: FlexDriver) -> Wanted:
        """Render what is asked for, unless that was done for the very same question."""
        rivals, known = self._world.rivals(flexdriver), self._wanted
        if known is not None and (known.flexdriver, known.rivals) == (flexdriver, rivals):
            return known
        directory = resolve(flexdriver.spec.plugin_dir, self._world.volume_plugin_dir)
        rendered = render(flexdriver, directory, self._world.installer, rivals)
        wanted = Wanted(
            flexdriver=flexdriver,
            rivals=rivals,
            rendered=rendered,
            target=target(
                flexdriver,
                directory.path,
                revision=rendered.revision,
                template=rendered.template,
                template_hash=rendered.template_hash,
                namespace=self._world.installer.namespace,
            ),
            matcher=Matcher(flexdriver.spec.placement),
        )
        self._wanted = wanted
        self._tally.retarget(rendered.template)
        if self._rollout is None:
            self._rollout = Rollout(wanted.target)
        self._rollout.retarget(wanted.target)
        self.mark_all()
        self._unjudged.update(self._world.flexnodes.holding(self.name))
        return wanted

    async def _apply(self, wanted: Wanted) -> Trouble | None:
        """Make the children what they should be; the API server's refusal, if it refuses."""
        children, child = self._world.children, self._child(wanted)
        manifest: Mapping[str, Any] | None = wanted.rendered.manifest
        if wanted.target.suspended:
            manifest = self._kept(wanted, child)
        if manifest is None:
            return None
        try:
            if not children.settled(manifest, child):
                await children.ensure(manifest)
        except Rejected as refusal:
            return Trouble(refusal.reason, refusal.message)
        # What is left over from another plugin directory.
        await self._delete_children(keep=wanted.rendered.name)
        return None

    def _kept(self, wanted: Wanted, child: DaemonSet | None) -> Mapping[str, Any] | None:
        """What a suspended FlexDriver's child has to stay like; None when that is not known."""
        if child is not None and child.template_hash == wanted.rendered.template_hash:
            return wanted.rendered.manifest
        return self._world.children.known(wanted.rendered.name)

    async def _delete_children(self, keep: str = "") -> list[DaemonSet]:
        """Delete the driver's DaemonSets but one; those that are still there."""
        others = [
            child
            for child in self._world.daemonsets.values()
            if child.flexdriver == self.name and child.name != keep
        ]
        for child in others:
            if not child.deleting:
                await self._world.children.delete(child.name, child.uid)
        return others

    def _observe(self, wanted: Wanted) -> None:
        """Judge what changed, hand the verdicts on and note what is worth telling."""
        changes = self._survey.judge(wanted.target, wanted.matcher, time.time())
        for node, _, after in changes:
            self._tally.put(node, after)
            if self._rollout is not None:
                self._rollout.put(node, after)
            if after is None:
                self._world.flexnodes.drop(node, self.name)
            else:
                self._world.flexnodes.put(node, after.install)
        # Nodes may have left the placement while nobody was here to see it.
        for node in self._unjudged - self._survey.verdicts.keys():
            self._world.flexnodes.drop(node, self.name)
        self._unjudged.clear()
        entries = [self._told(change) for change in changes]
        metrics.REPAIRS.labels(self.name).inc(sum(map(_fresh_repairs, entries)))
        self._news += events.node_events(entries)

    def _told(self, change: Change) -> events.Change:
        """The change as seen by people: a retry between a failure and what follows is no news."""
        node, before = change.node, change.before
        after = change.after.install if change.after else None
        if after is None or after.state in {State.INSTALLED, State.OUTDATED}:
            before = self._failures.pop(node, before)
        elif after.state is State.FAILED:
            before = self._failures.get(node, before)
            self._failures[node] = after
        return events.Change(node, before, after)

    async def _explain(self, wanted: Wanted) -> bool:
        """Fetch the Warning events that verdicts ask for; whether there were any."""
        now, child = time.time(), self._child(wanted)
        namespace, fetched = self._world.installer.namespace, False
        for subject in self._survey.unexplained(now)[:_EXPLAINED_PER_PASS]:
            if subject:
                text = await newest_warning(self._world.client, namespace, subject)
            elif child is not None:
                text = await newest_warning(
                    self._world.client, namespace, child.uid, reason="FailedCreate"
                )
                if text:
                    await self._world.children.ask_again(child.name, now)
            else:
                continue
            self._survey.explain(subject, text, now)
            fetched = True
        return fetched

    async def _roll(self, wanted: Wanted) -> None:
        """Replace the pods whose turn it is."""
        child = self._child(wanted)
        if self._rollout is None or child is None:
            return
        for pod in self._rollout.plan(settled=_applied(child, wanted)):
            path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
            await self._world.client.delete(path, uid=pod.uid)
            self._rollout.asked(pod.node, pod.uid)

    def _conclude(self, wanted: Wanted, trouble: Trouble | None) -> Json:
        """The status that follows from all verdicts."""
        for state in State:
            metrics.NODES.labels(self.name, state.value).set(self._tally.states[state])
        return status(
            wanted.flexdriver.metadata.generation,
            wanted.target,
            self._tally,
            self._status,
            time.time(),
            trouble=trouble,
            applied=_applied(self._child(wanted), wanted),
        )

    async def _report(self, new: Json) -> float | None:
        """Write the status if it says anything new, and file the events; seconds to wait first."""
        about = Regarding(self.name, self.body["metadata"]["uid"])
        while self._news:
            await self._world.recorder.record(about, *self._news.pop(0))
        if new == self._status:
            return None
        if self._writer.pause:
            return self._writer.pause
        if _ready(new) and not _ready(self._status):
            # Ready says that every node has reported; by then anybody can read what.
            await self._world.flexnodes.flushed(self.name)
        await self._writer.write(about.uid, new)
        before, self._status = self._status, new
        for event in events.condition_events(before, new):
            await self._world.recorder.record(about, *event)
        return None

    async def _refuse(self, error: InvalidFlexDriver) -> float | None:
        """A spec that cannot be read changes nothing; but it must not be kept from going."""
        metadata = parse_metadata(self.body)
        if metadata.deleting and await self._dismantled(metadata):
            return None
        trouble = Trouble(ConditionReason.INVALID_SPEC, str(error))
        return await self._report(
            invalid_status(metadata.generation, self._status, time.time(), trouble)
        )

    async def _remove(self, wanted: Wanted) -> float | None:
        """The FlexDriver was deleted: take it apart, and tell how far that is."""
        self._observe(wanted)
        if not wanted.target.suspended and await self._dismantled(wanted.flexdriver.metadata):
            return None
        return await self._report(self._conclude(wanted, None))

    async def _dismantled(self, metadata: Metadata) -> bool:
        """Delete the children, then the entries in FlexNodes, then let the FlexDriver go."""
        if FINALIZER not in metadata.finalizers:
            return True
        if await self._delete_children() or self._lingering():
            return False
        self._forget_nodes()
        await self._world.flexnodes.flushed(self.name)
        await release(self._world.client, self.name, metadata.uid)
        return True

    def _lingering(self) -> bool:
        """Whether pods are left where a kubelet can still end them; dead nodes hold up nothing."""
        nodes = self._world.nodes
        return any(
            name in nodes and nodes[name].ready for name in self._world.pods.nodes(self.name)
        )

    def _forget_nodes(self) -> None:
        for node in self._world.flexnodes.holding(self.name):
            self._world.flexnodes.drop(node, self.name)

    def _child(self, wanted: Wanted) -> DaemonSet | None:
        return self._world.daemonsets.get(wanted.rendered.name)

    def _remembered(self, node: str, sought: Target) -> Install | None:
        return self._world.flexnodes.entry(node, (sought.flexdriver, sought.role, sought.path))

    def _until_deadline(self) -> float | None:
        deadline = self._survey.deadline
        return None if deadline is None else max(0.0, deadline - time.time())


def _applied(child: DaemonSet | None, wanted: Wanted) -> bool:
    """Whether the DaemonSet controller has seen what is wanted."""
    if child is None or child.deleting:
        return False
    return child.settled and child.template_hash == wanted.rendered.template_hash


def _fresh_repairs(change: events.Change) -> int:
    """Repairs that were not reported before; a guard counts from its pod's start."""
    after = change.after.repairs.count if change.after else 0
    return max(0, after - (change.before.repairs.count if change.before else 0))


def _ready(found: Json) -> bool:
    return find(found, "Ready").get("status") == "True"


def _soonest(*times: float | None) -> float | None:
    return min((t for t in times if t is not None), default=None)
