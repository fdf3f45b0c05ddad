"""The verdicts on one FlexDriver, node by node, judged anew only where something happened.

With thousands of nodes a pass over all of them for every pod that changes would be most of the
operator's work. So changes mark nodes, verdicts name the time at which they have to be looked at
again, and everything derived from them (counters, rollout, FlexNodes) is fed with the differences.
"""

import heapq
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from flexvolume_operator.assess.placement import NOT_MATCHED, Matcher
from flexvolume_operator.assess.table import assess, choose_pod
from flexvolume_operator.cluster.podindex import PodIndex
from flexvolume_operator.model.flexnode import Install
from flexvolume_operator.model.names import directory_hash
from flexvolume_operator.model.objects import Node, Pod
from flexvolume_operator.model.verdict import Match, Needs, Sight, Target, Verdict

# A Warning event that is still asked for is fetched again after this many seconds.
_STALE: Final = 15.0

# What an event is about: a pod by uid, or "" for the DaemonSet of all the pods that are missing.
Subject = str


class Change(NamedTuple):
    """A node's entry before (None: it had none) and its verdict now (None: it is not meant)."""

    node: str
    before: Install | None
    after: Verdict | None


class Survey:
    """Verdicts by node. `remembered` gives the entry that the API had before this process."""

    def __init__(
        self,
        flexdriver: str,
        nodes: Mapping[str, Node],
        pods: PodIndex,
        remembered: Callable[[str, Target], Install | None],
    ) -> None:
        self.verdicts: dict[str, Verdict] = {}
        self._flexdriver = flexdriver
        self._nodes = nodes
        self._pods = pods
        self._remembered = remembered
        self._marked: set[str] = set()
        self._deadlines: list[tuple[float, str]] = []
        self._missing_since: dict[str, float] = {}
        self._unexplained: dict[Subject, set[str]] = {}
        self._explained: dict[Subject, tuple[float, str]] = {}

    def mark(self, node: str) -> None:
        """Something about the node or its pod changed."""
        self._marked.add(node)

    def mark_all(self) -> None:
        """What is asked for changed."""
        self._marked.update(self._nodes, self.verdicts)

    @property
    def deadline(self) -> float | None:
        """When time alone may change a verdict, in epoch seconds."""
        return self._deadlines[0][0] if self._deadlines else None

    def judge(self, target: Target, matcher: Matcher, now: float) -> list[Change]:
        """Judge what is marked or due; the differences."""
        while self._deadlines and self._deadlines[0][0] <= now:
            when, name = heapq.heappop(self._deadlines)
            # A later verdict has a deadline of its own; two of one node would never become one.
            if name in self.verdicts and self.verdicts[name].recheck_at == when:
                self._marked.add(name)
        marked, self._marked = self._marked, set()
        changes = (self._judge(name, target, matcher, now) for name in marked)
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

    def _judge(self, name: str, target: Target, matcher: Matcher, now: float) -> Change | None:
        node, before = self._nodes.get(name), self.verdicts.get(name)
        pod = self._pod(name, target)
        match = matcher.match(node, has_pod=pod is not None) if node else NOT_MATCHED
        if node is None or not match.matched:
            self._missing_since.pop(name, None)
            self._forget(name, pod)
            return Change(name, before.install, None) if before else None
        if before and before.node_uid != node.uid:
            self._missing_since.pop(name, None)
            previous = None
        else:
            previous = before.install if before else self._remembered(name, target)
        verdict = assess(target, self._sight(node, match, pod, previous, now))
        self._forget(name, pod)
        self.verdicts[name] = verdict
        if verdict.needs is not Needs.NOTHING:
            self._unexplained.setdefault(pod.uid if pod else "", set()).add(name)
        if verdict.recheck_at is not None:
            heapq.heappush(self._deadlines, (verdict.recheck_at, name))
        return None if before == verdict else Change(name, previous, verdict)

    def _sight(
        self, node: Node, match: Match, pod: Pod | None, previous: Install | None, now: float
    ) -> Sight:
        if pod is None:
            missing = self._missing_since.setdefault(node.name, now)
            rejected = self._explained.get("", (0.0, ""))[1]
            return Sight(node, match, pod, previous, now, missing_since=missing, rejected=rejected)
        self._missing_since.pop(node.name, None)
        warning = self._explained.get(pod.uid, (0.0, ""))[1]
        return Sight(node, match, pod, previous, now, warning=warning)

    def _pod(self, node: str, target: Target) -> Pod | None:
        directory = directory_hash(target.plugin_dir)
        pods = self._pods.on(self._flexdriver, node)
        return choose_pod([pod for pod in pods if pod.directory == directory])

    def _forget(self, name: str, pod: Pod | None) -> None:
        """Drop the node's verdict, its wish for an explanation, and that of a former pod."""
        verdict = self.verdicts.pop(name, None)
        if verdict is None:
            return
        former = verdict.pod.uid if verdict.pod else ""
        asking = self._unexplained.get(former, set())
        asking.discard(name)
        if not asking:
            self._unexplained.pop(former, None)
        moved_on = former != (pod.uid if pod else "")
        if moved_on and (former or not self._missing_since):
            self._explained.pop(former, None)
