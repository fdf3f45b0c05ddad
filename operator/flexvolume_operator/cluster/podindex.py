"""Installer pods by FlexDriver and node, as decisions ask for them."""

from collections import defaultdict
from collections.abc import Collection

from flexvolume_operator.model.objects import Pod


class PodIndex:
    """Finds the pods of one driver on one node without walking all pods."""

    def __init__(self) -> None:
        self._pods: defaultdict[str, defaultdict[str, dict[str, Pod]]]
        self._pods = defaultdict(lambda: defaultdict(dict))

    def changed(self, old: Pod | None, new: Pod | None) -> None:
        """Take in a difference, as a store reports it."""
        if new is not None:
            self._pods[new.flexdriver][new.node][new.name] = new
        elif old is not None:
            on_node = self._pods[old.flexdriver][old.node]
            on_node.pop(old.name, None)
            if not on_node:
                del self._pods[old.flexdriver][old.node]

    def on(self, flexdriver: str, node: str) -> Collection[Pod]:
        """The driver's pods on a node, terminating ones included."""
        return self._pods[flexdriver].get(node, {}).values()

    def nodes(self, flexdriver: str) -> Collection[str]:
        """Nodes that have a pod of the driver."""
        return self._pods[flexdriver].keys()
