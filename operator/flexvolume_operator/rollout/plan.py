"""Replaces installer pods whose template is not the wanted one, and foreign drivers by ours.

DaemonSets are OnDelete: a pod is replaced by deleting it. At most a tenth of the Ready nodes are
without a working installer pod at any time because of it, those included on which ours is just
taking a foreign driver's place. Not counted are nodes that are not Ready, as a dead node must
neither use up the budget nor hold up the others, and nodes that have failed: their pods guard
nothing, so they are replaced at once. Their old driver keeps serving in any case.
"""

import heapq
from collections.abc import Callable
from typing import Final, NamedTuple

from flexvolume_operator.model.flexnode import State
from flexvolume_operator.model.objects import Pod
from flexvolume_operator.model.verdict import Target, Verdict

_SHARE: Final = 10


class Step(NamedTuple):
    """What is to be done now: pods to delete, and pods that are granted their turn, by node."""

    delete: list[Pod]
    grant: list[Pod]


class Rollout:
    """The nodes of one role, sorted by what has to be done; one node at a time, in O(1)."""

    def __init__(self) -> None:
        self._verdicts: dict[str, Verdict] = {}
        self._ready: set[str] = set()
        self._busy: set[str] = set()
        self._urgent: set[str] = set()
        self._stale: set[str] = set()
        self._waiting: set[str] = set()
        self._asked: dict[str, str] = {}
        self._granted: dict[str, str] = {}

    def put(self, node: str, verdict: Verdict | None) -> None:
        """Take a node's new verdict in place of its last one; None when it is no longer meant."""
        self._verdicts.pop(node, None)
        for kind in (self._ready, self._busy, self._urgent, self._stale, self._waiting):
            kind.discard(node)
        if verdict is None or verdict.state is State.UNSUPPORTED:
            self._asked.pop(node, None)
            self._granted.pop(node, None)
            return
        self._verdicts[node] = verdict
        if not verdict.node_ready:
            return
        self._ready.add(node)
        pod = verdict.pod
        if pod is None or pod.deleted:
            self._busy.add(node)
            return
        if self._asked.get(node) == pod.uid:
            self._busy.add(node)
            return
        self._asked.pop(node, None)
        if self._granted.get(node) == pod.uid and not pod.granted:
            self._busy.add(node)
            return
        self._granted.pop(node, None)
        self._sort(node, verdict, pod)

    def asked(self, node: str, uid: str) -> None:
        """The API server has accepted the deletion of this pod; the watch has yet to show it."""
        verdict = self._verdicts.get(node)
        if verdict is not None and verdict.pod is not None and verdict.pod.uid == uid:
            self._asked[node] = uid
            self.put(node, verdict)

    def granted(self, node: str, uid: str) -> None:
        """The API server knows that it is this pod's turn; the watch has yet to show it."""
        verdict = self._verdicts.get(node)
        if verdict is not None and verdict.pod is not None and verdict.pod.uid == uid:
            self._granted[node] = uid
            self.put(node, verdict)

    def plan(self, settled: Callable[[Target], bool]) -> Step:
        """What to do now, in order of nodes.

        `settled` is whether the DaemonSet controller has seen the target's DaemonSet as it is
        wanted; before that it would make the same old pod again.
        """
        urgent = self._replaceable(self._urgent, settled)
        stale = self._replaceable(self._stale, settled)
        waiting = self._replaceable(self._waiting, settled)
        if not urgent and not stale and not waiting:
            return Step([], [])
        free = max(0, max(1, len(self._ready) // _SHARE) - len(self._busy))
        chosen = heapq.nsmallest(free, stale)
        turns = heapq.nsmallest(free - len(chosen), waiting)
        return Step(self._pods(sorted(urgent) + chosen), self._pods(turns))

    def _pods(self, nodes: list[str]) -> list[Pod]:
        return [pod for node in nodes if (pod := self._verdicts[node].pod) is not None]

    def _replaceable(self, nodes: set[str], settled: Callable[[Target], bool]) -> list[str]:
        targets = ((node, self._verdicts[node].target) for node in nodes)
        return [
            node
            for node, target in targets
            if not target.suspended and not target.deleting and settled(target)
        ]

    def _sort(self, node: str, verdict: Verdict, pod: Pod) -> None:
        stale = pod.template != verdict.target.template
        rivals_changed = pod.template_hash != verdict.target.template_hash
        if stale and verdict.state is not State.FAILED:
            self._stale.add(node)
        elif stale or (rivals_changed and verdict.state is not State.INSTALLED):
            self._urgent.add(node)
        elif verdict.waits:
            self._waiting.add(node)
        elif not verdict.settled and verdict.state is not State.FAILED:
            self._busy.add(node)
