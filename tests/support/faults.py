"""What can be wrong with an answer: the deeds of a fault (see tests.support.proxy)."""

import asyncio
import json
import time
from collections.abc import Callable

from aiohttp import web

from tests.support.proxy import Deed, Exchange

REASONS = {
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
}


def refused(code: int, retry_after: int = 0) -> Deed:
    """Answered with this HTTP status, as the API server words it; an open watch is cut."""

    async def deed(exchange: Exchange) -> web.StreamResponse:
        if exchange.stream is not None:
            return await exchange.reset()
        headers = {"Retry-After": str(retry_after)} if retry_after else {}
        return web.json_response(_status(code), status=code, headers=headers)

    return deed


def watch_error(code: int) -> Deed:
    """A watch that is told this in its stream, which then ends."""

    async def deed(exchange: Exchange) -> web.StreamResponse:
        stream = await exchange.begin()
        line = json.dumps({"type": "ERROR", "object": _status(code)})
        await stream.write(line.encode() + b"\n")
        await stream.write_eof()
        return stream

    return deed


async def cut(exchange: Exchange) -> web.StreamResponse:
    """The connection is reset."""
    return await exchange.reset()


async def broken(exchange: Exchange) -> web.StreamResponse:
    """A watch is cut in the middle of the first thing that it tells."""
    await exchange.begin()
    return await exchange.reset()


async def silent(exchange: Exchange) -> web.StreamResponse:
    """Nothing is answered any more; when that is over, the connection turns out to be dead."""
    await exchange.over()
    return await exchange.reset()


async def dead(exchange: Exchange) -> web.StreamResponse:
    """An open watch falls silent and nobody is told; a new one works."""
    return await (exchange.forward() if exchange.stream is None else silent(exchange))


def slow(seconds: float) -> Deed:
    """The answer takes its time."""

    async def deed(exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await exchange.forward()

    return deed


async def expired(exchange: Exchange) -> web.StreamResponse:
    """Every watch is too old, and so is the second page of every list; there are five to a page."""
    if exchange.request.verb == "watch":
        return await watch_error(410)(exchange)
    if "continue" in exchange.http.query:
        return await refused(410)(exchange)
    return await exchange.forward(limit="5")


class Strike:
    """Acts at the n-th request: before it is done, or when it is done and not yet answered."""

    def __init__(self, number: int, act: Callable[[], None], *, done: bool) -> None:
        self.happened = False
        self._left = number
        self._act = act
        self._done = done
        self._last = time.monotonic()

    @property
    def idle(self) -> float:
        """Seconds since the last request."""
        return time.monotonic() - self._last

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        self._last = time.monotonic()
        self._left -= 1
        if self._left != 0:
            return await exchange.forward()
        answer = await exchange.forward() if self._done else None
        self._act()
        self.happened = True
        return answer or await exchange.reset()


def _status(code: int) -> dict[str, object]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"made by a test: {REASONS[code]}",
        "reason": REASONS[code],
        "code": code,
    }
