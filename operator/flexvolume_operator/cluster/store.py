"""A live copy of one kind of object, kept by a paged LIST and a watch.

kopf would do for a handful of objects; for Nodes and pods it keeps whole bodies, lists without
paging, and forgets deletions that fall into the gap of an expired watch. This decodes only the
fields asked for and, after each new LIST, works out itself what vanished.
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from flexvolume_operator.cluster.client import JSON, ApiError, Client, Json
from flexvolume_operator.model.codec import Codec, WatchEvent


class Named(Protocol):
    """Anything with a name that is unique within its store."""

    @property
    def name(self) -> str:
        """The object's name."""


Item = TypeVar("Item", bound=Named)

_PAGE: Final = "500"
_METADATA: Final = (
    f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
)
_SHORT: Final = 5.0
_LOG: Final = logging.getLogger(__name__)


class _Expired(Exception):
    """The resourceVersion to go on from is gone: everything has to be listed again."""


class Store(Generic[Item]):
    """All objects at `path` that match `selector` and `fields`, by name.

    `changed(old, new)` is called in the event loop for each difference: old None = it appeared,
    new None = it is gone. Values that decode equal (heartbeats) are no difference. It must not
    raise. `synced` is set once the first LIST is complete. `metadata_only`: the API server is to
    keep everything but the objects' metadata to itself.
    """

    def __init__(
        self,
        client: Client,
        path: str,
        codec: Codec[Item],
        changed: Callable[[Item | None, Item | None], None],
        *,
        selector: str = "",
        fields: str = "",
        metadata_only: bool = False,
    ) -> None:
        self.items: dict[str, Item] = {}
        self.synced = asyncio.Event()
        self._client = client
        self._path = path
        self._codec = codec
        self._changed = changed
        self._of_list, self._of_watch = _METADATA if metadata_only else (JSON, JSON)
        query = {"labelSelector": selector, "fieldSelector": fields}
        self._query = {key: value for key, value in query.items() if value}
        self._heard = time.monotonic()

    def silence(self) -> float:
        """Seconds since the API server was last heard on this watch."""
        return time.monotonic() - self._heard

    async def run(self) -> None:
        """List and watch for ever; what ends soon after it began is tried again with back-off."""
        version, failures = "", 0
        while True:
            opened, pause = time.monotonic(), 0.0
            try:
                version = await self._watch(version or await self._list())
            except _Expired:
                version = ""
            except ApiError as error:
                level = logging.WARNING if failures else logging.INFO
                _LOG.log(level, "watch of %s broke: %s", self._path, error)
                pause = error.retry_after
            failures = failures + 1 if time.monotonic() - opened < _SHORT else 0
            backoff = min(0.1 * 2**failures, 15.0) * random.uniform(0.5, 1.0)  # noqa: S311
            await asyncio.sleep(max(pause, backoff if failures else 0.0))

    async def _list(self) -> str:
        """Take in a complete LIST; the resourceVersion to watch from."""
        seen: set[str] = set()
        token = ""
        while True:
            query = self._query | {"limit": _PAGE} | ({"continue": token} if token else {})
            try:
                body = await self._client.get(self._path, accept=self._of_list, **query)
                page = self._codec.page(body)
            except ApiError as error:
                if error.status == 410:
                    raise _Expired from error
                raise
            self._heard = time.monotonic()
            for item in page.items:
                seen.add(item.name)
                self._put(item)
            token = page.continue_token
            if not token:
                break
        for gone in self.items.keys() - seen:
            self._changed(self.items.pop(gone), None)
        self.synced.set()
        return page.resource_version

    async def _watch(self, version: str) -> str:
        """Follow changes until the watch ends; the resourceVersion reached."""
        lines = self._client.watch(
            self._path, accept=self._of_watch, **self._query, resourceVersion=version
        )
        try:
            async for line in lines:
                self._heard = time.monotonic()
                version = self._take(self._codec.event(line), version)
        except ApiError as error:
            if error.status == 410:
                raise _Expired from error
            # What came before the break is taken in; the next watch goes on from there.
            if error.reason != "WatchBroken":
                raise
        return version

    def _take(self, event: WatchEvent[Item], version: str) -> str:
        """Take in one event; the resourceVersion reached."""
        if event.type == "ERROR":
            raise ApiError(event.code, "WatchError", event.message)
        if event.object is not None and event.type == "DELETED":
            self.items.pop(event.object.name, None)
            self._changed(event.object, None)
        elif event.object is not None:
            self._put(event.object)
        return event.resource_version or version

    def _put(self, item: Item) -> None:
        old = self.items.get(item.name)
        self.items[item.name] = item
        if old != item:
            self._changed(old, item)


async def list_whole(client: Client, path: str, **query: str) -> list[Json]:
    """All objects at `path` with all their fields, unpaged: for kinds of which there are few."""
    items: list[Json] = json.loads(await client.get(path, **query))["items"]
    return items
