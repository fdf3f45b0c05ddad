"""Every version that the API server stored of what the operator writes, and of Nodes, in order.

Looking now and then would miss what is written and soon written over; a watch misses nothing.
"""

import json
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, Self

from testbed.api import connect
from tests.support.kit import OPERATORS, Kit, Object, condition, until
from tests.support.operator import changes, log_end
from tests.support.paths import collection

PATHS = {
    kind: collection(kind, OPERATORS) for kind in ("flexdrivers", "flexnodes", "nodes", "leases")
}
OURS = ("flexdrivers", "flexnodes")
# The rest of the metadata says when and by whom it was written, not what.
TOLD = ("labels", "annotations", "finalizers", "ownerReferences", "deletionTimestamp", "uid")


class Version(NamedTuple):
    """One version of an object, and when (monotonic) it arrived here; `gone`: it was the last."""

    at: float
    gone: bool
    body: Object

    @property
    def told(self) -> dict[str, Any]:
        """What it tells a reader."""
        meta = {key: self.body["metadata"].get(key) for key in TOLD}
        return meta | {"spec": self.body.get("spec"), "status": self.body.get("status")}

    def entry(self, driver: str) -> Object:
        """Of a FlexNode: the driver's entry; empty if there is none."""
        installs = () if self.gone else self.body.get("status", {}).get("installs", ())
        return next((found for found in installs if found["driver"] == driver), {})


class History:
    """While it is entered, keeps what is written; it begins with what is there."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._versions: defaultdict[tuple[str, str], list[Version]] = defaultdict(list)
        self._watches: list[tuple[subprocess.Popen[str], threading.Thread]] = []
        self._begun: dict[tuple[str, str], int] = {}
        self.audited = 0

    def __enter__(self) -> Self:
        for kind in PATHS:
            self._watch(kind)
        self._catch_up()
        self._begun = {key: len(found) for key, found in self._versions.items()}
        self.audited = log_end(self._kit)
        return self

    def __exit__(self, *_: object) -> None:
        for process, thread in self._watches:
            process.kill()
            process.wait()
            thread.join()

    def of(self, kind: str, name: str) -> list[Version]:
        """All versions, from the one that was there at the beginning."""
        self._catch_up()
        return list(self._versions[kind, name])

    def since(self, kind: str, name: str) -> list[Version]:
        """The versions that were written since the beginning."""
        return self.of(kind, name)[self._begun.get((kind, name), 0) :]

    def ready(self, driver: str) -> list[tuple[str, str]]:
        """Status and reason of a FlexDriver's Ready, without repetition."""
        found = (condition(v.body.get("status", {}), "Ready") for v in self.of(OURS[0], driver))
        return _unlike((c.get("status", ""), c.get("reason", "")) for c in found)

    def states(self, driver: str, node: str) -> list[str]:
        """The states of a driver on a node, without repetition; empty where it has no entry."""
        return _unlike(v.entry(driver).get("state", "") for v in self.of("flexnodes", node))

    def when(
        self, kind: str, name: str, holds: Callable[[Version], bool], after: float = 0.0
    ) -> float:
        """When (monotonic) a version first arrived of which this holds."""
        versions = self.of(kind, name)
        found = next((v.at for v in versions if v.at > after and holds(v)), None)
        assert found is not None, f"no version of {kind} {name} is so"
        return found

    def written(self, kind: str) -> Counter[str]:
        """How many versions of each object were written since the beginning."""
        self._catch_up()
        names = [name for its, name in list(self._versions) if its == kind]
        counts = {name: sum(not v.gone for v in self.since(kind, name)) for name in names}
        return Counter({name: count for name, count in counts.items() if count})

    def wasted(self) -> list[object]:
        """Writes that tell nothing new: versions like the one before, requests without any."""
        self._catch_up()
        repeated = [
            (kind, name, after.told)
            for (kind, name), versions in list(self._versions.items())
            for before, after in pairwise(versions)
            if kind in OURS and not after.gone and before.told == after.told
        ]
        return [*repeated, *self._in_vain().items()]

    def hasty(self, node: str) -> list[float]:
        """Seconds between writes of a FlexNode where the later one told of passing states alone."""
        versions = [version for version in self.of("flexnodes", node) if not version.gone]
        return [
            after.at - before.at
            for before, after in pairwise(versions)
            if _directory(before) == _directory(after)
            and all(entry["state"] == "Pending" for entry in _changed(before, after))
        ]

    def _in_vain(self) -> Counter[tuple[str, str]]:
        """Requests of the operator that made no version, so little news did they bring."""
        asked = Counter(
            (resource, name)
            for verb, resource, name in changes(self._kit, self.audited)
            if verb != "delete" and resource in {"flexnodes", "flexdrivers/status"}
        )
        made = {("flexnodes", name): count for name, count in self.written("flexnodes").items()}
        for name in self.written("flexdrivers"):
            status = [v.body.get("status") for v in self.of("flexdrivers", name)]
            made["flexdrivers/status", name] = len(_unlike(status)) - 1
        return asked - Counter(made)

    def _watch(self, kind: str) -> None:
        path = f"{PATHS[kind]}?watch=1&timeoutSeconds=3600"
        command = [*self._kit.cluster.kubectl_command, "get", "--raw", path]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

        def read() -> None:
            assert process.stdout is not None
            with process.stdout as lines:
                for line in lines:
                    event = json.loads(line)
                    found = Version(time.monotonic(), event["type"] == "DELETED", event["object"])
                    self._versions[kind, found.body["metadata"]["name"]].append(found)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        self._watches.append((process, thread))

    def _catch_up(self) -> None:
        """Wait until everything has arrived that is stored now."""
        with connect(self._kit.cluster.layout) as api:
            lists = {kind: api.list(path) for kind, path in PATHS.items()}
        for kind, found in lists.items():
            there = {str(o["metadata"]["name"]): _version(o) for o in found}
            until(partial(self._has, kind, there), 10, f"the watch of {kind} arrives")

    def _has(self, kind: str, there: dict[str, int]) -> bool:
        known = {name: v[-1] for (its, name), v in list(self._versions.items()) if its == kind}
        went = all(last.gone for name, last in known.items() if name not in there)
        came = all(n in known and _version(known[n].body) >= at for n, at in there.items())
        return went and came


def _changed(before: Version, after: Version) -> list[Object]:
    """The entries of a FlexNode that are not as they were; those that went as they were."""
    then, now = (list(v.body["status"].get("installs", ())) for v in (before, after))
    went = [e for e in then if e["driver"] not in {entry["driver"] for entry in now}]
    return [*went, *(entry for entry in now if entry not in then)]


def _version(body: Any) -> int:
    return int(body["metadata"]["resourceVersion"])


def _unlike(values: Iterable[Any]) -> list[Any]:
    """The values, each but once in a row."""
    found: list[Any] = []
    for value in values:
        if not found or found[-1] != value:
            found.append(value)
    return found


def _directory(version: Version) -> Any:
    """What a FlexNode says of its node's directory; None before that is known."""
    return version.body["status"].get("pluginDir")
