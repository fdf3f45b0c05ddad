"""Which nodes a FlexDriver is meant for, decided as the DaemonSet controller decides it.

The controller makes no pod where its own rules say no, and tells nobody; so the operator has to
know by the same rules on which nodes a missing pod is a fault.

Windows and virtual nodes never get a pod. Such a node counts as Unsupported when everything else
about the placement would have matched it, so that "every node" is seen to leave some out; a
placement that never meant it does not count it.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from flexvolume_operator.model.flexdriver import (
    NodeSelectorTerm,
    Placement,
    Requirement,
    Toleration,
)
from flexvolume_operator.model.names import VIRTUAL_NODES
from flexvolume_operator.model.objects import Node, Taint
from flexvolume_operator.model.reasons import Reason
from flexvolume_operator.model.verdict import Match

_OS: Final = "kubernetes.io/os"

# What the DaemonSet controller adds to every pod by itself.
_ADDED: Final = (
    *(
        Toleration(key=f"node.kubernetes.io/{key}", operator="Exists", effect="NoExecute")
        for key in ("not-ready", "unreachable")
    ),
    *(
        Toleration(key=f"node.kubernetes.io/{key}", operator="Exists", effect="NoSchedule")
        for key in ("disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")
    ),
)


NOT_MATCHED: Final = Match(matched=False)
MATCHED: Final = Match(matched=True)


class Matcher:
    """A placement made ready to be asked about many nodes."""

    def __init__(self, placement: Placement) -> None:
        self._labels = {k: v for k, v in placement.node_selector.items() if k != _OS}
        self._wants_linux = placement.node_selector.get(_OS, "linux") == "linux"
        affinity = placement.affinity.node_affinity
        required = affinity and affinity.required_during_scheduling_ignored_during_execution
        self._terms = required.node_selector_terms if required else None
        self._tolerations = (*placement.tolerations, *_ADDED)

    def match(self, node: Node, *, has_pod: bool = False) -> Match:
        """Whether the node is meant; one that has a pod keeps it when a NoSchedule taint comes."""
        if not self._wants_linux or not self._selected(node):
            return NOT_MATCHED
        effects = ("NoExecute",) if has_pod else ("NoSchedule", "NoExecute")
        if not all(t.effect not in effects or self._tolerated(t) for t in node.taints):
            return NOT_MATCHED
        if any(node.labels.get(key) == value for key, value in VIRTUAL_NODES):
            return Match(matched=True, unsupported=Reason.VIRTUAL_NODE)
        if node.labels.get(_OS) != "linux":
            return Match(matched=True, unsupported=Reason.UNSUPPORTED_OS)
        return MATCHED

    def _selected(self, node: Node) -> bool:
        if any(node.labels.get(key) != value for key, value in self._labels.items()):
            return False
        return self._terms is None or any(_term(term, node) for term in self._terms)

    def _tolerated(self, taint: Taint) -> bool:
        return any(tolerates(toleration, taint) for toleration in self._tolerations)


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether a toleration covers a taint, effect included."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    relation, value = toleration.operator or "Equal", toleration.value or ""
    if relation == "Equal":
        return bool(toleration.key) and value == taint.value
    return relation in _OF_TAINTS and _OPERATORS[relation](taint.value, [value])


def _term(term: NodeSelectorTerm, node: Node) -> bool:
    expressions, fields = term.match_expressions or (), term.match_fields or ()
    if not expressions and not fields:
        return False
    return _all(expressions, node.labels) and _all(fields, {"metadata.name": node.name})


def _all(requirements: Iterable[Requirement], values: Mapping[str, str]) -> bool:
    return all(
        r.operator in _OPERATORS and _OPERATORS[r.operator](values.get(r.key), r.values or [])
        for r in requirements
    )


def _numbers(value: str | None, wanted: Sequence[str]) -> tuple[int, int]:
    """Both sides as whole numbers; equal ones, which are neither less nor more, if one is none."""
    try:
        return (int(value or ""), int(wanted[0]))
    except (ValueError, IndexError):
        return (0, 0)


_OF_TAINTS: Final = frozenset({"Exists", "Gt", "Lt"})
_OPERATORS: Final[dict[str, Callable[[str | None, Sequence[str]], bool]]] = {
    "In": lambda value, wanted: value in wanted,
    "NotIn": lambda value, wanted: value not in wanted,
    "Exists": lambda value, _wanted: value is not None,
    "DoesNotExist": lambda value, _wanted: value is None,
    "Gt": lambda value, wanted: operator.gt(*_numbers(value, wanted)),
    "Lt": lambda value, wanted: operator.lt(*_numbers(value, wanted)),
}
