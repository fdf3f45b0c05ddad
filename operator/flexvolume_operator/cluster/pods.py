"""What is done to installer pods: they are replaced, and told that it is their turn."""

from flexvolume_operator.cluster.client import ApiError, Client
from flexvolume_operator.model.names import (
    ANNOTATION_ADOPT,
    ANNOTATION_ADOPT_SINCE,
    FIELD_MANAGER,
)
from flexvolume_operator.model.objects import Pod
from flexvolume_operator.model.times import rfc3339


async def delete(client: Client, pod: Pod) -> None:
    """Delete this very pod, for its DaemonSet to make another."""
    await client.delete(_path(pod), uid=pod.uid)


async def grant(client: Client, pod: Pod, now: float) -> None:
    """Tell this very pod that it may replace a foreign driver; one that is gone needs no turn."""
    annotations = {ANNOTATION_ADOPT: "true", ANNOTATION_ADOPT_SINCE: rfc3339(now)}
    change = {"metadata": {"uid": pod.uid, "annotations": annotations}}
    try:
        await client.patch(_path(pod), change, manager=FIELD_MANAGER)
    except ApiError as error:
        if error.status not in {404, 409}:
            raise


def _path(pod: Pod) -> str:
    return f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
