"""One active operator: a coordination.k8s.io Lease, renewed by the holder, taken when it lapses.

A holder that was frozen (SIGSTOP, a stalled machine) wakes up believing that it still leads. So
`check` comes before each write, a renewal too: it looks at the monotonic clock and ends the process
when the deadline to renew has passed. Another may be acting by then, and all state is rebuilt at
start.
"""

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

from flexvolume_operator import metrics
from flexvolume_operator.cluster.client import ApiError, Client, Json

DURATION: Final = 10.0
RENEW_DEADLINE: Final = 7.0
RETRY: Final = 2.0
# Of the one who waits: a Lease that was let go is taken about as soon.
LOOK: Final = 1.0
_MANAGER: Final = "flexvolume-operator"
_LOG: Final = logging.getLogger(__name__)


class Lease:
    """The Lease `namespace/name`, held as `identity`.

    `client` must be the lease's own: renewals may not wait behind other writes.
    """

    def __init__(self, client: Client, namespace: str, name: str, identity: str) -> None:
        self._client = client
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._path = f"{self._collection}/{name}"
        self._name = name
        self._identity = identity
        self._object: Json = {}
        self._unchanged_since = 0.0
        self._renewed = float("-inf")

    async def acquire(self) -> None:
        """Wait until the Lease is ours."""
        waiting = False
        while not await self._attempt(self._take):
            if not waiting:
                _LOG.info("waiting for Lease %s, held by %s", self._name, self._holder or "nobody")
            waiting = True
            await asyncio.sleep(LOOK * random.uniform(0.8, 1.2))  # noqa: S311
        metrics.LEADER.set(1)
        _LOG.info("holding Lease %s as %s", self._name, self._identity)

    async def keep(self) -> None:
        """Renew for ever; ends the process when the renew deadline has passed."""
        # What was frozen on the way to a renewal must not send it when it wakes.
        self._client.before_write = self.check
        due = time.monotonic() + RETRY
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            # From begin to begin: slow answers add up to nothing, they only fill the pause.
            due = time.monotonic() + RETRY
            await self._attempt(self._renew)
            self.check()

    def check(self) -> None:
        """End the process if the Lease may be somebody else's by now."""
        if time.monotonic() - self._renewed > RENEW_DEADLINE:
            _LOG.critical("Lease %s not renewed for %.0f s: stopping", self._name, RENEW_DEADLINE)
            os._exit(1)

    async def release(self) -> None:
        """Let the next one take over at once."""
        if self._holder == self._identity:
            # It is never too late for that: if somebody else has it by now, nothing is written.
            self._client.before_write = lambda: None
            await self._attempt(self._give_up)

    async def _attempt(self, step: Callable[[], Awaitable[bool]]) -> bool:
        try:
            async with asyncio.timeout(RENEW_DEADLINE - RETRY):
                return await step()
        except (ApiError, TimeoutError) as error:
            _LOG.warning("Lease %s: %s", self._name, str(error) or "no answer in time")
            return False

    async def _take(self) -> bool:
        found = await self._client.get_object(self._path)
        if found is None:
            return await self._write({"leaseTransitions": 0, "acquireTime": _now()})
        if _version(found) != _version(self._object):
            self._unchanged_since = time.monotonic()
        self._object = found
        free = self._holder in {"", self._identity}
        # By our own clock, since those of the machines may differ.
        lapsed = time.monotonic() - self._unchanged_since > DURATION
        if not free and not lapsed:
            return False
        changes = found["spec"].get("leaseTransitions", 0) + 1
        return await self._write({"leaseTransitions": changes, "acquireTime": _now()})

    async def _renew(self) -> bool:
        return await self._write({})

    async def _write(self, changes: dict[str, Any]) -> bool:
        started = time.monotonic()
        spec = self._object.get("spec", {}) | changes
        spec |= {"holderIdentity": self._identity, "renewTime": _now()}
        spec["leaseDurationSeconds"] = int(DURATION)
        self._object = await self._put(spec)
        self._renewed = started
        return True

    async def _give_up(self) -> bool:
        metrics.LEADER.set(0)
        self._renewed = float("-inf")
        self._object = await self._put(self._object["spec"] | {"holderIdentity": ""})
        _LOG.info("released Lease %s", self._name)
        return True

    async def _put(self, spec: dict[str, Any]) -> Json:
        """Write, on condition that nobody else did since our last look."""
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": spec}
        if not self._object:
            body["metadata"] = {"name": self._name}
            return await self._client.create(self._collection, body, manager=_MANAGER)
        body["metadata"] = self._object["metadata"]
        return await self._client.replace(self._path, body, manager=_MANAGER)

    @property
    def _holder(self) -> str:
        return self._object.get("spec", {}).get("holderIdentity") or ""


def _version(lease: Json) -> str:
    return str(lease.get("metadata", {}).get("resourceVersion", ""))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
