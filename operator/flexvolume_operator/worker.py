"""The task of one FlexDriver: when to make the next pass, and what to do when one fails."""

import asyncio
import logging
import random
import time
from typing import Final

from flexvolume_operator import metrics
from flexvolume_operator.cluster.client import ApiError
from flexvolume_operator.reconcile import Reconciler

# Changes come in bursts; a pass for each would only repeat the one before.
_BURST: Final = 0.02
_BACKOFF_LIMIT: Final = 15.0
_LOG: Final = logging.getLogger(__name__)


class Worker:
    """The task of one FlexDriver: passes, one after the other, whenever there is a reason to."""

    def __init__(self, reconciler: Reconciler) -> None:
        self.reconciler = reconciler
        self._woken = asyncio.Event()
        self._woken.set()
        self._urgent = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def wake(self, node: str = "", *, urgent: bool = False) -> None:
        """Something changed; on this node, if one is named. `urgent`: no more will come with it."""
        if node:
            self.reconciler.mark(node)
        self._woken.set()
        if urgent:
            self._urgent.set()

    async def run(self) -> None:
        """Reconcile for ever; a failed pass is tried again with back-off."""
        failures = 0
        while True:
            self._woken.clear()
            self._urgent.clear()
            due, result = await self._pass()
            failures = 0 if result == "success" else failures + 1
            metrics.RECONCILES.labels(result).inc()
            if failures:
                limit = min(0.5 * 2**failures, _BACKOFF_LIMIT)
                await asyncio.sleep(limit * random.uniform(0.5, 1.0))  # noqa: S311
                continue
            if await _came(self._woken, due):
                await _came(self._urgent, _BURST)

    async def _pass(self) -> tuple[float | None, str]:
        started = time.monotonic()
        try:
            return await self.reconciler.reconcile(), "success"
        except ApiError as error:
            _LOG.warning("FlexDriver %s: %s", self.reconciler.name, error)
        except Exception:  # noqa: BLE001
            # One FlexDriver that trips over a mistake of ours must not stop the others.
            _LOG.exception("FlexDriver %s: pass failed", self.reconciler.name)
        finally:
            metrics.RECONCILE_SECONDS.observe(time.monotonic() - started)
        return None, "error"


async def _came(event: asyncio.Event, seconds: float | None) -> bool:
    """Whether it came in time; None: however long it takes."""
    try:
        # Not wait_for, which in Python 3.11 loses a cancel that comes with the event.
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
