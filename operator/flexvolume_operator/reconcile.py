"""One FlexDriver, brought to what its spec says: observe, decide, apply, report.

Level-triggered: a pass looks at what is there and asks the pure rooms (render, assess, rollout)
what should be; what woke it does not matter. The finalizer and the deletion are handled here too,
so that an operator killed in the middle of a removal goes on with it when it comes back.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from flexvolume_operator import metrics
from flexvolume_operator.assess import events
from flexvolume_operator.assess.conditions import Trouble, find
from flexvolume_operator.assess.events import Event
from flexvolume_operator.assess.facts import REFUSED_AGAIN
from flexvolume_operator.assess.summary import invalid_status, status
from flexvolume_operator.cluster import pods
from flexvolume_operator.cluster.children import Rejected
from flexvolume_operator.cluster.client import Json
from flexvolume_operator.cluster.events import Regarding
from flexvolume_operator.cluster.flexdrivers import StatusWriter, claim, release
from flexvolume_operator.cluster.sources import SourceMissing
from flexvolume_operator.cluster.warnings import newest_warning
from flexvolume_operator.model.flexdriver import (
    FlexDriver,
    InvalidFlexDriver,
    Metadata,
    parse_flexdriver,
    parse_metadata,
)
from flexvolume_operator.model.flexnode import Install, State
from flexvolume_operator.model.names import FINALIZER, KUBELET
from flexvolume_operator.model.objects import DaemonSet
from flexvolume_operator.model.reasons import ConditionReason
from flexvolume_operator.model.verdict import Target
from flexvolume_operator.render.daemonset import NO_CONTENTS, Contents
from flexvolume_operator.sides import Sides
from flexvolume_operator.survey import Change
from flexvolume_operator.wanted import Group, Wanted
from flexvolume_operator.world import World

# Warning events fetched in one pass: a broken node pool must not turn into a flood of requests.
_EXPLAINED_PER_PASS: Final = 10


class Reconciler:
    """Brings about one FlexDriver. `mark` says what changed; `reconcile` acts."""

    def __init__(self, name: str, world: World, body: Json) -> None:
        self.name = name
        self.body = body
        self._world = world
        self._status: Json = body.get("status", {})
        self._sides = Sides(name, world, attaches=_attaches(self._status))
        self._wanted: Wanted | None = None
        # Nodes whose failure was told and not yet followed by a recovery.
        self._failures: dict[str, Install] = {}
        # Why kubelets did not answer, as far as it was told.
        self._lookups: set[str] = set()
        # Told when a pass gets through, so that one that fails half-way loses none.
        self._news: list[Event] = []
        self._writer = StatusWriter(world.client, name)
        self.mark = self._sides.mark

    async def reconcile(self) -> float | None:
        """One pass; seconds until the next one is due by time alone, None: never."""
        try:
            flexdriver = parse_flexdriver(self.body)
        except InvalidFlexDriver as error:
            return await self._refuse(error)
        if flexdriver.metadata.deleting:
            # What goes has no content.
            return await self._remove(self._want(flexdriver, NO_CONTENTS))
        try:
            contents = await self._world.sources.read(self.name, flexdriver.spec.references)
        except SourceMissing as missing:
            return await self._hold(missing)
        wanted = self._want(flexdriver, contents)
        if FINALIZER not in flexdriver.metadata.finalizers:
            await claim(self._world.client, self.name, flexdriver.uid)
        self._observe(wanted)
        refusal = await self._apply(wanted)
        if await self._explain():
            self._observe(wanted)
        await self._roll()
        due = await self._report(self._conclude(wanted, refusal))
        return _soonest(due, self._until_deadline(), REFUSED_AGAIN if refusal else None)

    def gone(self) -> None:
        """The FlexDriver does not exist any more: forget it everywhere."""
        self._sides.forget()
        self._world.sources.forget(self.name)
        for state in State:
            metrics.NODES.remove(self.name, state.value)
        for doubt in _DOUBTS:
            metrics.DIRECTORY_NODES.remove(self.name, doubt)

    async def _hold(self, missing: SourceMissing) -> float | None:
        """What is to be installed cannot be had: what was wanted before stays, and is repaired.

        No pod is replaced, as the new one could not start.
        """
        trouble, wanted = Trouble(ConditionReason.SOURCE_MISSING, str(missing)), self._wanted
        again = REFUSED_AGAIN if missing.again else None
        if wanted is None:
            return _soonest(again, await self._report(self._unreadable(trouble)))
        self._observe(wanted)
        await self._apply(wanted)
        if await self._explain():
            self._observe(wanted)
        due = await self._report(self._conclude(wanted, trouble))
        return _soonest(due, self._until_deadline(), again)

    def _want(self, flexdriver: FlexDriver, contents: Contents) -> Wanted:
        """Make ready what is asked for, unless that was done for the very same question."""
        rivals, known = self._world.rivals(flexdriver), self._wanted
        if known is not None and known.is_about(flexdriver, rivals, contents):
            return known
        self._wanted = Wanted(flexdriver, rivals, self._world.installer, contents)
        self._sides.ask_all()
        return self._wanted

    def _observe(self, wanted: Wanted) -> None:
        """Judge what changed, and note what is worth telling."""
        entries = [self._told(change) for change in self._sides.judge(wanted)]
        metrics.REPAIRS.labels(self.name).inc(sum(map(_fresh_repairs, entries)))
        self._news += events.node_events(entries)

    async def _apply(self, wanted: Wanted) -> Trouble | None:
        """Make the children what they should be; the API server's refusal, if it refuses one."""
        children, refusal = self._world.children, None
        for group in self._groups(wanted):
            child = self._world.daemonsets.get(group.rendered.name)
            manifest = self._manifest(group, child)
            if manifest is None or children.settled(manifest, child):
                continue
            try:
                await children.ensure(manifest, child)
            except Rejected as refused:
                refusal = refusal or Trouble(refused.reason, refused.message)
        suspended = wanted.flexdriver.spec.suspend
        # A node that is being asked may turn out to have a directory that nobody else has.
        if refusal is None and not suspended and not self._sides.kubelets.tally.unknown:
            await self._delete_children(keep=self._sides.children())
        return refusal

    def _groups(self, wanted: Wanted) -> Iterator[Group]:
        """The directories that nodes have, with what is wanted in them."""
        return (wanted.child(name) for name in self._sides.children())

    def _manifest(self, group: Group, child: DaemonSet | None) -> Mapping[str, Any] | None:
        """What a child has to be; of a suspended FlexDriver, what it was, None if nobody knows."""
        same = child is not None and child.template_hash == group.rendered.template_hash
        if same or not group.target.suspended:
            return group.rendered.manifest
        return self._world.children.known(group.rendered.name)

    async def _delete_children(self, keep: Iterable[str] = ()) -> list[DaemonSet]:
        """Delete the driver's DaemonSets but these; those that are still there."""
        others = [
            child
            for child in self._world.daemonsets.values()
            if child.flexdriver == self.name and child.name not in keep
        ]
        for child in others:
            if not child.deleting:
                await self._world.children.delete(child.name, child.uid)
        return others

    def _told(self, change: Change) -> events.Change:
        """The change as seen by people: a retry between a failure and what follows is no news."""
        node, before = change.node, change.before
        after = change.after.install if change.after else None
        if after is None or after.state in {State.INSTALLED, State.WOULD_INSTALL, State.OUTDATED}:
            before = self._failures.pop(node, before)
        elif after.state is State.FAILED:
            before = self._failures.get(node, before)
            self._failures[node] = after
        return events.Change(node, before, after)

    async def _explain(self) -> bool:
        """Fetch the Warning events that verdicts ask for; whether there were any."""
        now, fetched = time.time(), 0
        namespace, client = self._world.installer.namespace, self._world.client
        for survey in (side.survey for side in self._sides):
            for subject in survey.unexplained(now)[: _EXPLAINED_PER_PASS - fetched]:
                child = self._world.daemonsets.get(subject)
                if child is None:
                    text = await newest_warning(client, namespace, subject)
                else:
                    text = await newest_warning(client, namespace, child.uid, "FailedCreate")
                    if text:
                        await self._world.children.ask_again(child.name, now)
                survey.explain(subject, text, now)
                fetched += 1
        return bool(fetched)

    async def _roll(self) -> None:
        """Replace the pods whose turn it is, and let those that wait for it replace a driver."""
        for rollout in (side.rollout for side in self._sides):
            step = rollout.plan(self._settled)
            for pod in step.delete:
                await pods.delete(self._world.client, pod)
                rollout.asked(pod.node, pod.uid)
            for pod in step.grant:
                await pods.grant(self._world.client, pod, time.time())
                rollout.granted(pod.node, pod.uid)

    def _conclude(self, wanted: Wanted, trouble: Trouble | None) -> Json:
        """The status that follows from all verdicts."""
        tally = self._sides.kubelets.tally
        for state in State:
            metrics.NODES.labels(self.name, state.value).set(tally.states[state])
        for doubt, count in zip(
            _DOUBTS, (tally.guessed, tally.unknown, tally.mismatched), strict=True
        ):
            metrics.DIRECTORY_NODES.labels(self.name, doubt).set(count)
        return status(
            parse_metadata(self.body).generation,
            wanted.nowhere(KUBELET),
            tally,
            self._status,
            time.time(),
            trouble=trouble,
            applied=all(self._settled(group.target) for group in self._groups(wanted)),
            managers=self._sides.managers_status(wanted),
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
        for event in (*events.condition_events(before, new), *self._lookups_failed(new)):
            await self._world.recorder.record(about, *event)
        return None

    def _lookups_failed(self, new: Json) -> list[Event]:
        """The events about kubelets that do not answer, once nothing is under way."""
        if find(new, "Reconciling").get("status") != "False":
            return []
        problems, told = self._sides.kubelets.tally.problems(), self._lookups
        self._lookups = set(problems)
        return events.lookup_events(problems, told)

    async def _refuse(self, error: InvalidFlexDriver) -> float | None:
        """A spec that cannot be read changes nothing; but it must not be kept from going."""
        metadata = parse_metadata(self.body)
        if metadata.deleting and await self._dismantled(metadata):
            return None
        trouble = Trouble(ConditionReason.INVALID_SPEC, str(error))
        return await self._report(self._unreadable(trouble))

    def _unreadable(self, trouble: Trouble) -> Json:
        """The status of a FlexDriver of which nobody can say what it wants."""
        generation = parse_metadata(self.body).generation
        return invalid_status(generation, self._status, time.time(), trouble)

    async def _remove(self, wanted: Wanted) -> float | None:
        """The FlexDriver was deleted: take it apart, and tell how far that is."""
        self._observe(wanted)
        if not wanted.flexdriver.spec.suspend and await self._dismantled(
            wanted.flexdriver.metadata
        ):
            return None
        return await self._report(self._conclude(wanted, None))

    async def _dismantled(self, metadata: Metadata) -> bool:
        """Delete the children, then the entries in FlexNodes, then let the FlexDriver go."""
        if FINALIZER not in metadata.finalizers:
            return True
        if await self._delete_children() or self._lingering():
            return False
        self._sides.forget()
        await self._world.flexnodes.flushed(self.name)
        await release(self._world.client, self.name, metadata.uid)
        return True

    def _lingering(self) -> bool:
        """Whether pods are left where a kubelet can still end them; dead nodes hold up nothing."""
        nodes = self._world.nodes
        return any(
            name in nodes and nodes[name].ready for name in self._world.pods.nodes(self.name)
        )

    def _settled(self, target: Target) -> bool:
        """Whether the DaemonSet controller has seen what is wanted."""
        child = self._world.daemonsets.get(target.child)
        if child is None or child.deleting:
            return False
        return child.settled and child.template_hash == target.template_hash

    def _until_deadline(self) -> float | None:
        deadline = _soonest(*(side.survey.deadline for side in self._sides))
        return None if deadline is None else max(0.0, deadline - time.time())


_DOUBTS: Final = ("Guessed", "Unknown", "Mismatch")


def _attaches(found: Json) -> bool:
    """What the driver was last known to say; an operator that starts anew must not forget it."""
    return bool(found.get("capabilities", {}).get("attach"))


def _fresh_repairs(change: events.Change) -> int:
    """Repairs that were not reported before; a guard counts from its pod's start."""
    after = change.after.repairs.count if change.after else 0
    return max(0, after - (change.before.repairs.count if change.before else 0))


def _ready(found: Json) -> bool:
    return find(found, "Ready").get("status") == "True"


def _soonest(*times: float | None) -> float | None:
    return min((t for t in times if t is not None), default=None)
