"""Installer pods of fake nodes whose install a test speaks for: those of the shape "stuck"."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from testbed import fakes
from testbed.api import connect
from tests.support.kit import INSTALLERS, Kit

Object = Mapping[str, Any]

STUCK = {"annotations": {"testbed/stuck": "all"}}
_PATH = f"/api/v1/namespaces/{INSTALLERS}/pods"


def pods(kit: Kit, driver: str) -> dict[str, Any]:
    """The driver's pods that stay and that their node has taken up, by node."""
    found = kit.list("pods", f"flexvolume.io/driver={driver}", INSTALLERS)
    return {
        pod["spec"]["nodeName"]: pod
        for pod in found
        if pod["spec"].get("nodeName")
        and pod["status"].get("initContainerStatuses")
        and "deletionTimestamp" not in pod["metadata"]
    }


def waits_for_its_turn(kit: Kit, pod: Object) -> None:
    """Its first install has found a foreign driver; its second has been waiting for an hour."""
    said = {
        "result": "Failed",
        "reason": "ForeignDriverPresent",
        "message": "another driver lies there; it is replaced when its turn comes",
        "waits": True,
    }
    ended = {"terminated": {"exitCode": 3, "message": _report(pod, said), **_times(3600)}}
    running = {"running": {"startedAt": _times(3590)["startedAt"]}}
    _write(kit, pod, {"restartCount": 1, "state": running, "lastState": ended}, guard=False)


def says(kit: Kit, pod: Object, result: str, **said: Any) -> None:
    """Its install has ended with this report."""
    well = result != "Failed"
    text = _report(pod, {"result": result} | said)
    ended = {"terminated": {"exitCode": 0 if well else 3, "message": text, **_times(1)}}
    _write(kit, pod, {"restartCount": 1, "state": ended, "lastState": {}}, guard=well)


def has_its_turn(pod: Object) -> bool:
    """Whether the operator has told it so."""
    return bool(pod["metadata"].get("annotations", {}).get("flexvolume.io/adopt") == "true")


def _report(pod: Object, said: dict[str, Any]) -> str:
    known: dict[str, Any] = {
        "v": 1,
        "component": "install",
        "revision": pod["metadata"]["labels"]["flexvolume.io/revision"],
        "sha256": "a" * 64,
        "bootID": fakes.boot_id(pod["spec"]["nodeName"]),
    }
    return json.dumps(known | said)


def _times(ago: int) -> dict[str, str]:
    moment = datetime.now(UTC) - timedelta(seconds=ago)
    text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"startedAt": text, "finishedAt": text}


def _write(kit: Kit, pod: Object, install: Object, *, guard: bool) -> None:
    done = {"terminated": {"exitCode": 0, "reason": "Completed", **_times(3601)}}
    states = {"tools": {"state": done}, "install": install}
    running = {"state": {"running": {"startedAt": _times(0)["startedAt"]}}, "ready": True}
    status = pod["status"]
    change = {
        "initContainerStatuses": [s | states[s["name"]] for s in status["initContainerStatuses"]],
        "containerStatuses": [s | (running if guard else {}) for s in status["containerStatuses"]],
    }
    with connect(kit.cluster.layout) as api:
        path = f"{_PATH}/{pod['metadata']['name']}/status"
        api.request("PATCH", path, {"status": change})
