"""kopf: what it is asked to watch, and what it calls.

kopf starts and stops the process and delivers every change of a FlexDriver, at least once. It
keeps no state on our objects: no finalizer, annotation or patch of kopf's own is ever written.
"""

import asyncio
import logging
import time
from typing import Any

import aiohttp
import kopf

from flexvolume_operator.cluster.client import load_configuration
from flexvolume_operator.controller import Controller
from flexvolume_operator.settings import Settings


def configure_logging(*, json: bool, level: int) -> None:
    """Log lines as JSON objects or as text, on standard error."""
    kopf.configure(
        log_format=kopf.LogFormat.JSON if json else kopf.LogFormat.FULL,
        debug=level <= logging.DEBUG,
        quiet=level >= logging.WARNING,
    )
    # kopf tells at info level of each connection it opens; that is noise to an administrator.
    logging.getLogger("kopf").setLevel(max(level, logging.WARNING))
    logging.getLogger("flexvolume_operator").setLevel(level)


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    controller = Controller(settings, stop)
    registry = kopf.OperatorRegistry()
    register(registry, controller)
    await kopf.operator(
        registry=registry,
        clusterwide=True,
        standalone=True,
        # Unused when alone, but kopf would ask for the user's name, which an image does not have.
        identity=settings.identity,  # type: ignore[arg-type]  # the type is not public
        stop_flag=stop,
    )


def _paced() -> aiohttp.ClientMiddlewareType:
    """Lets the watch be opened once a second: kopf itself does not pause after one that broke."""
    opened = float("-inf")

    async def middleware(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        nonlocal opened
        if "watch" in request.url.query:
            await asyncio.sleep(opened + 1 - time.monotonic())
            opened = time.monotonic()
        return await handler(request)

    return middleware


def register(registry: kopf.OperatorRegistry, controller: Controller) -> None:
    """Tie the controller to kopf."""

    @kopf.on.login(id="login", registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        found = await load_configuration(controller.settings.kubeconfig)
        token = found.api_key.get("BearerToken", "")
        info = kopf.ConnectionInfo(
            server=found.host,
            ca_path=found.ssl_ca_cert,
            certificate_path=found.cert_file,
            private_key_path=found.key_file,
            token=token.partition(" ")[2] or None,
        )
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
            headers=info.as_http_headers(),
            proxy=found.proxy,
            middlewares=[_paced()],
        )
        return kopf.AiohttpSession(server=info.server, aiohttp_session=session)

    # By default kopf would try again a minute later, in a process that does nothing meanwhile.
    @kopf.on.startup(id="start", errors=kopf.ErrorsMode.PERMANENT, registry=registry)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.networking.connect_timeout = 10
        settings.networking.request_timeout = 60
        # A watch that has expired is listed anew; kopf's own 0.1 s make a flood of it.
        settings.watching.reconnect_backoff = 1
        settings.process.ultimate_exiting_timeout = 10
        await controller.start()

    @kopf.on.cleanup(id="stop", registry=registry)
    async def stop(**_: Any) -> None:
        await controller.stop()

    @kopf.on.event("flexvolume.io", "v1alpha1", "flexdrivers", id="flexdriver", registry=registry)
    async def flexdriver(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002
        controller.flexdriver_changed(dict(body), gone=type == "DELETED")
