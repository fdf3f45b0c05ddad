"""Finds out each node's plugin directory once, and remembers it.

A node is asked when a driver first wants it, and again only when another boot, kubelet version or
address shows, when its kubelet has started anew (which may bring another directory), when its own
process contradicts, or when a day has passed. An answer is replaced only by another answer, never
by a failure to get one.
"""

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from msgspec.structs import replace

from flexvolume_operator import metrics
from flexvolume_operator.directories import configz
from flexvolume_operator.directories.resolve import Opinions, resolve
from flexvolume_operator.model.directory import Asked, NodeDirectory, Observed, Seen
from flexvolume_operator.model.names import LABEL_PLUGIN_DIR, directory_label
from flexvolume_operator.model.objects import Node
from flexvolume_operator.schedule import Schedule

_ASKERS: Final = 24
# A kubelet that starts, or a network that is being made, gets so long before others are believed.
PATIENCE: Final = 30.0
_SOONEST, _SOON = 1.0, 8.0
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
# Nodes that are gone, in case they come back under their name with what we wrote on them.
_GONE_KEPT: Final = 1000

_NOT_ASKED: Final = configz.problem(
    configz.Trouble.NOT_ASKED, "the operator is told not to ask kubelets"
)

Ask = Callable[[Node], Awaitable[Asked]]


class _Case:
    """What is known of a node, as raw answers and as what follows from them (`told`)."""

    __slots__ = (
        "answered_at", "doubted", "failing_since", "known", "node", "over", "refuted", "told",
    )  # fmt: skip

    def __init__(self, node: Node, known: NodeDirectory) -> None:
        self.node = node
        self.known = known
        self.told = NodeDirectory()
        # Whether the kubelet had its chance to answer.
        self.over = bool(known.path)
        # Whether its process has contradicted it since.
        self.doubted = False
        # What the process says and the kubelet, asked again, has not confirmed.
        self.refuted = ""
        self.failing_since = 0.0
        self.answered_at = time.time()


class Inquiry:
    """What is known of each node's directory. `ask` None: kubelets are not asked.

    Called in the event loop: `opened(name)` when a node is taken up, with what is known of it by
    then; `changed(name)` whenever that changes.
    """

    def __init__(
        self,
        nodes: Mapping[str, Node],
        opinions: Opinions,
        ask: Ask | None,
        opened: Callable[[str], None],
        changed: Callable[[str], None],
    ) -> None:
        self._nodes = nodes
        self._opinions = opinions
        self._ask = ask
        self._opened = opened
        self._changed = changed
        self._cases: dict[str, _Case] = {}
        self._gone: dict[str, _Case] = {}
        self._released: dict[str, str] = {}
        self._remembered: dict[str, tuple[str, NodeDirectory]] = {}
        self._seen: dict[str, tuple[float, Seen]] = {}
        self._questions = Schedule(self._question, _ASKERS)

    def load(self, name: str, node_uid: str, known: NodeDirectory) -> None:
        """Take in what an earlier process wrote down about a node."""
        self._remembered[name] = (node_uid, known)

    async def run(self) -> None:
        """Ask whoever is due, for ever."""
        await self._questions.run()

    def of(self, node: Node) -> NodeDirectory:
        """What is known of a node that a driver is meant for; it is asked if that is nothing."""
        case = self._cases.get(node.name)
        return (case or self._open(node)).told

    def known(self, name: str) -> NodeDirectory | None:
        """The same of a node by name; None if no driver is meant for it."""
        if (case := self._cases.get(name)) is not None:
            return case.told
        # It is not taken up yet, but what stands in its FlexNode holds until then.
        node, (uid, known) = self._nodes.get(name), self._remembered.get(name, ("", None))
        return known if node is not None and node.uid == uid else None

    def release(self, name: str) -> None:
        """No driver is meant for the node any more."""
        self._cases.pop(name, None)
        self._remembered.pop(name, None)
        if (node := self._nodes.get(name)) is not None:
            self._released[name] = node.uid

    def is_released(self, node: Node) -> bool:
        """Whether that was so of this very node; before it is judged, nothing is."""
        return self._released.get(node.name) == node.uid

    def node_changed(self, name: str) -> None:
        """A Node appeared, changed or vanished."""
        node, case = self._nodes.get(name), self._cases.get(name)
        if node is None:
            self._released.pop(name, None)
        if case is None or (node is not None and node.uid == case.node.uid):
            if case is not None and node is not None:
                self._same_node_changed(node, case)
            return
        self._gone[name] = self._cases.pop(name)
        self._seen.pop(name, None)
        if len(self._gone) > _GONE_KEPT:
            self._gone.pop(next(iter(self._gone)))
        if node is not None:
            self._open(node)
            self._changed(name)

    def heard(self, name: str, boot_id: str, seen: Seen, at: float) -> None:
        """The node program has read the kubelet's settings on the node, at `at` epoch seconds."""
        node, case = self._nodes.get(name), self._cases.get(name)
        if node is None or (boot_id and node.boot_id and boot_id != node.boot_id):
            return
        if at < self._seen.get(name, (0.0, seen))[0]:
            return
        self._seen[name] = (at, seen)
        if case is None:
            return
        case.known = replace(case.known, process=seen)
        contradicts = case.known.kubelet.path not in ("", seen.path)
        if contradicts and at > case.answered_at and seen.path != case.refuted:
            case.doubted = True
            self._questions.add(name)
        self._decide(case)

    def restarted(self, name: str) -> None:
        """The node's kubelet has started, maybe with other settings; it will answer in a moment."""
        if (case := self._cases.get(name)) is not None:
            case.failing_since = 0.0
            self._questions.add(name, _SOONEST)

    def _same_node_changed(self, node: Node, case: _Case) -> None:
        before, case.node = case.node, node
        if _observed(before) != _observed(node):
            self._questions.add(node.name)
        elif before.silent and not node.silent:
            self.restarted(node.name)
        if before.labels != node.labels:
            self._decide(case)

    def _open(self, node: Node) -> _Case:
        """Begin with what is remembered of the node."""
        known = self._revived(node) or self._recalled(node) or NodeDirectory()
        if (seen := self._seen.get(node.name)) is not None:
            known = replace(known, process=seen[1])
        case = self._cases[node.name] = _Case(node, known)
        self._released.pop(node.name, None)
        asked = known.kubelet.over and known.observed == _observed(node)
        if self._ask is None:
            case.over = True
            if not known.kubelet.path:
                case.known = replace(known, kubelet=_NOT_ASKED)
        elif asked and known.kubelet.path:
            # Spread over the day, as all nodes are taken up together.
            self._questions.add(node.name, random.uniform(_HOUR, _DAY))  # noqa: S311
        elif asked:
            self._questions.add(node.name, random.uniform(_MINUTE, _HOUR))  # noqa: S311
        else:
            self._questions.add(node.name)
        case.told = self._resolved(case)
        self._opened(node.name)
        return case

    def _recalled(self, node: Node) -> NodeDirectory | None:
        """What an earlier process knew of this very Node."""
        uid, known = self._remembered.pop(node.name, ("", None))
        return known if uid == node.uid else None

    def _revived(self, node: Node) -> NodeDirectory | None:
        """What was known of the Node that had the name before, if this one is but a copy of it."""
        case = self._gone.pop(node.name, None)
        if case is None or not case.told.path:
            return None
        if node.labels.get(LABEL_PLUGIN_DIR) != directory_label(case.told.path):
            return None
        return replace(case.told, observed=Observed())

    async def _question(self, name: str) -> bool:
        """Ask one node now, and decide when to ask it again."""
        case = self._cases.get(name)
        # Of a silent kubelet no answer can be had, and it will be heard of when it is back.
        if self._ask is None or case is None or case.node.silent:
            return True
        observed = _observed(case.node)
        answer = await self._ask(case.node)
        metrics.KUBELET_LOOKUPS.labels(answer.reason or "Answered").inc()
        if self._cases.get(name) is not case:
            return True
        pause = self._answered if answer.path else self._failed
        self._questions.add(name, pause(case, answer, observed) * random.uniform(0.8, 1.2))  # noqa: S311
        self._decide(case)
        return True

    def _answered(self, case: _Case, answer: Asked, observed: Observed) -> float:
        """Take in an answer; seconds until it is asked for again."""
        said = case.known.process.path
        case.refuted = said if case.doubted and said != answer.path else ""
        case.known = replace(case.known, observed=observed, kubelet=answer)
        case.over, case.doubted, case.failing_since = True, False, 0.0
        case.answered_at = time.time()
        return _DAY

    def _failed(self, case: _Case, answer: Asked, observed: Observed) -> float:
        """Take in that there was none; seconds until the next attempt, ever longer."""
        now = time.monotonic()
        case.failing_since = case.failing_since or now
        failing = now - case.failing_since
        passing = answer.reason in configz.PASSING
        if passing and failing < PATIENCE:
            return min(max(_SOONEST, failing), _SOON)
        told = case.known.kubelet
        if told.path and not case.doubted:
            case.known = replace(case.known, kubelet=replace(answer, path=told.path, tls=told.tls))
        else:
            case.known = replace(case.known, observed=observed, kubelet=answer)
        case.over, case.doubted = True, False
        return min(max(_MINUTE if passing else 10 * _MINUTE, failing), _DAY / 4)

    def _decide(self, case: _Case) -> None:
        """Let follow what has to follow from what is known, and tell if that is something new."""
        resolved = self._resolved(case)
        if resolved != case.told:
            case.told = resolved
            self._changed(case.node.name)

    def _resolved(self, case: _Case) -> NodeDirectory:
        over = case.over and not case.doubted
        return resolve(case.node, case.known, self._opinions, over=over)


def _observed(node: Node) -> Observed:
    return Observed(node.boot_id, node.kubelet_version, node.address)
