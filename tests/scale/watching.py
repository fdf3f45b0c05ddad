"""The moment at which something is seen in the API server, by a watch in a thread of its own.

A watch delivers every state an object was in, in order, so nothing between two looks is missed and
no look disturbs what is measured.
"""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Generic, Self, TypeVar

import msgspec
from msgspec import Raw, Struct

from testbed.layout import Layout
from tests.support.kit import condition, until

T = TypeVar("T")


class _Event(Struct):
    type: str
    object: Raw


class _Meta(Struct):
    name: str = ""
    version: str = msgspec.field(default="", name="resourceVersion")


class _Named(Struct):
    metadata: _Meta


_EVENT = msgspec.json.Decoder(_Event)
_NAMED = msgspec.json.Decoder(_Named)


class Moment(Generic[T]):
    """The first time that something holds of the objects of a watch, by the monotonic clock."""

    def __init__(self, holds: Callable[[Mapping[str, T]], bool]) -> None:
        self.at: float | None = None
        self.holds = holds
        self.come = threading.Event()

    def wait(self, timeout: float, what: str) -> float:
        """The moment, when it has come."""
        assert self.come.wait(timeout), f"{what}: not so after {timeout:.0f} s"
        assert self.at is not None
        return self.at


class Watch(Generic[T]):
    """The objects of a path by name, each decoded as `kind`."""

    def __init__(self, layout: Layout, path: str, kind: type[T]) -> None:
        self.objects: dict[str, T] = {}
        self._decoder = msgspec.json.Decoder(kind)
        self._path = path + ("&" if "?" in path else "?") + "watch=1"
        self._version = ""
        self._ending = False
        self._moments: list[Moment[T]] = []
        self._lock = threading.Lock()
        # Without a time limit: nothing may happen for a long time.
        tls = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
        tls.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")
        self._connection = http.client.HTTPSConnection(str(layout.api_address), context=tls)
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        self._answer = until(self._open, 30, f"a watch of {self._path} is opened")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        if self._connection.sock is not None:
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._connection.close()

    def expect(self, holds: Callable[[Mapping[str, T]], bool]) -> Moment[T]:
        """Ask, after each event from now on, whether this holds by now."""
        moment = Moment(holds)
        with self._lock:
            self._moments.append(moment)
        return moment

    def _open(self) -> http.client.HTTPResponse | None:
        """The answer; None while the API server is not ready to give one, as for a new kind."""
        going_on = f"&resourceVersion={self._version}" if self._version else ""
        self._connection.request("GET", self._path + going_on)
        answer = self._connection.getresponse()
        if answer.status == http.HTTPStatus.OK:
            return answer
        said = answer.read()
        assert answer.status == http.HTTPStatus.TOO_MANY_REQUESTS, said
        return None

    def _follow(self) -> None:
        """Go on where the API server, when it is short of time, ends a watch."""
        while not self._ending:
            with suppress(OSError, http.client.HTTPException):
                self._read()
            self._connection.close()
            if not self._ending:
                self._answer = until(self._open, 30, f"the watch of {self._path} is opened again")

    def _read(self) -> None:
        rest = b""
        while chunk := self._answer.read1():
            *lines, rest = (rest + chunk).split(b"\n")
            now = time.monotonic()
            for line in lines:
                self._take(_EVENT.decode(line), now)

    def _take(self, event: _Event, now: float) -> None:
        assert event.type != "ERROR", bytes(event.object)
        meta = _NAMED.decode(event.object).metadata
        self._version = meta.version
        if event.type == "DELETED":
            self.objects.pop(meta.name, None)
        else:
            self.objects[meta.name] = self._decoder.decode(event.object)
        with self._lock:
            for moment in self._moments:
                if moment.holds(self.objects):
                    moment.at = now
                    moment.come.set()
            self._moments = [moment for moment in self._moments if moment.at is None]


class _Condition(Struct):
    type: str
    status: str


class _PodStatus(Struct):
    conditions: list[_Condition] = []


class Pod(Struct):
    """Of a pod, whether it is ready."""

    status: _PodStatus = msgspec.field(default_factory=_PodStatus)

    @property
    def ready(self) -> bool:
        return any(c.type == "Ready" and c.status == "True" for c in self.status.conditions)


class AllReady:
    """Whether so many pods have become Ready.

    What happens to them later does not count: when kwok is late to renew a node's lease, the node
    controller takes its pods' Ready away, and there is no kubelet to give it back.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._ready: set[str] = set()

    def __call__(self, pods: Mapping[str, Pod]) -> bool:
        self._ready.update(name for name in pods.keys() - self._ready if pods[name].ready)
        return len(self._ready) == self._count


def installed(driver: str, count: int) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a FlexDriver is Ready on so many nodes."""

    def holds(found: Mapping[str, Any]) -> bool:
        status = found.get(driver, {}).get("status", {})
        ready = condition(status, "Ready").get("status") == "True"
        return ready and bool(status["nodes"]["installed"] == count)

    return holds
