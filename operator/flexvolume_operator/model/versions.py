"""Reads from the wire that an object is there and whether it has changed, and nothing of it."""

from msgspec import Struct

from flexvolume_operator.model.codec import Codec, Wire


class Version(Struct, frozen=True, gc=False):
    """An object by its name; another `version` may be another content."""

    name: str
    version: str = ""


class _Meta(Wire, frozen=True):
    name: str = ""
    resource_version: str = ""


class _Object(Wire, frozen=True):
    metadata: _Meta = _Meta()


def _version(wire: _Object) -> Version:
    return Version(wire.metadata.name, wire.metadata.resource_version)


VERSIONS: Codec[Version] = Codec(_Object, _version)
