"""The user's node affinity, and ours on top: no pods on nodes that are no machines.

Terms are alternatives, so what must hold always has to go into each of them.
"""

from typing import Any

from flexvolume_operator.model.flexdriver import Affinity
from flexvolume_operator.model.names import VIRTUAL_NODES

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def on_machines(affinity: Affinity) -> dict[str, Any]:
    """The affinity for the pod template, as Kubernetes writes it."""
    wire = affinity.wire()
    node_affinity = wire.setdefault("nodeAffinity", {})
    machines = [
        {"key": key, "operator": "NotIn", "values": [value]} for key, value in VIRTUAL_NODES
    ]
    required = node_affinity.get(_REQUIRED)
    if required is None:
        node_affinity[_REQUIRED] = {"nodeSelectorTerms": [{"matchExpressions": machines}]}
        return wire
    # A term without requirements matches no node; with ours in it, it would match nearly all.
    terms = [t for t in required["nodeSelectorTerms"] if any(t.values())]
    for term in terms:
        term["matchExpressions"] = [*term.get("matchExpressions", ()), *machines]
    required["nodeSelectorTerms"] = terms or required["nodeSelectorTerms"]
    return wire
