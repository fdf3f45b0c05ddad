"""Counts of the states of a FlexDriver's nodes, kept up to date instead of counted again.

One node's change costs the same in a cluster of five nodes and of five thousand.
"""

import heapq
from collections import Counter
from typing import Any, Final

from flexvolume_operator.model.flexnode import SAMPLE_LIMIT, State, shorten
from flexvolume_operator.model.names import plugin_dir_of
from flexvolume_operator.model.report import Capabilities
from flexvolume_operator.model.verdict import Verdict

_SAMPLE: Final = 10


class Tally:
    """Counts of one target's verdicts, brought up to date one node at a time."""

    def __init__(self, template: str = "") -> None:
        self.template = template
        self.states: Counter[State] = Counter()
        self.directories: Counter[tuple[str, str]] = Counter()
        self.updated = 0
        self.stale = 0
        self._capabilities: Counter[Capabilities] = Counter()
        self._verdicts: dict[str, Verdict] = {}
        self._failing: dict[str, Verdict] = {}

    def put(self, node: str, verdict: Verdict | None) -> None:
        """Take a node's new verdict in place of its last one; None when it is no longer meant."""
        before = self._verdicts.pop(node, None)
        if before is not None:
            self._count(before, -1)
            self._failing.pop(node, None)
        if verdict is not None:
            self._verdicts[node] = verdict
            self._count(verdict, +1)
            if verdict.state is State.FAILED:
                self._failing[node] = verdict

    def retarget(self, template: str) -> None:
        """Count anew which pods are of the wanted template; the one operation that takes O(n)."""
        if template != self.template:
            self.template = template
            self.updated = sum(self._is_updated(v) for v in self._verdicts.values())
            self.stale = sum(self._is_stale(v) for v in self._verdicts.values())

    @property
    def matched(self) -> int:
        """Nodes that the placement means."""
        return self.states.total()

    @property
    def possible(self) -> int:
        """Of these, the nodes that can have the driver."""
        return self.matched - self.states[State.UNSUPPORTED]

    @property
    def installed(self) -> int:
        """Nodes with the current revision."""
        return self.states[State.INSTALLED]

    @property
    def capabilities(self) -> Capabilities | None:
        """What the driver answers on most nodes."""
        counts = sorted(self._capabilities.items(), key=lambda c: (-c[1], repr(c[0])))
        return counts[0][0] if counts else None

    def failing(self) -> list[dict[str, str]]:
        """The first failed nodes by name, as the status shows them."""
        return [
            {
                "node": node,
                "reason": self._failing[node].install.reason,
                "message": shorten(self._failing[node].install.message, SAMPLE_LIMIT),
            }
            for node in heapq.nsmallest(_SAMPLE, self._failing)
        ]

    def _count(self, verdict: Verdict, by: int) -> None:
        install = verdict.install
        self.states[verdict.state] += by
        self.updated += by * self._is_updated(verdict)
        self.stale += by * self._is_stale(verdict)
        if verdict.state is not State.UNSUPPORTED:
            _add(self.directories, (plugin_dir_of(install.path), install.role), by)
        if verdict.state is State.INSTALLED and install.capabilities is not None:
            _add(self._capabilities, install.capabilities, by)

    def _is_updated(self, verdict: Verdict) -> bool:
        """Between two pods a node counts by its state: the next one is of the wanted template."""
        if verdict.pod is None:
            return verdict.state is State.INSTALLED
        return verdict.pod.template == self.template

    def _is_stale(self, verdict: Verdict) -> bool:
        """A pod that the rollout still has to replace, on a node where it can."""
        replaceable = verdict.pod is not None and verdict.node_ready
        return replaceable and not self._is_updated(verdict)


def _add(counter: Counter[Any], key: Any, by: int) -> None:
    counter[key] += by
    if not counter[key]:
        del counter[key]
