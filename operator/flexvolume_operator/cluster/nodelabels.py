"""The labels of Nodes by which DaemonSets find theirs: ours alone, and each write on a condition.

Nodes are everybody's. So a write names nothing but our own keys, and is for the Node of one uid
whose labels are as they were seen; whatever else happened to it meanwhile stays.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Final

from flexvolume_operator.cluster.client import ApiError, Client, Json
from flexvolume_operator.model.names import FIELD_MANAGER
from flexvolume_operator.model.objects import Node
from flexvolume_operator.schedule import Schedule

_WRITERS: Final = 32
_LOG: Final = logging.getLogger(__name__)

# By key; None: it is not to be there. Keys that are not named stay as they are.
Labels = Mapping[str, str | None]


class NodeLabels:
    """Keeps our labels of each node as `wanted(node)` says."""

    def __init__(
        self,
        client: Client,
        nodes: Mapping[str, Node],
        wanted: Callable[[Node], Labels],
    ) -> None:
        self._client = client
        self._nodes = nodes
        self._wanted = wanted
        self._schedule = Schedule(self._write, _WRITERS)

    def changed(self, name: str) -> None:
        """The Node has changed, or what is to be written on it."""
        node = self._nodes.get(name)
        if node is not None and patch(node, self._wanted(node)):
            self._schedule.add(name)

    async def run(self) -> None:
        """Write for ever."""
        await self._schedule.run()

    async def _write(self, name: str) -> bool:
        node = self._nodes.get(name)
        steps = patch(node, self._wanted(node)) if node is not None else []
        if not steps:
            return True
        try:
            await self._client.patch_json(f"/api/v1/nodes/{name}", steps, manager=FIELD_MANAGER)
        except ApiError as error:
            if error.status == 404:
                return True
            # A test that did not hold: the watch is about to show why.
            _LOG.info("labels of Node %s not written: %s", name, error)
            return False
        return True


def patch(node: Node, wanted: Labels) -> list[Json]:
    """The JSON patch that makes a node's labels what is wanted; empty if they are."""
    changes = {key: value for key, value in wanted.items() if node.labels.get(key) != value}
    if not changes:
        return []
    steps: list[Json] = [{"op": "test", "path": "/metadata/uid", "value": node.uid}]
    if not node.labels:
        # With labels that come in between, the test fails.
        steps.append({"op": "test", "path": "/metadata/labels", "value": None})
        return [*steps, {"op": "add", "path": "/metadata/labels", "value": changes}]
    for key, value in changes.items():
        path = f"/metadata/labels/{key.replace('/', '~1')}"
        if key in node.labels:
            steps.append({"op": "test", "path": path, "value": node.labels[key]})
        if value is not None:
            steps.append({"op": "add", "path": path, "value": value})
        else:
            steps.append({"op": "remove", "path": path})
    return steps
