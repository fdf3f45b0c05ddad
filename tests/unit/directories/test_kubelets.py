"""Asking over real connections: whom to believe, and what to do about a token that is refused."""

import ssl
from contextlib import asynccontextmanager
from ipaddress import IPv4Address

import pytest
from aiohttp import web

from flexvolume_operator.directories.kubelets import Kubelets, Trust
from flexvolume_operator.model.directory import NoToken
from flexvolume_operator.model.objects import Node
from testbed.certificates import Authority

ANSWER = {"kubeletconfig": {"volumePluginDir": "/flex/"}}


class Tokens:
    """The first is no good any more."""

    def __init__(self):
        self.given: list[str] = []

    async def get(self):
        self.given.append("old")
        return "old"

    async def renewed(self):
        self.given.append("new")
        return "new"


class Nobodys:
    async def get(self):
        raise NoToken("403 Forbidden: not yours")

    renewed = get


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The cluster's authority, which signed the certificate of a kubelet on loopback."""
    authority = Authority.create(tmp_path_factory.mktemp("own"))
    addresses = [IPv4Address("127.0.0.1")]
    authority.issue(authority.folder / "kubelet", "system:node:n1", (), ["n1"], addresses)
    return authority


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority.create(tmp_path_factory.mktemp("stranger"))


@asynccontextmanager
async def kubelet(authority, handler):
    """A node whose kubelet answers so."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    file = authority.folder / "kubelet"
    context.load_cert_chain(f"{file}.crt", f"{file}.key")
    app = web.Application()
    app.add_routes([web.get("/configz", handler), web.get("/elsewhere", handler)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield Node("n1", kubelet_version="v1.36.3", address="127.0.0.1", kubelet_port=port)
    finally:
        await runner.cleanup()


async def well(_):
    return web.json_response(ANSWER)


async def asked(node, authority, tokens=None, *, required=False):
    pem = (authority.folder / "ca.crt").read_text()
    kubelets = Kubelets(Trust(pem, required), tokens or Tokens())
    try:
        return await kubelets.ask(node)
    finally:
        await kubelets.close()


async def test_a_kubelet_of_the_given_authority_is_verified(own):
    async with kubelet(own, well) as node:
        found = await asked(node, own, required=True)
    assert (found.path, found.tls) == ("/flex", "Verified")


async def test_one_of_another_authority_is_believed_and_said_to_be_so(own, stranger):
    async with kubelet(own, well) as node:
        found = await asked(node, stranger)
    assert (found.path, found.tls) == ("/flex", "NotVerified")


async def test_or_not_believed_where_that_is_required(own, stranger):
    tokens = Tokens()
    heard = []

    async def listen(request):
        heard.append(request)
        return await well(request)

    async with kubelet(own, listen) as node:
        found = await asked(node, stranger, tokens, required=True)
    assert (found.path, found.reason) == ("", "UntrustedCertificate")
    assert heard == [], "so that it does not even see the token"


async def test_a_token_that_is_refused_is_renewed_once(own):
    async def choosy(request):
        good = request.headers["Authorization"] == "Bearer new"
        return await well(request) if good else web.Response(status=401)

    tokens = Tokens()
    async with kubelet(own, choosy) as node:
        found = await asked(node, own, tokens)
    assert (found.path, tokens.given) == ("/flex", ["old", "new"])


async def test_a_redirect_is_not_followed(own):
    paths = []

    async def elsewhere(request):
        paths.append(request.path)
        raise web.HTTPFound("/elsewhere")

    async with kubelet(own, elsewhere) as node:
        found = await asked(node, own)
    assert (found.reason, paths) == ("InvalidAnswer", ["/configz"])


async def test_nobody_is_asked_without_a_token(own):
    async with kubelet(own, well) as node:
        found = await asked(node, own, Nobodys())
    assert (found.reason, found.message) == ("NoToken", "403 Forbidden: not yours")


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (Node("n1", kubelet_version="v1.32.0", address="127.0.0.1"), "KubeletTooOld"),
        (Node("n1", kubelet_version="v1.36.3"), "NoAddress"),
        (Node("n1", address="127.0.0.1", kubelet_port=1), "Unreachable"),
        (Node("n1", address="::1", kubelet_port=1), "Unreachable"),
        (Node("n1", address="no such host", kubelet_port=1), "Unreachable"),
    ],
)
async def test_what_cannot_be_asked_is_told(own, node, reason):
    found = await asked(node, own)
    assert (found.path, found.reason) == ("", reason)
    assert found.message
