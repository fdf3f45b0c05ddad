"""Pages, watch events and objects from the wire, of any kind, cut down to the fields declared."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw, Struct

T = TypeVar("T")


class Page(Struct, Generic[T]):
    """One page of a LIST; `continue_token` is empty on the last one."""

    items: list[T]
    resource_version: str
    continue_token: str


class WatchEvent(Struct, Generic[T]):
    """One line of a watch.

    `type` is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR; `object` is None for the last two, `code`
    and `message` are those of the Status for ERROR (410: the resourceVersion is too old).
    """

    type: str
    resource_version: str
    object: T | None = None
    code: int = 0
    message: str = ""


class Wire(Struct, frozen=True, gc=False, rename="camel"):
    """Base of what is decoded and at once turned into a value."""


class _ListMeta(Wire, frozen=True):
    resource_version: str = ""
    continue_token: str = msgspec.field(default="", name="continue")


class _RawList(Wire, frozen=True):
    metadata: _ListMeta
    items: list[Raw] | None = None


class _RawEvent(Wire, frozen=True):
    type: str
    object: Raw


class _Envelope(Wire, frozen=True):
    metadata: _ListMeta = _ListMeta()
    code: int = 0
    message: str = ""


_LIST = msgspec.json.Decoder(_RawList)
_EVENT = msgspec.json.Decoder(_RawEvent)
_ENVELOPE = msgspec.json.Decoder(_Envelope)


class Codec(Generic[T]):
    """Reads one kind from the wire; every method raises msgspec.ValidationError or DecodeError."""

    def __init__(self, wire: Any, value: Callable[[Any], T]) -> None:
        self._wire = wire
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(wire)
        self._value = value

    def one(self, data: bytes | Raw) -> T:
        """One object, as GET and PATCH answer it."""
        return self._value(self._decoder.decode(data))

    def of(self, decoded: object) -> T:
        """One object that was decoded as plain JSON."""
        return self._value(msgspec.convert(decoded, self._wire))

    def page(self, data: bytes) -> Page[T]:
        """One page of a LIST."""
        raw = _LIST.decode(data)
        items = [self._value(self._decoder.decode(item)) for item in raw.items or ()]
        return Page(items, raw.metadata.resource_version, raw.metadata.continue_token)

    def event(self, line: bytes | str) -> WatchEvent[T]:
        """One line of a watch."""
        raw = _EVENT.decode(line)
        envelope = _ENVELOPE.decode(raw.object)
        version = envelope.metadata.resource_version
        if raw.type == "ERROR":
            return WatchEvent(raw.type, version, None, envelope.code, envelope.message)
        value = None if raw.type == "BOOKMARK" else self.one(raw.object)
        return WatchEvent(raw.type, version, value)
