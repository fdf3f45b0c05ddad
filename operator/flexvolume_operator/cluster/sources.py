"""What stands in the ConfigMaps and Secrets that FlexDrivers name, as fingerprints.

A fingerprint gets onto pods, where many may read it, and a hash of a short password can be found by
trying. So it is made with a key of ours, which lies in a Secret. Only metadata is watched, and that
only while a FlexDriver names any; an object whose version has changed is read, and forgotten.
"""

import asyncio
import base64
import hmac
import secrets
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from flexvolume_operator.cluster.client import ApiError, Client
from flexvolume_operator.cluster.store import Store
from flexvolume_operator.model.install import Reference, SourceKind
from flexvolume_operator.model.names import (
    FIELD_MANAGER,
    FINGERPRINT_KEY,
    LABEL_MANAGED_BY,
    MANAGER,
)
from flexvolume_operator.model.versions import VERSIONS, Version

_PLURALS: Final[dict[SourceKind, str]] = {"ConfigMap": "configmaps", "Secret": "secrets"}
_SYNC: Final = 10.0
_BYTES: Final = 32

Object = tuple[SourceKind, str]


class SourceMissing(Exception):
    """Something that a FlexDriver names cannot be had; the text says what, and where it is named.

    `again`: it has to be tried again, as no watch will tell when it can be had.
    """

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


class _Meta(Struct, rename="camel"):
    resource_version: str


class _Wire(Struct, rename="camel"):
    """A ConfigMap or Secret; what is base64 in which, its kind tells."""

    metadata: _Meta
    data: dict[str, str] | None = None
    binary_data: dict[str, str] | None = None


class _Known(Struct, frozen=True):
    """The fingerprints of all keys of one version of an object."""

    version: str
    fingerprints: dict[str, str]


class Sources:
    """Reads them in one namespace. `changed(flexdriver)`: something that it names is another.

    `spawn` runs a watch as a task, which is cancelled when nobody needs it any more.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        changed: Callable[[str], None],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._changed = changed
        self._spawn = spawn
        self._named: dict[str, frozenset[Object]] = {}
        self._stores: dict[SourceKind, Store[Version]] = {}
        self._tasks: dict[SourceKind, asyncio.Task[None]] = {}
        self._known: dict[Object, _Known] = {}
        self._key = b""
        self._lock = asyncio.Lock()

    def silence(self) -> float:
        """Seconds since the API server was last heard on the watches that there are."""
        return max((store.silence() for store in self._stores.values()), default=0.0)

    async def read(
        self, flexdriver: str, references: Mapping[str, Reference]
    ) -> dict[Reference, str]:
        """The fingerprint of each; `references` by the fields that name them. Or SourceMissing."""
        self._name(flexdriver, frozenset((r.kind, r.name) for r in references.values()))
        return {
            reference: await self._fingerprint(field, reference)
            for field, reference in references.items()
        }

    def forget(self, flexdriver: str) -> None:
        """The FlexDriver names nothing any more."""
        self._name(flexdriver, frozenset())

    def _name(self, flexdriver: str, named: frozenset[Object]) -> None:
        if self._named.get(flexdriver, frozenset()) == named:
            return
        self._named.pop(flexdriver, None)
        if named:
            self._named[flexdriver] = named
        everything = frozenset[Object]().union(*self._named.values())
        needed = {kind for kind, _ in everything}
        for kind in needed - self._stores.keys():
            path = f"/api/v1/namespaces/{self._namespace}/{_PLURALS[kind]}"
            store = Store(self._client, path, VERSIONS, self._noticed(kind), metadata_only=True)
            self._stores[kind], self._tasks[kind] = store, self._spawn(store.run())
        for kind in self._stores.keys() - needed:
            del self._stores[kind]
            self._tasks.pop(kind).cancel()
        self._known = {key: known for key, known in self._known.items() if key in everything}

    def _noticed(self, kind: SourceKind) -> Callable[[Version | None, Version | None], None]:
        def noticed(old: Version | None, new: Version | None) -> None:
            found = new or old
            for flexdriver, named in self._named.items():
                if found is not None and (kind, found.name) in named:
                    self._changed(flexdriver)

        return noticed

    async def _fingerprint(self, field: str, reference: Reference) -> str:
        kind, name = reference.kind, reference.name
        what = f"{field}: {kind} {self._namespace}/{name}"
        try:
            known = await self._current(kind, name)
        except ApiError as error:
            raise SourceMissing(f"{what} cannot be read: {error.message}", again=True) from error
        if known is None:
            raise SourceMissing(f"{what} does not exist")
        if reference.key not in known.fingerprints:
            raise SourceMissing(f"{what} has no key {reference.key}")
        return known.fingerprints[reference.key]

    async def _current(self, kind: SourceKind, name: str) -> _Known | None:
        """What is known of the version that the watch shows; None if it shows none."""
        store = self._stores[kind]
        try:
            async with asyncio.timeout(_SYNC):
                await store.synced.wait()
        except TimeoutError:
            raise ApiError(0, "NotSynced", f"{_PLURALS[kind]} cannot be watched") from None
        version, known = store.items.get(name), self._known.get((kind, name))
        if version is None:
            return None
        if known is None or known.version != version.version:
            known = await self._hashed(kind, name)
            if known is not None:
                self._known[kind, name] = known
        return known

    async def _hashed(self, kind: SourceKind, name: str) -> _Known | None:
        key = await self._own_key()
        path = f"/api/v1/namespaces/{self._namespace}/{_PLURALS[kind]}/{name}"
        try:
            found = msgspec.json.decode(await self._client.get(path), type=_Wire)
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        text = {} if kind == "Secret" else found.data or {}
        coded = (found.data if kind == "Secret" else found.binary_data) or {}
        contents = {k: v.encode() for k, v in text.items()}
        contents |= {k: base64.b64decode(v) for k, v in coded.items()}
        return _Known(
            found.metadata.resource_version,
            {k: hmac.digest(key, content, "sha256").hex() for k, content in contents.items()},
        )

    async def _own_key(self) -> bytes:
        """The key that fingerprints are made with, made itself when it is first needed."""
        async with self._lock:
            if not self._key:
                self._key = await self._load_key()
            return self._key

    async def _load_key(self) -> bytes:
        collection = f"/api/v1/namespaces/{self._namespace}/secrets"
        path = f"{collection}/{FINGERPRINT_KEY}"
        found = await self._client.get_object(path)
        if found is None:
            try:
                await self._client.create(collection, _new_key(), manager=FIELD_MANAGER)
            except ApiError as error:
                # Somebody was faster; theirs is as good.
                if error.status != 409:
                    raise
            found = await self._client.get_object(path) or {}
        key = base64.b64decode((found.get("data") or {}).get(_ENTRY, ""))
        if len(key) != _BYTES:
            raise ApiError(
                0,
                "NoKey",
                f"Secret {self._namespace}/{FINGERPRINT_KEY} has no {_BYTES} bytes at {_ENTRY}; "
                "delete it to have a new one made, which updates every node once",
            )
        return key


_ENTRY: Final = "key"


def _new_key() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": FINGERPRINT_KEY, "labels": {LABEL_MANAGED_BY: MANAGER}},
        "type": "Opaque",
        "immutable": True,
        "data": {_ENTRY: base64.b64encode(secrets.token_bytes(_BYTES)).decode()},
    }
