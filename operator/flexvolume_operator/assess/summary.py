"""The status of a FlexDriver, made of its counters, its conditions and what it said before."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from flexvolume_operator.assess.conditions import (
    ManagerReady,
    Trouble,
    conditions,
    dated,
    directory_confirmed,
    stalled,
)
from flexvolume_operator.assess.tally import Tally
from flexvolume_operator.model.flexnode import State
from flexvolume_operator.model.verdict import Target


@dataclass(frozen=True, slots=True)
class Managers:
    """What is said of controller-managers: nodes by (directory, role), and whether they can work.

    `ready` is None for a driver that does not attach.
    """

    ready: ManagerReady | None
    directories: Counter[tuple[str, str]]


def status(
    generation: int,
    target: Target,
    tally: Tally,
    previous: Mapping[str, Any],
    now: float,
    *,
    trouble: Trouble | None = None,
    applied: bool = True,
    managers: Managers | None = None,
) -> dict[str, Any]:
    """The whole status of a FlexDriver, for one server-side apply.

    `previous` is its status as last read or written, `now` epoch seconds. `applied` is False until
    the DaemonSet controller has seen the wanted DaemonSets. `managers` is what is to be said of
    controller-managers, None if the driver does not concern them.
    """
    ready = managers.ready if managers is not None else None
    wanted = [
        *conditions(target, tally, trouble, applied=applied, manager=ready),
        directory_confirmed(tally),
        *([ready.condition] if ready is not None else []),
    ]
    directories = tally.directories + (managers.directories if managers else Counter())
    result: dict[str, Any] = {
        "observedGeneration": generation,
        "driverName": f"{target.vendor}/{target.driver}",
        "summary": f"{tally.installed}/{tally.possible}",
        "nodes": {"matched": tally.matched}
        | {_counter(state): tally.states[state] for state in State},
        "failing": tally.failing(),
        "pluginDirs": [
            {"path": path, "role": role, "nodes": nodes}
            for (path, role), nodes in sorted(directories.items())
        ],
        "rollout": {
            "currentRevision": target.revision,
            "state": _rollout(target, tally, applied=applied),
            "updated": tally.updated,
            "total": tally.possible,
        },
        "conditions": [dated(c, generation, previous, now) for c in wanted],
    }
    if warnings := tally.warnings():
        result["warnings"] = warnings
    if tally.capabilities is not None:
        result["capabilities"] = msgspec.to_builtins(tally.capabilities)
    elif "capabilities" in previous:
        result["capabilities"] = previous["capabilities"]
    return result


def invalid_status(
    generation: int, previous: Mapping[str, Any], now: float, trouble: Trouble
) -> dict[str, Any]:
    """The status of a FlexDriver whose spec cannot be read: what was known of nodes stays."""
    kept = {k: v for k, v in previous.items() if k not in ("observedGeneration", "conditions")}
    written = [dated(c, generation, previous, now) for c in stalled(trouble)]
    return kept | {"observedGeneration": generation, "conditions": written}


def _counter(state: State) -> str:
    return state.value[0].lower() + state.value[1:]


def _rollout(target: Target, tally: Tally, *, applied: bool) -> str:
    unfinished = tally.stale + tally.states[State.OUTDATED] + tally.states[State.PENDING]
    if not unfinished and applied:
        return "Complete"
    return "Paused" if target.suspended else "Rolling"
