"""The user's node affinity, and ours on top: only machines that can run it behind an open gate.

Terms are alternatives, so what must hold always has to go into each of them; and where ours are
alternatives too, each of the user's goes with each of ours.
"""

from collections.abc import Sequence
from typing import Any

from flexvolume_operator.model.flexdriver import Affinity
from flexvolume_operator.model.names import LABEL_ARCHITECTURE, VIRTUAL_NODES
from flexvolume_operator.render.gate import Requirements

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_MACHINES: Requirements = [
    {"key": key, "operator": "NotIn", "values": [value]} for key, value in VIRTUAL_NODES
]


def on_machines(
    affinity: Affinity,
    gate: Sequence[Requirements] = (),
    architectures: Sequence[str] = (),
) -> dict[str, Any]:
    """The affinity for the pod template, as Kubernetes writes it; `gate` is of render.gate.

    `architectures` that the driver is built for; none: any.
    """
    wire = affinity.wire()
    node_affinity = wire.setdefault("nodeAffinity", {})
    terms = node_affinity.get(_REQUIRED, {"nodeSelectorTerms": [{}]})["nodeSelectorTerms"]
    # A term without requirements matches no node; with ours in it, it would match nearly all.
    meant = [t for t in terms if any(t.values())] if _REQUIRED in node_affinity else terms
    able = [*_MACHINES, *_built_for(architectures)]
    combined = [
        {**term, "matchExpressions": [*term.get("matchExpressions", ()), *able, *open_]}
        for term in meant
        for open_ in (gate or [[]])
    ]
    node_affinity[_REQUIRED] = {"nodeSelectorTerms": combined or terms}
    return wire


def _built_for(architectures: Sequence[str]) -> Requirements:
    if not architectures:
        return []
    return [{"key": LABEL_ARCHITECTURE, "operator": "In", "values": sorted(architectures)}]
