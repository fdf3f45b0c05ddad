"""(g): how long it takes until a node's failure can be read from the FlexDriver.

On the nodes of fleet.py: kwok would put a node that is set not ready to Ready again at once.
"""

import json
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from testbed.api import Api, connect
from tests.scale.figures import Goal, Section, percentiles
from tests.scale.fleet import PODS, conditions, digest, now
from tests.scale.footprint import DRIVERS, fleet, populate
from tests.scale.installing import FLEXDRIVERS
from tests.scale.plan import Plan, Tell
from tests.scale.watching import Watch, installed
from tests.support.kit import Object

# A failure comes at any moment: also just after a status was written, when the next one waits.
PAUSE = 1.0

Holds = Callable[[Mapping[str, Any]], bool]


def measure(plan: Plan, tell: Tell) -> list[Section]:
    """The section g."""
    broken: list[float] = []
    lost: list[float] = []
    tell(f"(g) {plan.many:,} nodes with {len(DRIVERS)} drivers")
    with fleet(plan.many) as (kit, operator, nodes):
        operator.start()
        populate(kit, nodes)
        layout = kit.cluster.layout
        with connect(layout) as api, Watch[Any](layout, FLEXDRIVERS, dict) as drivers:
            trial = Trial(api, drivers, plan.many)
            chosen = random.Random(1)
            for turn in range(plan.times // 2):
                if turn % 20 == 0:
                    tell(f"(g) {2 * turn} of {plan.times}")
                time.sleep(chosen.uniform(0, PAUSE))
                broken.append(trial.driver_fails(chosen.choice(nodes.nodes)))
                time.sleep(chosen.uniform(0, PAUSE))
                lost.append(trial.node_fails(chosen.choice(nodes.nodes)))
    what, goal = "until FlexDriver status shows it", Goal("<", 1)
    rows = [
        *percentiles(f"driver fails on a node {what}", "s", broken, goal),
        *percentiles(f"node not Ready until {len(DRIVERS)} FlexDrivers show it", "s", lost, goal),
        *percentiles(f"either {what}", "s", broken + lost, goal),
    ]
    note = (
        f"{plan.many:,} nodes with {len(DRIVERS)} drivers. From sending the write that a kubelet "
        "or the node controller would send until a watch shows the status; at any moment after the "
        "last change was seen, so some wait for the half second between two writes."
    )
    return [Section("g", "A failure seen", note, rows)]


class Trial:
    """Lets a node fail and get well again; gives the seconds until the failure was seen."""

    def __init__(self, api: Api, drivers: Watch[Any], size: int) -> None:
        self._api = api
        self._drivers = drivers
        self._size = size

    def driver_fails(self, node: str) -> float:
        """The guard of one driver reports that it cannot repair the file."""
        where = f"{PODS}?fieldSelector=spec.nodeName%3D{node}"
        pod = next(
            found
            for found in json.loads(self._api.request("GET", where))["items"]
            if found["metadata"]["labels"]["flexvolume.io/driver"] == DRIVERS[0]
        )
        path, well = f"{PODS}/{pod['metadata']['name']}/status", pod["status"]
        del pod["metadata"]["resourceVersion"]
        seen = self._drivers.expect(lambda found: failing(found[DRIVERS[0]]) == [node])
        took = self._seconds(seen.wait, path, pod | {"status": given_up(well)})
        self._well_again(path, pod | {"status": well})
        return took

    def node_fails(self, name: str) -> float:
        """The node is not Ready, for all drivers."""
        node = json.loads(self._api.request("GET", f"/api/v1/nodes/{name}"))
        del node["metadata"]["resourceVersion"]
        path, status = f"/api/v1/nodes/{name}/status", node["status"]
        seen = self._drivers.expect(
            lambda found: all(found[d]["status"]["nodes"]["unknown"] == 1 for d in DRIVERS)
        )
        failed = status | {"conditions": conditions(ready=False)}
        took = self._seconds(seen.wait, path, node | {"status": failed})
        self._well_again(path, node | {"status": status | {"conditions": conditions(ready=True)}})
        return took

    def _seconds(self, wait: Callable[[float, str], float], path: str, body: Object) -> float:
        began = time.monotonic()
        self._api.request("PUT", path, body)
        return wait(30, f"the failure written to {path} is seen") - began

    def _well_again(self, path: str, body: Object) -> None:
        each = [installed(driver, self._size) for driver in DRIVERS]
        well = self._drivers.expect(lambda found: all(holds(found) for holds in each))
        self._api.request("PUT", path, body)
        well.wait(30, f"the recovery written to {path} is seen")


def failing(driver: Mapping[str, Any]) -> list[str]:
    """The nodes that a FlexDriver's status names."""
    return [entry["node"] for entry in driver["status"]["failing"]]


def given_up(status: Object) -> Object:
    """The status of an installer pod whose guard has just reported a failure."""
    report = {
        "v": 1,
        "component": "guard",
        "result": "Failed",
        "reason": "PluginDirReadOnly",
        "message": "the plugin directory is on a read-only mount",
        "sha256": digest("driver"),
    }
    stamp = now()
    ended = {"exitCode": 0, "reason": "Completed", "startedAt": stamp, "finishedAt": stamp}
    (guard,) = status["containerStatuses"]
    changed = guard | {
        "state": {"running": {"startedAt": stamp}},
        "lastState": {"terminated": ended | {"message": json.dumps(report)}},
        "restartCount": guard["restartCount"] + 1,
    }
    return status | {"containerStatuses": [changed]}
