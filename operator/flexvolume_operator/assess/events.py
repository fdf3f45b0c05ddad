"""Which Kubernetes Events a change is worth.

Trouble, its end and tampering are; good news of a single node is not, as a healthy installation
has thousands of it. Nodes that change together for one reason share one event.
"""

from collections.abc import Container, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

from flexvolume_operator.assess.conditions import find
from flexvolume_operator.model.flexnode import Install, State, shorten
from flexvolume_operator.model.reasons import ConditionReason, DirectoryReason, ManagerReason

_NAMED: Final = 3
# Nobody need do anything about these.
_BY_DESIGN: Final = frozenset({"NotAsked", "KubeletTooOld"})
# Failed nodes have had events of their own, and so has the other condition.
_TOLD_OTHERWISE: Final = frozenset(
    {
        ConditionReason.NODES_FAILED,
        ConditionReason.CONTROLLER_MANAGER_NOT_READY,
        DirectoryReason.MISMATCH,
        ManagerReason.PROGRESSING,
    }
)
_LIMIT: Final = 900


class Event(NamedTuple):
    """An event on the FlexDriver; events of equal `key` are one event that happened again."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    key: str


class Change(NamedTuple):
    """What became of one node's entry; `before` is None for one that was not known."""

    node: str
    before: Install | None
    after: Install | None


def node_events(changes: Iterable[Change]) -> list[Event]:
    """The events for changes that were seen together, in order of their keys."""
    failed: dict[str, list[tuple[str, str]]] = {}
    recovered: list[tuple[str, str]] = []
    repaired: list[tuple[str, str]] = []
    for node, before, after in changes:
        if after is None:
            continue
        if _newly_failed(before, after):
            failed.setdefault(after.reason, []).append((node, after.message))
        if _recovered(before, after):
            recovered.append((node, "the driver is installed again"))
        if _repaired(before, after):
            repaired.append((node, f"{after.path} was changed or removed, and put back"))
    events = [_event("Warning", reason, nodes) for reason, nodes in sorted(failed.items())]
    if recovered:
        events.append(_event("Normal", "NodeRecovered", recovered))
    if repaired:
        events.append(_event("Warning", "DriverRepaired", repaired))
    return events


def lookup_events(
    problems: Mapping[str, tuple[list[str], str]], told: Container[str]
) -> list[Event]:
    """The events for kubelets that did not answer for themselves, for reasons not told before.

    `problems` is as Tally.problems gives it.
    """
    return [
        _event("Warning", "KubeletLookupFailed", [(node, words) for node in nodes])._replace(
            key=reason
        )
        for reason, (nodes, words) in sorted(problems.items())
        if reason not in told and reason not in _BY_DESIGN
    ]


def condition_events(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Event]:
    """The events for a FlexDriver's own turns: `before` and `after` are its statuses."""
    events = []
    ready, stalled = find(after, "Ready"), find(after, "Stalled")
    if _turned_true(before, ready):
        events.append(Event("Normal", "Ready", ready["message"], "Ready"))
    if _turned_true(before, stalled) and stalled["reason"] not in _TOLD_OTHERWISE:
        reason = stalled["reason"]
        events.append(Event("Warning", reason, shorten(stalled["message"], _LIMIT), reason))
    for kind in ("DirectoryConfirmed", "ControllerManagerReady"):
        known = find(after, kind)
        if _worth_telling(after, known) and not _worth_telling(before, find(before, kind), known):
            reason = known["reason"]
            events.append(Event("Warning", reason, shorten(known["message"], _LIMIT), reason))
    return events


def _worth_telling(
    status: Mapping[str, Any], condition: Mapping[str, Any], like: Mapping[str, Any] | None = None
) -> bool:
    """Whether it says what will not pass by itself, and no node has had an event for that."""
    reason = condition.get("reason")
    if condition.get("status") != "False" or reason in _TOLD_OTHERWISE:
        return False
    settled = find(status, "Reconciling").get("status") == "False"
    return settled and (like is None or like.get("reason") == reason)


def _newly_failed(before: Install | None, after: Install) -> bool:
    if after.state is not State.FAILED:
        return False
    return before is None or (before.state, before.reason) != (State.FAILED, after.reason)


def _recovered(before: Install | None, after: Install) -> bool:
    if before is None or after.state is not State.INSTALLED:
        return False
    return before.state is State.FAILED


def _repaired(before: Install | None, after: Install) -> bool:
    last = after.repairs.last_time
    return bool(last) and (before is None or before.repairs.last_time < last)


def _event(kind: Literal["Normal", "Warning"], reason: str, nodes: list[tuple[str, str]]) -> Event:
    nodes.sort()
    names = ", ".join(node for node, _ in nodes[:_NAMED])
    more = f" and {len(nodes) - _NAMED} more" if len(nodes) > _NAMED else ""
    message = shorten(f"{names}{more}: {nodes[0][1]}", _LIMIT)
    key = f"{reason}/{nodes[0][0]}" if len(nodes) == 1 else reason
    return Event(kind, reason, message, key)


def _turned_true(before: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
    if condition.get("status") != "True":
        return False
    old = find(before, condition["type"])
    return (old.get("status"), old.get("observedGeneration")) != (
        "True",
        condition["observedGeneration"],
    )
