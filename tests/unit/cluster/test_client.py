"""Where requests go, and with what credentials."""

import pytest
import yaml
from aiohttp import web

from flexvolume_operator.cluster.client import Client, load_configuration


@pytest.fixture
async def server():
    """Answers everything; its port, and what it was asked: URL and Authorization header."""
    asked: list[tuple[str, str]] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append((request.raw_path, request.headers.get("Authorization", "")))
        return web.json_response({})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1], asked
    await runner.cleanup()


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Sends one request to a server of this address, with a token."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "no_proxy", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    async def get(server: str, path: str) -> None:
        kubeconfig = tmp_path / "kubeconfig"
        context = {"cluster": "c", "user": "u"}
        body = {
            "current-context": "x",
            "contexts": [{"name": "x", "context": context}],
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"token": "secret"}}],
        }
        kubeconfig.write_text(yaml.safe_dump(body))
        client = Client(await load_configuration(str(kubeconfig)))
        try:
            await client.get(path)
        finally:
            await client.close()

    return get


async def test_a_password_in_netrc_is_left_alone(server, ask, tmp_path):
    port, asked = server
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login somebody password hidden\n")
    netrc.chmod(0o600)
    await ask(f"http://127.0.0.1:{port}", "/version")
    assert asked == [("/version", "Bearer secret")]


async def test_a_proxy_in_the_environment_is_used(server, ask, monkeypatch):
    port, asked = server
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    await ask("http://api.example.com", "/version")
    assert asked == [("http://api.example.com/version", "Bearer secret")]


async def test_a_server_that_the_environment_excludes_is_asked_directly(server, ask, monkeypatch):
    port, asked = server
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    await ask(f"http://127.0.0.1:{port}", "/version")
    assert asked == [("/version", "Bearer secret")]
