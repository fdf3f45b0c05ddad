"""Children (DaemonSets) kept as rendered: applied once, repaired when touched, never rewritten.

What we asked for and what the API server answered are remembered together. As long as the child
still has the uid and generation of that answer there is nothing to do, whatever an admission
policy made of our request. A server-side apply does not take away what somebody else added, so
when another field manager owns parts of the spec the child is replaced as a whole.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flexvolume_operator.cluster.client import ApiError, Client, Json
from flexvolume_operator.model.names import ANNOTATION_ASKED_AGAIN, FIELD_MANAGER
from flexvolume_operator.model.objects import DaemonSet
from flexvolume_operator.model.reasons import ConditionReason
from flexvolume_operator.model.times import rfc3339

_LOG: Final = logging.getLogger(__name__)


class Rejected(Exception):
    """The API server will not have this child.

    `reason` is InvalidTemplate when the manifest is at fault, ApplyFailed when the namespace is
    missing or a right is; `message` is the API server's own text.
    """

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        at_fault = error.status in {400, 422}
        self.reason = ConditionReason.INVALID_TEMPLATE if at_fault else ConditionReason.APPLY_FAILED
        self.message = error.message


@dataclass(frozen=True, slots=True)
class _Answer:
    """The child as the API server returned it for `manifest`."""

    manifest: Mapping[str, Any]
    uid: str
    generation: int


class Children:
    """Applies manifests of one kind in one namespace; `collection` is their URL path."""

    def __init__(self, client: Client, collection: str) -> None:
        self._client = client
        self._collection = collection
        self._answers: dict[str, _Answer] = {}

    def known(self, name: str) -> Mapping[str, Any] | None:
        """The manifest that this process last applied for the child."""
        answer = self._answers.get(name)
        return answer.manifest if answer is not None else None

    def settled(self, manifest: Mapping[str, Any], observed: DaemonSet | None) -> bool:
        """Whether the child is as the API server made it of this very manifest."""
        meta = manifest["metadata"]
        answer = self._answers.get(meta["name"])
        if answer is None or observed is None or answer.manifest != manifest:
            return False
        owners = {owner["uid"] for owner in meta["ownerReferences"]}
        # The store may lag behind our own apply, but then it shows an older generation.
        return (
            answer.uid == observed.uid
            and answer.generation >= observed.generation
            and meta["labels"].items() <= observed.labels.items()
            and meta["annotations"].items() <= observed.annotations.items()
            and owners <= set(observed.owner_uids)
        )

    async def ensure(self, manifest: Mapping[str, Any]) -> None:
        """Make the child what the manifest says; `Rejected` when the API server refuses it.

        A dry run goes first: a manifest that would be refused must not touch what is there.
        """
        name = manifest["metadata"]["name"]
        path = f"{self._collection}/{name}"
        known = self._answers.get(name)
        fresh = known is None or known.manifest != manifest
        try:
            if fresh:
                await self._client.apply(path, manifest, manager=FIELD_MANAGER, dry_run=True)
            child = await self._client.apply(path, manifest, manager=FIELD_MANAGER)
        except ApiError as error:
            if error.status in {400, 403, 404, 422}:
                raise Rejected(error) from error
            raise
        if fresh:
            _LOG.info("%s is applied, generation %s", name, child["metadata"]["generation"])
        intruders = strangers(child)
        if intruders:
            generation = child["metadata"]["generation"]
            child = await self._replace(path, manifest, child)
            # Somebody who once wrote what we write too stays in managedFields, and is no news.
            if not fresh or child["metadata"]["generation"] != generation:
                _LOG.warning("%s was edited by %s: put right", name, ", ".join(intruders))
        meta = child["metadata"]
        self._answers[name] = _Answer(manifest, meta["uid"], meta["generation"])

    async def _replace(self, path: str, manifest: Mapping[str, Any], child: Json) -> Json:
        """PUT the manifest over the child, so that foreign fields go.

        Whatever was written to it meanwhile: with a resourceVersion, the controller's next status
        would make it a conflict, and the back-off after that leaves the edit in place for a second.
        """
        meta = {**manifest["metadata"], "uid": child["metadata"]["uid"]}
        return await self._client.replace(
            path, {**manifest, "metadata": meta}, manager=FIELD_MANAGER
        )

    async def ask_again(self, name: str, now: float) -> None:
        """Have the DaemonSet controller try again to make pods that were refused.

        By itself it waits longer each time, in the end 17 minutes, and nothing tells it that a
        quota or a policy has gone; but it looks at a DaemonSet at once when anything in it changes.
        """
        change = {"metadata": {"annotations": {ANNOTATION_ASKED_AGAIN: rfc3339(now)}}}
        try:
            await self._client.patch(f"{self._collection}/{name}", change, manager=FIELD_MANAGER)
        except ApiError as error:
            _LOG.info("%s was not touched to have its pods tried again: %s", name, error)

    async def delete(self, name: str, uid: str) -> None:
        """Delete the child of this uid."""
        self._answers.pop(name, None)
        await self._client.delete(f"{self._collection}/{name}", uid=uid)


def strangers(child: Mapping[str, Any]) -> list[str]:
    """Field managers other than us who own something under the child's spec."""
    return sorted(
        {
            entry.get("manager", "")
            for entry in child["metadata"].get("managedFields", ())
            if entry.get("manager") != FIELD_MANAGER
            and not entry.get("subresource")
            and "f:spec" in (entry.get("fieldsV1") or {})
        }
    )
