"""(f): how long a child stays deleted or tampered with.

Tampered with is a DaemonSet on all nodes. Deleted is one on a few nodes, as its pods go with it and
have to be made anew before the next time.
"""

import copy
import json
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from testbed.api import Api, connect
from tests.scale.figures import Goal, Section, percentiles
from tests.scale.fleet import DAEMONSETS
from tests.scale.installing import DRIVER, bench
from tests.scale.plan import Plan, Tell
from tests.scale.watching import Watch
from tests.support.kit import Kit, Object, flexdriver, until

FEW = "few"
ON_FEW = 5


def other_image(body: Object) -> None:
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "evil:1"


def one_container_more(body: Object) -> None:
    body["spec"]["template"]["spec"]["containers"].append({"name": "extra", "image": "extra:1"})


def other_strategy(body: Object) -> None:
    body["spec"]["updateStrategy"] = {"type": "RollingUpdate"}


def one_label_less(body: Object) -> None:
    del body["metadata"]["labels"]["app.kubernetes.io/name"]


EDITS = (other_image, one_container_more, other_strategy, one_label_less)


def measure(plan: Plan, tell: Tell) -> list[Section]:
    """The section f."""
    deleted: list[float] = []
    edited: list[float] = []
    with bench() as cluster:
        kit = cluster.kit
        tell(f"(f) {plan.few} fake nodes, two FlexDrivers")
        nodes = kit.cluster.fake_nodes(plan.few)
        kit.cluster.kubectl("label", "node", *nodes[:ON_FEW], "few=true")
        kit.apply(flexdriver(FEW, placement={"nodeSelector": {"few": "true"}}))
        cluster.install(plan.few)
        kit.until_ready(FEW)
        layout = kit.cluster.layout
        with connect(layout) as api, Watch[Any](layout, DAEMONSETS, dict) as children:
            harm = Harm(kit, api, children)
            for turn in range(plan.times // 2):
                if turn % 25 == 0:
                    tell(f"(f) {2 * turn} of {plan.times}")
                edited.append(harm.edit(EDITS[turn % len(EDITS)]))
                deleted.append(harm.delete())
    what, goal = "until it is as it was", Goal("<", 100)
    rows = [
        *percentiles(f"child deleted {what}", "ms", deleted, goal),
        *percentiles(f"child tampered with {what}", "ms", edited, goal),
        *percentiles(f"either {what}", "ms", deleted + edited, goal),
    ]
    note = (
        f"From sending the request that does the harm until a watch shows the DaemonSet right "
        f"again. Tampered with is one on {plan.few} nodes, in {len(EDITS)} ways in turn, deleted "
        f"one on {ON_FEW}; at any moment, but not before all that came of the last time is over."
    )
    return [Section("f", "A child restored", note, rows)]


class Harm:
    """Does harm to children and gives the milliseconds until it is undone."""

    def __init__(self, kit: Kit, api: Api, children: Watch[Any]) -> None:
        self._kit = kit
        self._api = api
        self._children = children
        self._moments = random.Random(1)

    def edit(self, change: Callable[[Object], None]) -> float:
        """Change the child of the FlexDriver on all nodes."""
        child = self._at_rest(DRIVER)
        body = copy.deepcopy(child)
        del body["metadata"]["resourceVersion"], body["metadata"]["managedFields"]
        change(body)
        return self._undone(child, "PUT", "?fieldManager=somebody", body)

    def delete(self) -> float:
        """Delete the child of the FlexDriver on a few nodes."""
        return self._undone(self._at_rest(FEW), "DELETE")

    def _undone(self, child: Object, method: str, query: str = "", body: object = None) -> float:
        time.sleep(self._moments.uniform(0, 0.2))
        name = child["metadata"]["name"]
        right = self._children.expect(Restored(child))
        began = time.monotonic()
        self._api.request(method, f"{DAEMONSETS}/{name}{query}", body)
        return (right.wait(30, f"{name} is as it was") - began) * 1000

    def _at_rest(self, driver: str) -> Object:
        """The FlexDriver's child, once the pods of the one that was deleted last are back."""
        # In this order: for a moment Ready is still what it was before.
        until(lambda: self._settled(FEW), 30, f"the DaemonSet of {FEW} has its pods")
        self._kit.until_ready(FEW)
        return until(lambda: self._settled(driver), 30, f"the DaemonSet of {driver} has its pods")

    def _settled(self, driver: str) -> Object | None:
        where = f"{DAEMONSETS}?labelSelector=flexvolume.io%2Fdriver%3D{driver}"
        found: list[Object] = json.loads(self._api.request("GET", where))["items"]
        return next(filter(_complete, found), None)


def _complete(child: Object) -> bool:
    """Whether the controller has seen the DaemonSet as it is, and all its pods are ready."""
    status = child["status"]
    seen = status.get("observedGeneration") == child["metadata"]["generation"]
    return seen and status.get("numberReady") == status["desiredNumberScheduled"]


class Restored:
    """Whether a child is right again after it was not."""

    def __init__(self, child: Object) -> None:
        self._name = child["metadata"]["name"]
        self._right = (child["spec"], child["metadata"]["labels"])
        self._harmed = False

    def __call__(self, children: Mapping[str, Any]) -> bool:
        found = children.get(self._name)
        right = found and (found["spec"], found["metadata"]["labels"]) == self._right
        self._harmed = self._harmed or not right
        return self._harmed and bool(right)
