"""The verdicts on one FlexDriver in one role, node by node, judged anew where something happened.

With thousands of nodes a pass over all of them for every pod that changes would be most of the
operator's work. So changes mark nodes, verdicts name the time at which they have to be looked at
again, and everything derived from them (counters, rollout, FlexNodes) is fed with the differences.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from flexvolume_operator.assess.table import assess, choose_pod
from flexvolume_operator.cluster.podindex import PodIndex
from flexvolume_operator.model.directory import Aim
from flexvolume_operator.model.flexnode import Install
from flexvolume_operator.model.names import Role, directory_hash
from flexvolume_operator.model.objects import Node, Pod
from flexvolume_operator.model.verdict import Match, Needs, Sight, Target, Verdict

# A Warning event that is still asked for is fetched again after this many seconds.
_STALE: Final = 15.0

# What an event is about: a pod by uid, or a DaemonSet by name, of all its pods that are missing.
Subject = str


class Question(NamedTuple):
    """What is asked of one node: whether it is meant, for what, and in which directory."""

    match: Match
    target: Target
    aim: Aim


class Change(NamedTuple):
    """A node's entry before (None: it had none) and its verdict now (None: it is not meant)."""

    node: str
    before: Install | None
    after: Verdict | None


class Survey:
    """Verdicts by node of a FlexDriver in one role.

    `ask(node, has_pod)` is the question; `remembered(node, target)` gives the entry that the API
    had before this process.
    """

    def __init__(
        self,
        flexdriver: str,
        role: Role,
        nodes: Mapping[str, Node],
        pods: PodIndex,
        remembered: Callable[[str, Target], Install | None],
    ) -> None:
        self.verdicts: dict[str, Verdict] = {}
        self._flexdriver = flexdriver
        self._role = role
        self._nodes = nodes
        self._pods = pods
        self._remembered = remembered
        self._marked: set[str] = set()
        self._deadlines: list[tuple[float, str]] = []
        # By node: the DaemonSet whose pod is missing, and since when.
        self._missing: dict[str, tuple[str, float]] = {}
        self._missed: Counter[str] = Counter()
        self._unexplained: dict[Subject, set[str]] = {}
        self._explained: dict[Subject, tuple[float, str]] = {}

    def mark(self, node: str) -> None:
        """Something about the node or its pod changed."""
        self._marked.add(node)

    def mark_all(self, nodes: Iterable[str]) -> None:
        """What is asked for changed, of these nodes and of all that were judged."""
        self._marked.update(nodes, self.verdicts)

    @property
    def deadline(self) -> float | None:
        """When time alone may change a verdict, in epoch seconds."""
        return self._deadlines[0][0] if self._deadlines else None

    def judge(self, ask: Callable[[Node, bool], Question], now: float) -> list[Change]:
        """Judge what is marked or due; the differences."""
        while self._deadlines and self._deadlines[0][0] <= now:
            when, name = heapq.heappop(self._deadlines)
            # A later verdict has a deadline of its own; two of one node would never become one.
            if name in self.verdicts and self.verdicts[name].recheck_at == when:
                self._marked.add(name)
        marked, self._marked = self._marked, set()
        changes = (self._judge(name, ask, now) for name in marked)
        return [change for change in changes if change is not None]

    def unexplained(self, now: float) -> list[Subject]:
        """Subjects whose newest Warning event is asked for and was not fetched just now."""
        return [
            subject
            for subject in self._unexplained
            if now - self._explained.get(subject, (0.0, ""))[0] > _STALE
        ]

    def explain(self, subject: Subject, text: str, now: float) -> None:
        """Take in the text of the subject's newest Warning event, empty if it has none."""
        known = self._explained.get(subject)
        self._explained[subject] = (now, text)
        if known is None or known[1] != text:
            self._marked.update(self._unexplained.get(subject, ()))

    def _judge(self, name: str, ask: Callable[[Node, bool], Question], now: float) -> Change | None:
        node, before = self._nodes.get(name), self.verdicts.get(name)
        pods = [p for p in self._pods.on(self._flexdriver, name) if p.role == self._role]
        question = ask(node, bool(pods)) if node else None
        if node is None or question is None or not question.match.matched:
            self._miss(name, "", now)
            self._forget(name, "")
            return Change(name, before.install, None) if before else None
        target = question.target
        pod = _of(target, pods)
        told = before.install if before else None
        if before and before.node_uid != node.uid:
            self._miss(name, "", now)
            previous = told = None
        elif before and before.target.path == target.path:
            previous = told
        else:
            previous = self._remembered(name, target)
        verdict = assess(target, self._sight(node, question, pod, previous, now))
        subject = pod.uid if pod else target.child
        self._forget(name, subject)
        self.verdicts[name] = verdict
        if verdict.needs is not Needs.NOTHING:
            self._unexplained.setdefault(subject, set()).add(name)
        if verdict.recheck_at is not None:
            heapq.heappush(self._deadlines, (verdict.recheck_at, name))
        return None if before == verdict else Change(name, told or previous, verdict)

    def _sight(
        self, node: Node, question: Question, pod: Pod | None, previous: Install | None, now: float
    ) -> Sight:
        match, aim, child = question.match, question.aim, question.target.child
        if pod is None:
            missing = self._miss(node.name, child, now)
            rejected = self._explained.get(child, (0.0, ""))[1]
            return Sight(
                node, match, pod, previous, now, aim, missing_since=missing, rejected=rejected
            )
        self._miss(node.name, "", now)
        warning = self._explained.get(pod.uid, (0.0, ""))[1]
        return Sight(node, match, pod, previous, now, aim, warning=warning)

    def _miss(self, node: str, child: str, now: float) -> float:
        """Note whose pod is missing on the node, "" for none; since when it is."""
        known = self._missing.get(node)
        if known is not None and known[0] == child:
            return known[1]
        if known is not None:
            del self._missing[node]
            self._missed[known[0]] -= 1
        if child:
            self._missing[node] = (child, now)
            self._missed[child] += 1
        return now

    def _forget(self, name: str, subject: Subject) -> None:
        """Drop the node's verdict, its wish for an explanation, and that of a former subject."""
        verdict = self.verdicts.pop(name, None)
        if verdict is None:
            return
        former = verdict.pod.uid if verdict.pod else verdict.target.child
        asking = self._unexplained.get(former, set())
        asking.discard(name)
        if not asking:
            self._unexplained.pop(former, None)
        if former != subject and not self._missed[former]:
            self._explained.pop(former, None)


def _of(target: Target, pods: Iterable[Pod]) -> Pod | None:
    """The pod of this target; those of a directory that the node has no more do not count."""
    directory = directory_hash(target.plugin_dir)
    return choose_pod(pod for pod in pods if pod.directory == directory)
