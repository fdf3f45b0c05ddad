"""An API server that can fail: the real one answers what is asked of this one, but for a fault.

Real sockets and real TLS, with a certificate of the cluster's own authority, so that the operator
meets a broken connection here exactly as it would in a network. Every request is written down.
"""

import asyncio
import selectors
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Self, TypeVar

import aiohttp
from aiohttp import web
from yarl import URL

from testbed import controlplane
from testbed.certificates import Authority
from testbed.layout import Layout

T = TypeVar("T")

WRITES = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
# What is between two neighbours only, and what both ends work out for themselves.
_OWN_HEADERS = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


_VARYING = ("continue=", "resourceVersion=", "timeoutSeconds=")


@dataclass(eq=False)
class Request:
    """One that was made at a moment of the monotonic clock; status 0: not answered (yet).

    `query` is without what differs from one try to the next.
    """

    at: float
    verb: str
    resource: str
    name: str
    query: str
    agent: str
    status: int = 0

    @property
    def changes(self) -> bool:
        """Whether it writes anything but a Lease, were it only to try whether that would do."""
        return self.verb in WRITES.values() and self.resource != "leases"

    @property
    def subject(self) -> tuple[str, ...]:
        """Equal if one request is the other one once more."""
        return (self.agent, self.verb, self.resource, self.name, self.query)


class Exchange:
    """A request while it is dealt with. `stream` is the answer to a watch once it has begun."""

    def __init__(self, http: web.Request, proxy: "Proxy") -> None:
        self.http = http
        self.request = _read(http)
        self.stream: web.StreamResponse | None = None
        self._proxy = proxy

    async def forward(self, **query: str) -> web.StreamResponse:
        """The real answer; with `query`, to a request with other parameters."""
        url = URL(self._proxy.server + self.http.raw_path, encoded=True)
        return await self._proxy.forward(self, url.update_query(query) if query else url)

    async def begin(self, status: int = 200) -> web.StreamResponse:
        """Begin to answer line by line, unless that is done."""
        if self.stream is None:
            headers = {"Content-Type": "application/json"}
            self.stream = web.StreamResponse(status=status, headers=headers)
            self.stream.enable_chunked_encoding()
            self.request.status = status
            await self.stream.prepare(self.http)
        return self.stream

    async def reset(self) -> web.StreamResponse:
        """Reset the connection; if lines have been sent, in the middle of one and of a chunk."""
        if (transport := self.http.transport) is not None:
            if self.stream is not None:
                transport.write(b'fff\r\n{"type":"MODIFIED","object":{"metadata":{"na')
            linger = struct.pack("ii", 1, 0)
            own = transport.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            transport.abort()
        # This task is cancelled with its connection.
        return await asyncio.Future()

    async def over(self) -> None:
        """Wait until the fault is over."""
        await self._proxy.over.wait()


Deed = Callable[[Exchange], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Fault:
    """What is done with requests for which `when` holds; if `running`, with open watches too."""

    deed: Deed
    when: Callable[[Request], bool] = lambda _: True
    running: bool = False


class Proxy:
    """Serves at `url` while it is entered; `requests` are all there were."""

    def __init__(self, layout: Layout, folder: Path) -> None:
        self.server = controlplane.server(layout)
        self.url = ""
        self.requests: list[Request] = []
        self.over = asyncio.Event()
        self._layout = layout
        self._certificate = folder / "proxy"
        self._fault: Fault | None = None
        self._watches: dict[asyncio.Task[None], Request] = {}
        self._selector = selectors.DefaultSelector()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._own_sockets = len(self._selector.get_map())
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextmanager
    def fault(self, fault: Fault) -> Iterator[None]:
        """The fault is there while this is entered."""
        self._call(self._begin(fault))
        try:
            yield
        finally:
            self._call(self._end())

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _open(self) -> None:
        address = IPv4Address(self._layout.loopback)
        Authority(self._layout.pki).issue(self._certificate, "proxy", addresses=[address])
        trust = ssl.create_default_context(cafile=self._layout.pki / "ca.crt")
        self._upstream = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(ssl=trust, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=["Accept", "Accept-Encoding", "User-Agent"],
        )
        own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        own.load_cert_chain(f"{self._certificate}.crt", f"{self._certificate}.key")
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, str(address), 0, ssl_context=own)
        await site.start()
        self.url = f"https://{address}:{self._runner.addresses[0][1]}"

    async def _close(self) -> None:
        await self._runner.cleanup()
        await self._upstream.close()
        # Connections that were closed in the middle of an answer still say goodbye to their peers.
        while len(self._selector.get_map()) > self._own_sockets:
            await asyncio.sleep(0.01)

    async def _begin(self, fault: Fault) -> None:
        self.over.clear()
        self._fault = fault
        if fault.running:
            for pump, request in self._watches.items():
                if fault.when(request):
                    pump.cancel()

    async def _end(self) -> None:
        self._fault = None
        self.over.set()

    async def _serve(self, http: web.Request) -> web.StreamResponse:
        exchange = Exchange(http, self)
        self.requests.append(exchange.request)
        fault = self._fault
        deed = fault.deed if fault and fault.when(exchange.request) else Exchange.forward
        answer = await deed(exchange)
        exchange.request.status = answer.status
        return answer

    async def forward(self, exchange: Exchange, url: URL) -> web.StreamResponse:
        """Ask the real server; one that is not there cannot be told from a broken connection."""
        http = exchange.http
        headers = [(k, v) for k, v in http.headers.items() if k.lower() not in _OWN_HEADERS]
        data = await http.read()
        try:
            async with self._upstream.request(
                http.method, url, headers=headers, data=data or None
            ) as answer:
                if exchange.request.verb == "watch" and answer.status == 200:
                    return await self._watch(exchange, answer)
                body = await answer.read()
                own = [(k, v) for k, v in answer.headers.items() if k.lower() not in _OWN_HEADERS]
                return web.Response(status=answer.status, headers=own, body=body)
        except aiohttp.ClientError:
            return await exchange.reset()

    async def _watch(
        self, exchange: Exchange, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        """Pass the lines on, until one end or a fault ends it."""
        stream = await exchange.begin()
        pump = asyncio.create_task(_pump(answer, stream))
        self._watches[pump] = exchange.request
        try:
            await asyncio.wait([pump])
        finally:
            del self._watches[pump]
            pump.cancel()
        if pump.cancelled():
            fault = self._fault
            return await (fault.deed(exchange) if fault else exchange.reset())
        pump.result()
        await stream.write_eof()
        return stream


def too_often(requests: Iterable[Request], seconds: float) -> dict[tuple[str, ...], int]:
    """Requests that were made more often in this time than ever needs be.

    Five tries are made at once. What goes on longest is a status that changes all the time: it is
    written twice a second.
    """
    times = Counter(request.subject for request in requests)
    return {subject: n for subject, n in times.items() if n > 5 + 2 * seconds}


def too_early(requests: Iterable[Request], retry_after: float) -> list[tuple[str, ...]]:
    """Requests that were made again before the API server wanted to hear them again."""
    last: dict[tuple[str, ...], Request] = {}
    found = []
    for request in requests:
        before = last.get(request.subject)
        if before and before.status == 429 and request.at - before.at < retry_after:
            found.append(request.subject)
        last[request.subject] = request
    return found


async def _pump(answer: aiohttp.ClientResponse, stream: web.StreamResponse) -> None:
    async for data in answer.content.iter_any():
        await stream.write(data)


def _read(http: web.Request) -> Request:
    """What an API request is about; paths that name no resource are their own."""
    parts = http.path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if rest[:1] == ["namespaces"]:
        rest = rest[2:]
    resource, name, below = (*rest, "", "", "")[:3]
    query = [part for part in http.query_string.split("&") if not part.startswith(_VARYING)]
    reading = "watch" if "watch" in http.query else "get" if name or not resource else "list"
    return Request(
        at=time.monotonic(),
        verb=WRITES.get(http.method, reading),
        resource="/".join(filter(None, (resource, below))) or http.path,
        name=name,
        query="&".join(query),
        agent=http.headers.get("User-Agent", "").partition("/")[0],
    )
