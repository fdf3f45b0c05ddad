"""Replaces installer pods whose template is no longer the wanted one.

DaemonSets are OnDelete: a pod is replaced by deleting it. At most a tenth of the Ready nodes are
without a working installer pod at any time because of it. Not counted are nodes that are not Ready,
as a dead node must neither use up the budget nor hold up the others, and nodes that have failed:
their pods guard nothing, so they are replaced at once. Their old driver keeps serving in any case.
"""

import heapq
from typing import Final

from flexvolume_operator.model.flexnode import State
from flexvolume_operator.model.objects import Pod
from flexvolume_operator.model.verdict import Target, Verdict

_SHARE: Final = 10


class Rollout:
    """The nodes of one target, sorted by what has to be done; one node at a time, in O(1)."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._verdicts: dict[str, Verdict] = {}
        self._ready: set[str] = set()
        self._busy: set[str] = set()
        self._urgent: dict[str, Pod] = {}
        self._stale: dict[str, Pod] = {}
        self._asked: dict[str, str] = {}

    def retarget(self, target: Target) -> None:
        """Take a new target; sorts all nodes again only when the wanted pod has changed."""
        before, self._target = self._target, target
        wanted = (target.template, target.template_hash)
        if (before.template, before.template_hash) != wanted:
            for node, verdict in list(self._verdicts.items()):
                self.put(node, verdict)

    def put(self, node: str, verdict: Verdict | None) -> None:
        """Take a node's new verdict in place of its last one; None when it is no longer meant."""
        self._verdicts.pop(node, None)
        self._ready.discard(node)
        self._busy.discard(node)
        self._urgent.pop(node, None)
        self._stale.pop(node, None)
        if verdict is None or verdict.state is State.UNSUPPORTED:
            self._asked.pop(node, None)
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
        self._sort(node, verdict, pod)

    def asked(self, node: str, uid: str) -> None:
        """The API server has accepted the deletion of this pod; the watch has yet to show it."""
        verdict = self._verdicts.get(node)
        if verdict is not None and verdict.pod is not None and verdict.pod.uid == uid:
            self._asked[node] = uid
            self.put(node, verdict)

    def plan(self, *, settled: bool) -> list[Pod]:
        """The pods to delete now, in order of their nodes.

        `settled` is whether the DaemonSet controller has seen the wanted DaemonSet; before that it
        would make the same old pod again.
        """
        if self._target.suspended or self._target.deleting or not settled:
            return []
        if not self._urgent and not self._stale:
            return []
        free = max(1, len(self._ready) // _SHARE) - len(self._busy)
        nodes = sorted(self._urgent) + heapq.nsmallest(max(0, free), self._stale)
        return [self._urgent.get(node) or self._stale[node] for node in nodes]

    def _sort(self, node: str, verdict: Verdict, pod: Pod) -> None:
        stale = pod.template != self._target.template
        rivals_changed = pod.template_hash != self._target.template_hash
        if stale and verdict.state is not State.FAILED:
            self._stale[node] = pod
        elif stale or (rivals_changed and verdict.state is not State.INSTALLED):
            self._urgent[node] = pod
        elif not verdict.settled and verdict.state is not State.FAILED:
            self._busy.add(node)
