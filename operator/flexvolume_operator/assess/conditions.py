"""The conditions of a FlexDriver, as kstatus and Argo CD read them.

Reconciling while something is under way, Stalled when nothing more will happen by itself, Ready
when every node that can have the driver has the current revision. Nodes that are not ready and
nodes that can never have it are counted and set apart: neither holds up the rest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flexvolume_operator.assess.tally import Tally
from flexvolume_operator.model.flexnode import State
from flexvolume_operator.model.reasons import ConditionReason, DirectoryReason
from flexvolume_operator.model.times import rfc3339
from flexvolume_operator.model.verdict import Target


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition without its dates; `status` is True, False or Unknown."""

    type: str
    status: str
    reason: StrEnum
    message: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why nothing can be done for a FlexDriver as a whole, in the API server's or our own words."""

    reason: ConditionReason
    message: str


Conditions = tuple[Condition, Condition, Condition]


@dataclass(frozen=True, slots=True)
class ManagerReady:
    """Whether the controller-managers can use the driver; `moving`: it may yet come by itself."""

    condition: Condition
    moving: bool = False


def conditions(
    target: Target,
    tally: Tally,
    trouble: Trouble | None,
    *,
    applied: bool,
    manager: ManagerReady | None = None,
) -> Conditions:
    """Ready, Reconciling and Stalled; see `status` in the module summary for the parameters."""
    if trouble is not None:
        return stalled(trouble)
    counts = counted(tally)
    if target.deleting:
        message = f"The FlexDriver is being deleted. {counts}"
        return _three("False", "True", "False", ConditionReason.DELETING, message)
    if _unfinished(target, tally) or not applied:
        if target.suspended:
            message = f"spec.suspend holds all changes. {counts}"
            return _three("False", "False", "False", ConditionReason.SUSPENDED, message)
        return _three("False", "True", "False", ConditionReason.PROGRESSING, counts)
    return _decided(target, tally, counts, manager)


def _unfinished(target: Target, tally: Tally) -> bool:
    """Some nodes have no verdict on what is wanted yet: of a dry run, or of the real thing."""
    states = tally.states
    if states[State.PENDING] or states[State.OUTDATED]:
        return True
    return bool(tally.stale if target.dry_run else states[State.WOULD_INSTALL])


def _decided(target: Target, tally: Tally, counts: str, manager: ManagerReady | None) -> Conditions:
    """Every node has a verdict on the wanted revision; pods may still have to be replaced."""
    rolling = bool(tally.stale) and not target.suspended
    moving = "True" if rolling else "False"
    if tally.states[State.FAILED]:
        return _three(
            "False", moving, str(not rolling), ConditionReason.NODES_FAILED, _failures(tally)
        )
    if target.dry_run and tally.states[State.WOULD_INSTALL]:
        message = f"spec.dryRun is true, so nothing is published. {counts}"
        return _three("False", "False", "False", ConditionReason.DRY_RUN, message)
    if manager is not None and manager.condition.status == "False":
        return _without_manager(manager, rolling=rolling)
    if tally.possible == 0:
        return _three("True", "False", "False", ConditionReason.NO_NODES_MATCHED, _nobody(tally))
    if tally.installed == 0:
        return _three("Unknown", "True", "False", ConditionReason.NODES_NOT_READY, counts)
    if target.suspended:
        counts += " spec.suspend holds all changes."
    if rolling:
        counts += f" {_nodes(tally.stale)} to get a new installer pod."
    return _three("True", moving, "False", ConditionReason.INSTALLED, counts)


def _without_manager(manager: ManagerReady, *, rolling: bool) -> Conditions:
    """The nodes may have the driver; its volumes are attached by somebody who has not."""
    moving = manager.moving or rolling
    reason = ConditionReason.PROGRESSING if moving else ConditionReason.CONTROLLER_MANAGER_NOT_READY
    message = manager.condition.message
    return _three("False", str(moving), str(not moving), reason, message)


def directory_confirmed(tally: Tally) -> Condition:
    """Whether each node's directory is one that somebody vouches for."""

    def said(status: str, reason: DirectoryReason, message: str) -> Condition:
        return Condition("DirectoryConfirmed", status, reason, message)

    if tally.mismatched:
        return said(
            "False",
            DirectoryReason.MISMATCH,
            f"{_nodes(tally.mismatched)}: the directory that was set is not the kubelet's.",
        )
    if tally.guessed:
        return said(
            "False",
            DirectoryReason.GUESSED,
            f"{_nodes(tally.guessed)}: the directory is guessed, as neither the kubelet nor its "
            f"process tells it. {tally.guessing()}",
        )
    if tally.unknown:
        return said(
            "Unknown", DirectoryReason.ASKING, f"{_nodes(tally.unknown)}: the kubelet is asked."
        )
    return said("True", DirectoryReason.CONFIRMED, "No directory is a guess.")


def stalled(trouble: Trouble) -> Conditions:
    """The conditions of a FlexDriver that somebody has to change first."""
    return _three("False", "False", "True", trouble.reason, trouble.message)


def dated(
    condition: Condition, generation: int, previous: Mapping[str, Any], now: float
) -> dict[str, Any]:
    """A condition as it is written; its date is that of the last change of its status."""
    before = find(previous, condition.type)
    same = before.get("status") == condition.status
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "observedGeneration": generation,
        "lastTransitionTime": (same and before.get("lastTransitionTime")) or rfc3339(now),
    }


def find(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """The condition of a type in a status; empty if it is not there."""
    known: Iterable[Mapping[str, Any]] = status.get("conditions") or ()
    return next((c for c in known if c.get("type") == kind), {})


def counted(tally: Tally) -> str:
    """One sentence with every count that is not zero."""
    others = (
        (State.PENDING, "pending"),
        (State.OUTDATED, "to be updated"),
        (State.WOULD_INSTALL, "would be installed"),
        (State.FAILED, "failed"),
        (State.UNKNOWN, "not ready"),
        (State.REMOVING, "being cleaned"),
        (State.UNSUPPORTED, "unsupported"),
    )
    parts = [f"{tally.installed} of {_nodes(tally.possible)} installed"]
    parts += [f"{tally.states[state]} {word}" for state, word in others if tally.states[state]]
    return ", ".join(parts) + "."


def _three(
    ready: str, reconciling: str, stuck: str, reason: ConditionReason, message: str
) -> Conditions:
    return (
        Condition("Ready", ready, reason, message),
        Condition("Reconciling", reconciling, reason, message),
        Condition("Stalled", stuck, reason, message),
    )


def _failures(tally: Tally) -> str:
    first = tally.failing()[0]
    return f"{counted(tally)} {first['node']}: {first['reason']}: {first['message']}"


def _nobody(tally: Tally) -> str:
    if tally.matched:
        return f"None of the {_nodes(tally.matched)} that match can have the driver: unsupported."
    return "No node matches spec.placement."


def _nodes(count: int) -> str:
    return f"{count} node" if count == 1 else f"{count} nodes"
