"""On which of its nodes a DaemonSet may have pods: gated by labels that the operator puts there.

A pod that starts before the node's directory is known would install into the wrong one, so the
labels come first. A manifest rendered at a desk has no gate, as nobody would ever open it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flexvolume_operator.model import names
from flexvolume_operator.model.names import CONTROLLER_MANAGER, KUBELET, Role

Requirements = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Place:
    """A plugin directory, for whom, and how its nodes are told.

    `gated` False: no labels are asked for. `override`: the FlexDriver names the directory, whatever
    the nodes' own are; `force`: also where the kubelet says otherwise. `apart`, of the
    controller-manager: not on nodes whose kubelet has the same directory, which are served already.
    """

    plugin_dir: str
    role: Role = KUBELET
    gated: bool = True
    override: bool = False
    force: bool = False
    apart: bool = False


def gate(place: Place) -> Sequence[Requirements]:
    """Alternatives of which one must hold, each a list of requirements; none: no gate."""
    here = [names.directory_label(place.plugin_dir)]
    if not place.gated:
        return []
    if place.role == CONTROLLER_MANAGER and place.override:
        return [[_is(names.LABEL_CONTROLLER_MANAGER_DIR, "Exists")]]
    if place.role == CONTROLLER_MANAGER:
        elsewhere = [_in(names.LABEL_PLUGIN_DIR, here, "NotIn")] if place.apart else []
        return [[_in(names.LABEL_CONTROLLER_MANAGER_DIR, here), *elsewhere]]
    if place.override and place.force:
        return []
    meant = [] if place.override else [_in(names.LABEL_PLUGIN_DIR, here)]
    if place.force:
        return [meant]
    agreed = [*meant, _in(names.LABEL_KUBELET_DIR, here)]
    unsaid = [_is(names.LABEL_PLUGIN_DIR, "Exists"), _is(names.LABEL_KUBELET_DIR, "DoesNotExist")]
    return [agreed, unsaid if place.override else [*meant, unsaid[1]]]


def _in(key: str, values: Sequence[str], operator: str = "In") -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


def _is(key: str, operator: str) -> dict[str, Any]:
    return {"key": key, "operator": operator}
