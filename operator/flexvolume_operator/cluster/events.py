"""Kubernetes Events about FlexDrivers, so that `kubectl describe` tells the story.

A repeated event raises the count of the one that is there, as the API conventions ask, instead
of filing another.
"""

import hashlib
import logging
from datetime import UTC, datetime
from typing import Final

import msgspec

from flexvolume_operator.cluster.client import ApiError, Client

# Where Events about cluster-scoped objects live.
_COLLECTION: Final = "/api/v1/namespaces/default/events"
_MANAGER: Final = "flexvolume-operator"
_MESSAGE_LIMIT: Final = 1024
_LOG: Final = logging.getLogger(__name__)


class Regarding(msgspec.Struct, frozen=True):
    """The FlexDriver an event is about."""

    name: str
    uid: str


class Recorder:
    """Files events; one that cannot be filed is logged and dropped, never worth a failure."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def record(
        self, about: Regarding, kind: str, reason: str, message: str, key: str
    ) -> None:
        """File and log an event of kind Normal or Warning; those of equal keys are one, counted."""
        level = logging.WARNING if kind == "Warning" else logging.INFO
        _LOG.log(level, "FlexDriver %s: %s: %s", about.name, reason, message)
        name = f"{about.name}.{_digest(about.uid, reason, key)}"
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        path = f"{_COLLECTION}/{name}"
        text = message[:_MESSAGE_LIMIT]
        try:
            known = await self._client.get_object(path)
            if known:
                again = {"count": known.get("count", 1) + 1, "lastTimestamp": now, "message": text}
                await self._client.patch(path, again, manager=_MANAGER)
                return
            body = {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": "default"},
                "involvedObject": {
                    "apiVersion": "flexvolume.io/v1alpha1",
                    "kind": "FlexDriver",
                    "name": about.name,
                    "uid": about.uid,
                },
                "type": kind,
                "reason": reason,
                "message": text,
                "source": {"component": "flexvolume-operator"},
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
            }
            await self._client.create(_COLLECTION, body, manager=_MANAGER)
        except ApiError as error:
            _LOG.warning("event %s for %s not filed: %s", reason, about.name, error)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
