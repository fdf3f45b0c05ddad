"""Reads from the wire that a kubelet has started: the only thing that tells of it.

Neither the conditions of its Node nor anything else in it changes when a kubelet is restarted
(measured, ten times of ten), but it files an Event.
"""

from sys import intern

from msgspec import Struct

from flexvolume_operator.model.codec import Codec, Wire

SELECTOR = "involvedObject.kind=Node,reason=Starting"
KUBELET = "kubelet"


class Start(Struct, frozen=True, gc=False):
    """A component on a node has started; `name` is that of the Event."""

    name: str
    node: str = ""
    component: str = ""


class _Meta(Wire, frozen=True):
    name: str = ""


class _Source(Wire, frozen=True):
    component: str = ""


class _Event(Wire, frozen=True):
    metadata: _Meta = _Meta()
    involved_object: _Meta = _Meta()
    source: _Source = _Source()


def _start(wire: _Event) -> Start:
    return Start(
        wire.metadata.name, intern(wire.involved_object.name), intern(wire.source.component)
    )


STARTS: Codec[Start] = Codec(_Event, _start)
