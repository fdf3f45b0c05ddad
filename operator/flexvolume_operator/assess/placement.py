"""Which nodes a FlexDriver is meant for, decided as the DaemonSet controller decides it.

The controller makes no pod where its own rules say no, and tells nobody; so the operator has to
know by the same rules on which nodes a missing pod is a fault.

Windows and virtual nodes never get a pod, nor do machines of an architecture that the driver is not
built for. Such a node counts as Unsupported when everything else
about the placement would have matched it, so that "every node" is seen to leave some out; a
placement that never meant it does not count it.
"""

from collections.abc import Iterable
from typing import Final

from flexvolume_operator.model.flexdriver import (
    NodeSelectorTerm,
    Placement,
    Toleration,
)
from flexvolume_operator.model.names import LABEL_ARCHITECTURE, VIRTUAL_NODES
from flexvolume_operator.model.objects import Node, Taint
from flexvolume_operator.model.reasons import Reason
from flexvolume_operator.model.selectors import OPERATORS, satisfied
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
    """A placement made ready to be asked about many nodes.

    `architectures` that the driver is built for; none: any.
    """

    def __init__(self, placement: Placement, architectures: Iterable[str] = ()) -> None:
        self._architectures = frozenset(architectures)
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
        return self.able(node)

    def able(self, node: Node) -> Match:
        """A machine that is meant: is the driver built for it?"""
        wanted = self._architectures
        if wanted and node.labels.get(LABEL_ARCHITECTURE) not in wanted:
            return Match(matched=True, unsupported=Reason.UNSUPPORTED_ARCHITECTURE)
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
    return relation in _OF_TAINTS and OPERATORS[relation](taint.value, [value])


def _term(term: NodeSelectorTerm, node: Node) -> bool:
    expressions, fields = term.match_expressions or (), term.match_fields or ()
    if not expressions and not fields:
        return False
    on_fields = satisfied(fields, {"metadata.name": node.name})
    return on_fields and satisfied(expressions, node.labels)


_OF_TAINTS: Final = frozenset({"Exists", "Gt", "Lt"})
