"""/healthz, /readyz and /metrics over HTTP.

/healthz answers 200 while the event loop turns and each watch has heard from the API server
lately: a process whose watch died silently looks alive and does nothing, so it has to be
restarted. /readyz tells whether this replica is in a position to act: it waits for the Lease or
holds it with its stores filled.
"""

from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from flexvolume_operator import metrics

# A watch is opened anew after at most 90 s of silence; twice that means it cannot be.
MAX_SILENCE: Final = 240.0


class Health:
    """What the probes ask; filled in while the operator starts.

    `watches` maps the name of a resource to a function that gives the seconds since its watch
    was heard. `ready` is set by the operator.
    """

    def __init__(self) -> None:
        self.watches: Mapping[str, Callable[[], float]] = {}
        self.ready = False

    def silent(self) -> list[str]:
        """Resources whose watch has been silent for too long, each with its seconds."""
        ages = ((name, age()) for name, age in self.watches.items())
        return [f"{name}: silent for {age:.0f} s" for name, age in ages if age > MAX_SILENCE]


async def serve(health: Health, listen: str) -> web.AppRunner:
    """Serve on `listen` (`HOST:PORT`, host may be empty); `cleanup()` of the result ends it."""

    async def healthz(_: web.Request) -> web.Response:
        silent = health.silent()
        return web.Response(text="\n".join(silent) or "ok", status=503 if silent else 200)

    async def readyz(_: web.Request) -> web.Response:
        text = "ok" if health.ready else "starting: the stores are not filled yet"
        return web.Response(text=text, status=200 if health.ready else 503)

    async def exposition(_: web.Request) -> web.Response:
        for resource, age in health.watches.items():
            metrics.WATCH_AGE.labels(resource).set(age())
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", exposition),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, _, port = listen.rpartition(":")
    await web.TCPSite(runner, host or None, int(port)).start()
    return runner
