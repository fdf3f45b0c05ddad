"""Requests that are refused, delayed or overtaken by the end of the Lease."""

import asyncio
import time

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from flexvolume_operator.cluster import client as module
from flexvolume_operator.cluster.client import ApiError, Client


class Server:
    """Answers when it may, first with `refusals`; `asked` are the methods of what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()
        self.refusals: list[web.Response] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.method)
        await self.may_answer.wait()
        return self.refusals.pop(0) if self.refusals else web.json_response({})


@pytest.fixture
async def server():
    return Server()


@pytest.fixture
async def client(server):
    """It has one connection, no more."""
    app = web.Application()
    app.router.add_route("*", "/it", server.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    configuration = Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")
    configuration.connection_pool_maxsize = 1
    client = Client(configuration)
    yield client
    await client.close()
    await runner.cleanup()


async def test_who_may_not_write_any_more_sends_nothing_once_it_has_a_connection(client, server):
    class TooLate(Exception):
        pass

    def check() -> None:
        if late:
            raise TooLate

    client.before_write = check
    late = False
    reading = asyncio.create_task(client.get("/it"))
    while not server.asked:
        await asyncio.sleep(0.01)
    writing = asyncio.create_task(client.patch("/it", {}, manager="me"))
    # Time enough to find that there is no connection free.
    await asyncio.sleep(0.1)
    late = True
    server.may_answer.set()
    assert await reading == b"{}"
    with pytest.raises(ApiError):
        await writing
    assert server.asked == ["GET"]


async def test_an_api_server_that_does_not_know_its_roles_yet_is_asked_again(client, server):
    server.may_answer.set()
    server.refusals = [web.Response(status=403)]
    assert await client.patch("/it", {}, manager="me") == {}
    assert server.asked == ["PATCH", "PATCH"]


async def test_a_conflict_is_for_the_caller_to_resolve(client, server):
    server.may_answer.set()
    server.refusals = [web.Response(status=409)]
    with pytest.raises(ApiError) as refused:
        await client.patch("/it", {}, manager="me")
    assert refused.value.status == 409


async def test_who_is_told_to_wait_waits_also_before_giving_up(client, server, monkeypatch):
    monkeypatch.setattr(module, "_ATTEMPTS", 2)
    server.may_answer.set()
    server.refusals = [web.Response(status=429, headers={"Retry-After": "1"}) for _ in range(2)]
    began = time.monotonic()
    with pytest.raises(ApiError):
        await client.get("/it")
    assert len(server.asked) == 2
    assert time.monotonic() - began >= 2
