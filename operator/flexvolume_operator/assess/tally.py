"""Counts of the states of a FlexDriver's nodes, kept up to date instead of counted again.

One node's change costs the same in a cluster of five nodes and of five thousand.
"""

import heapq
from collections import Counter
from typing import Any, Final

from flexvolume_operator.model.flexnode import SAMPLE_LIMIT, State, shorten
from flexvolume_operator.model.report import Capabilities
from flexvolume_operator.model.verdict import Verdict

_SAMPLE: Final = 10
_ANSWERED: Final = frozenset({State.INSTALLED, State.WOULD_INSTALL})


class Tally:
    """Counts of the verdicts in one role, brought up to date one node at a time.

    `directories` counts nodes by directory, `children` by the DaemonSet that is for them; `updated`
    nodes have the wanted pod, `stale` ones still get it; `guessed`, `mismatched` and `unknown` are
    about their directories.
    """

    def __init__(self) -> None:
        self.states: Counter[State] = Counter()
        self.directories: Counter[tuple[str, str]] = Counter()
        self.children: Counter[str] = Counter()
        self.updated = 0
        self.stale = 0
        self.guessed = 0
        self.mismatched = 0
        self.unknown = 0
        self._capabilities: Counter[Capabilities] = Counter()
        self._verdicts: dict[str, Verdict] = {}
        self._failing: dict[str, Verdict] = {}
        self._guessing: set[str] = set()
        self._problems: dict[str, set[str]] = {}
        self._warned: dict[str, set[str]] = {}

    def put(self, node: str, verdict: Verdict | None) -> None:
        """Take a node's new verdict in place of its last one; None when it is no longer meant."""
        before = self._verdicts.pop(node, None)
        if before is not None:
            self._count(before, -1)
            self._failing.pop(node, None)
            self._guessing.discard(node)
            self._problems.get(_reason(before), set()).discard(node)
            for caution in before.install.warnings:
                self._warned.get(caution.reason, set()).discard(node)
        if verdict is not None:
            self._verdicts[node] = verdict
            self._count(verdict, +1)
            if verdict.state is State.FAILED:
                self._failing[node] = verdict
            if verdict.aim.guessed:
                self._guessing.add(node)
            if verdict.aim.problem:
                self._problems.setdefault(_reason(verdict), set()).add(node)
            for caution in verdict.install.warnings:
                self._warned.setdefault(caution.reason, set()).add(node)

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

    def warnings(self) -> list[dict[str, Any]]:
        """What nodes warn of: how many of it, and what the first by name says."""
        found = sorted((reason, nodes) for reason, nodes in self._warned.items() if nodes)
        return [self._warning(reason, nodes) for reason, nodes in found[:_SAMPLE]]

    def _warning(self, reason: str, nodes: set[str]) -> dict[str, Any]:
        first = min(nodes)
        said = self._verdicts[first].install.warnings
        message = next(caution.message for caution in said if caution.reason == reason)
        text = shorten(f"{first}: {message}", SAMPLE_LIMIT)
        return {"reason": reason, "nodes": len(nodes), "message": text}

    def guessing(self) -> str:
        """The first node by name whose directory is guessed, and why nobody tells it."""
        node = min(self._guessing)
        return f"{node}: {self._verdicts[node].aim.problem}"

    def problems(self) -> dict[str, tuple[list[str], str]]:
        """Why kubelets did not answer: by reason the nodes, and the words of the first."""
        return {
            reason: (sorted(nodes), self._verdicts[min(nodes)].aim.problem)
            for reason, nodes in self._problems.items()
            if nodes
        }

    def _count(self, verdict: Verdict, by: int) -> None:
        install, aim = verdict.install, verdict.aim
        self.states[verdict.state] += by
        self.updated += by * verdict.updated
        # A pod that the rollout still has to replace, on a node where it can.
        replaceable = verdict.pod is not None and verdict.node_ready
        self.stale += by * (replaceable and not verdict.updated)
        if verdict.target.child and not aim.doubt:
            _add(self.directories, (aim.path, install.role), by)
            _add(self.children, verdict.target.child, by)
        self.guessed += by * aim.guessed
        self.mismatched += by * (aim.doubt == "Mismatch")
        # Of a node that is not Ready it need not be known now.
        self.unknown += by * (aim.doubt == "Unknown" and verdict.node_ready)
        if verdict.state in _ANSWERED and install.capabilities is not None:
            _add(self._capabilities, install.capabilities, by)


def _reason(verdict: Verdict) -> str:
    return verdict.aim.problem.partition(":")[0]


def _add(counter: Counter[Any], key: Any, by: int) -> None:
    counter[key] += by
    if not counter[key]:
        del counter[key]
