"""Everything that the operator is answerable for, looked at as a whole."""

import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from testbed.shell import ClusterError
from tests.support.kit import INSTALLERS, Kit, condition, is_ready
from tests.support.paths import collection

Object = Mapping[str, Any]

FINALIZER = "flexvolume.io/cleanup"
_KINDS = ("flexdrivers", "flexnodes", "nodes", "daemonsets", "pods")


@dataclass(frozen=True)
class Scene:
    """All objects of each kind, by name; nothing of nodes that are gone.

    That is for Kubernetes to clear away: pods within a minute, and a FlexNode, in a new cluster,
    once its garbage collector has heard of the kind.
    """

    flexdrivers: Mapping[str, Object]
    flexnodes: Mapping[str, Object]
    nodes: Mapping[str, Object]
    daemonsets: Mapping[str, Object]
    pods: Mapping[str, Object]

    def wrong(self, drivers: Collection[str]) -> list[str]:
        """What is not as it has to be when these FlexDrivers, and no others, are Ready."""
        pods = ((_driver(pod), _node(pod)) for pod in self.pods.values())
        meant = Counter((name, node) for name in self.flexdrivers for node in self.meant(name))
        entries = Counter((entry["driver"], node) for node, entry in self._entries())
        return [
            *_differ("FlexDrivers", drivers, self.flexdrivers),
            *_differ("DaemonSets", drivers, map(_driver, self.daemonsets.values())),
            *_differ("pods", meant.elements(), pods),
            *_differ("entries", meant.elements(), entries.elements()),
            *(f"pod {name} does not run" for name, pod in self.pods.items() if not _runs(pod)),
            *(said for found in self.flexdrivers.values() for said in self._not_ready(found)),
            *(f"{e['driver']} on {n} is {e['state']}" for n, e in self._entries() if not _good(e)),
            *(f"FlexNode {name} is empty" for name, f in self.flexnodes.items() if not _of(f)),
        ]

    def meant(self, driver: str) -> list[str]:
        """Nodes that a FlexDriver's placement asks for."""
        placement = self.flexdrivers[driver]["spec"].get("placement") or {}
        wanted = placement.get("nodeSelector") or {}
        return [n for n, o in self.nodes.items() if wanted.items() <= _labels(o).items()]

    def entries(self, driver: str) -> dict[str, Object]:
        """The driver's entry in each FlexNode that has one."""
        return {node: entry for node, entry in self._entries() if entry["driver"] == driver}

    def uids(self, driver: str) -> set[str]:
        """Of the DaemonSet and the pods: whether they are still the same."""
        of_it = [
            o for o in (*self.daemonsets.values(), *self.pods.values()) if _driver(o) == driver
        ]
        return {o["metadata"]["uid"] for o in of_it}

    def _entries(self) -> list[tuple[str, Object]]:
        return [(node, entry) for node, found in self.flexnodes.items() for entry in _of(found)]

    def _not_ready(self, driver: Object) -> list[str]:
        meta, status = driver["metadata"], driver.get("status", {})
        name, nodes = meta["name"], status.get("nodes", {})
        wanted = len(self.meant(name))
        if "deletionTimestamp" in meta:
            return [f"{name} is being deleted"]
        holds = {
            "has our finalizer once": meta.get("finalizers") == [FINALIZER],
            "is Ready": is_ready(status),
            "is not Reconciling": condition(status, "Reconciling").get("status") == "False",
            "is observed": status.get("observedGeneration") == meta["generation"],
            f"has {wanted} nodes": nodes.get("installed") == nodes.get("matched") == wanted,
        }
        return [f"not so: {name} {what} ({nodes})" for what, so in holds.items() if not so]


def look(kit: Kit) -> Scene:
    """The cluster as it is now."""
    lists = {kind: kit.ask(collection(kind, INSTALLERS)) for kind in _KINDS}
    found = {k: {o["metadata"]["name"]: o for o in v["items"]} for k, v in lists.items()}
    there = found["nodes"].keys() | {""}
    found["pods"] = {k: v for k, v in found["pods"].items() if _node(v) in there}
    found["flexnodes"] = {k: v for k, v in found["flexnodes"].items() if k in there}
    return Scene(**found)


def until_right(kit: Kit, drivers: Collection[str], timeout: float = 30) -> Scene:
    """The scene as soon as nothing is wrong with it."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            scene = look(kit)
            wrong = scene.wrong(drivers)
        except ClusterError as problem:
            scene, wrong = None, [f"cannot look: {problem}"]
        if scene and not wrong:
            return scene
        assert time.monotonic() < deadline, f"after {timeout:.0f} s:\n" + "\n".join(wrong)
        time.sleep(0.1)


def _differ(what: str, wanted: Iterable[object], there: Iterable[object]) -> list[str]:
    wants, has = Counter(iter(wanted)), Counter(iter(there))
    differences = {"too many": has - wants, "missing": wants - has}
    return [f"{what} {how}: {list(n.elements())}" for how, n in differences.items() if n]


def _runs(pod: Object) -> bool:
    return bool(pod["status"].get("phase") == "Running")


def _good(entry: Object) -> bool:
    return bool(entry["state"] == "Installed")


def _of(flexnode: Object) -> list[Object]:
    installs: list[Object] = flexnode.get("status", {}).get("installs", [])
    return installs


def _labels(found: Object) -> dict[str, str]:
    labels: dict[str, str] = found["metadata"].get("labels", {})
    return labels


def _node(pod: Object) -> str:
    return str(pod["spec"].get("nodeName", ""))


def _driver(found: Object) -> str:
    return _labels(found).get("flexvolume.io/driver", "")
