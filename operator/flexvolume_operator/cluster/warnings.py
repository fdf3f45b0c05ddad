"""Why a pod does not come about: the newest Warning event about an object.

A pod that the API server refuses has no status anywhere; the DaemonSet's events are the only
place that says so.
"""

from typing import Final

from flexvolume_operator.cluster.client import Client, Json
from flexvolume_operator.cluster.store import list_whole

_LIMIT: Final = "50"
# What the event recorder puts before the text when there are many like it.
_COMBINED: Final = "(combined from similar events): "


async def newest_warning(client: Client, namespace: str, uid: str, reason: str = "") -> str:
    """Message of the newest Warning about the object of this uid; empty when there is none.

    What the node controller says to a dead node's pods explains nothing once the node is back.
    """
    which = f"reason={reason}" if reason else "reason!=NodeNotReady"
    wanted = f"involvedObject.uid={uid},type=Warning,{which}"
    path = f"/api/v1/namespaces/{namespace}/events"
    events = await list_whole(client, path, fieldSelector=wanted, limit=_LIMIT)
    text = str(max(events, key=_last, default={}).get("message") or "")
    return text.removeprefix(_COMBINED)


def _last(event: Json) -> str:
    """When an event was last seen; RFC 3339 in UTC sorts as text."""
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"]["creationTimestamp"]
    )
