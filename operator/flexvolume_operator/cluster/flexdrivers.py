"""What is written to FlexDrivers: our finalizer and the status, never the spec or its labels."""

import time
from collections.abc import Callable
from typing import Final

from flexvolume_operator.cluster.client import Client, Json
from flexvolume_operator.model.names import (
    API_VERSION,
    FIELD_MANAGER,
    FINALIZER,
    STATUS_FIELD_MANAGER,
)

COLLECTION: Final = f"/apis/{API_VERSION}/flexdrivers"
# A watcher wants to see progress, the API server wants peace.
STATUS_INTERVAL: Final = 0.5


async def claim(client: Client, name: str, uid: str) -> None:
    """Put our finalizer on, so that the FlexDriver cannot go before its children."""
    await _finalizers(client, name, uid, lambda held: [*held, FINALIZER])


async def release(client: Client, name: str, uid: str) -> None:
    """Take our finalizer off; the FlexDriver may go."""
    await _finalizers(client, name, uid, lambda held: [f for f in held if f != FINALIZER])


async def _finalizers(
    client: Client, name: str, uid: str, change: Callable[[list[str]], list[str]]
) -> None:
    path = f"{COLLECTION}/{name}"
    found = await client.get_object(path)
    if found is None or found["metadata"]["uid"] != uid:
        return
    meta = found["metadata"]
    held = meta.get("finalizers", [])
    wanted = change(held)
    if set(wanted) != set(held):
        # The resourceVersion makes it fail if somebody else changed the list meanwhile.
        body = {"metadata": {"finalizers": wanted, "resourceVersion": meta["resourceVersion"]}}
        await client.patch(path, body, manager=FIELD_MANAGER)


class StatusWriter:
    """Writes one FlexDriver's status: at once, then not more often than every half second."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._path = f"{COLLECTION}/{name}/status"
        self._name = name
        self._written_at = float("-inf")

    @property
    def pause(self) -> float:
        """Seconds until the next write may be made; 0.0: now."""
        return max(0.0, self._written_at + STATUS_INTERVAL - time.monotonic())

    async def write(self, uid: str, status: Json) -> None:
        """Write the status to the FlexDriver of this uid; a newer one of its name is left alone."""
        body = {
            "apiVersion": API_VERSION,
            "kind": "FlexDriver",
            "metadata": {"name": self._name, "uid": uid},
            "status": status,
        }
        self._written_at = time.monotonic()
        await self._client.apply(self._path, body, manager=STATUS_FIELD_MANAGER)
