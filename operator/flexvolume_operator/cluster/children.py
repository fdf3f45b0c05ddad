"""Children (DaemonSets) kept as rendered: applied once, repaired when touched, never rewritten.

What we asked for and what the API server answered are remembered together. As long as the child
still has the uid and generation of that answer there is nothing to do, whatever an admission
policy made of our request. A server-side apply does not take away what somebody else added, so
an edited spec is put back as a whole, and so is a child when others own parts of the spec.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flexvolume_operator.cluster.client import ApiError, Client
from flexvolume_operator.model.names import ANNOTATION_ASKED_AGAIN, FIELD_MANAGER
from flexvolume_operator.model.objects import DaemonSet
from flexvolume_operator.model.reasons import ConditionReason
from flexvolume_operator.model.times import rfc3339
from flexvolume_operator.model.wire import DAEMONSETS

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

    def edited(self, observed: DaemonSet) -> bool:
        """Whether somebody has changed this child's spec since."""
        same = observed.uid == self.uid and not observed.deleting
        return same and observed.generation > self.generation


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

    async def ensure(self, manifest: Mapping[str, Any], observed: DaemonSet | None) -> None:
        """Make the child what the manifest says; `Rejected` when the API server refuses it."""
        name = manifest["metadata"]["name"]
        known = self._answers.get(name)
        if known is not None and known.manifest != manifest:
            known = None
        child = None
        try:
            if known is not None and observed is not None and known.edited(observed):
                child = await self._undo(known, observed)
            if child is None:
                child = await self._apply(manifest, fresh=known is None)
        except ApiError as error:
            if error.status in {400, 403, 404, 422}:
                raise Rejected(error) from error
            raise
        self._answers[name] = _Answer(manifest, child.uid, child.generation)

    async def _undo(self, known: _Answer, observed: DaemonSet) -> DaemonSet | None:
        """Put back the spec that somebody edited, in one request; None: it cannot be had so."""
        steps = [
            {"op": "test", "path": "/metadata/uid", "value": known.uid},
            {"op": "replace", "path": "/spec", "value": known.manifest["spec"]},
        ]
        path = self._path(observed.name)
        try:
            answer = await self._client.patch_json(path, steps, manager=FIELD_MANAGER)
        except ApiError as error:
            # It is gone or another one by now, or is refused: an apply makes it, or says why.
            if error.status in {404, 422}:
                return None
            raise
        # Who only took something away owns nothing.
        _tell_edited(observed, _others(observed) or ["somebody"])
        return DAEMONSETS.of(answer)

    async def _apply(self, manifest: Mapping[str, Any], *, fresh: bool) -> DaemonSet:
        """Server-side apply, and what others own in the spec taken away.

        A dry run goes before what has never been applied: a manifest that would be refused must not
        touch what is there.
        """
        path = self._path(manifest["metadata"]["name"])
        if fresh:
            await self._client.apply(path, manifest, manager=FIELD_MANAGER, dry_run=True)
        child = DAEMONSETS.of(await self._client.apply(path, manifest, manager=FIELD_MANAGER))
        if fresh:
            _LOG.info("%s is applied, generation %s", child.name, child.generation)
        if not child.editors:
            return child
        replaced = await self._replace(path, manifest, child.uid)
        # Somebody who once wrote what we write too stays in managedFields, and is no news.
        if (others := _others(child)) and replaced.generation != child.generation:
            _tell_edited(child, others)
        return replaced

    async def _replace(self, path: str, manifest: Mapping[str, Any], uid: str) -> DaemonSet:
        """PUT the manifest over the child, so that foreign fields go.

        Whatever was written to it meanwhile: with a resourceVersion, the controller's next status
        would make it a conflict, and the back-off after that leaves the edit in place for a second.
        """
        body = {**manifest, "metadata": {**manifest["metadata"], "uid": uid}}
        return DAEMONSETS.of(await self._client.replace(path, body, manager=FIELD_MANAGER))

    def _path(self, name: str) -> str:
        return f"{self._collection}/{name}"

    async def ask_again(self, name: str, now: float) -> None:
        """Have the DaemonSet controller try again to make pods that were refused.

        By itself it waits longer each time, in the end 17 minutes, and nothing tells it that a
        quota or a policy has gone; but it looks at a DaemonSet at once when anything in it changes.
        """
        change = {"metadata": {"annotations": {ANNOTATION_ASKED_AGAIN: rfc3339(now)}}}
        try:
            await self._client.patch(self._path(name), change, manager=FIELD_MANAGER)
        except ApiError as error:
            _LOG.info("%s was not touched to have its pods tried again: %s", name, error)

    async def delete(self, name: str, uid: str) -> None:
        """Delete the child of this uid."""
        self._answers.pop(name, None)
        await self._client.delete(self._path(name), uid=uid)


def _others(child: DaemonSet) -> list[str]:
    return [editor for editor in child.editors if editor != FIELD_MANAGER]


def _tell_edited(child: DaemonSet, editors: Sequence[str]) -> None:
    _LOG.warning("%s was edited by %s: put right", child.name, ", ".join(editors))
