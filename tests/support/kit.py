"""A test cluster with the words that tests use: apply this, wait until that holds."""

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from testbed import Cluster

T = TypeVar("T")

INSTALLERS = "flexvolume-installers"
OPERATORS = "flexvolume-system"
Object = dict[str, Any]


def until(condition: Callable[[], T | Literal[False] | None], timeout: float, what: str) -> T:
    """Poll until the condition gives something true; the assertion that fails says what it saw."""
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not so after {timeout:.0f} s; last: {found!r}"
        time.sleep(0.05)


class Kit:
    """One cluster under test."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.cluster.kubeconfig

    def kubectl(self, *args: str, input: str | None = None) -> subprocess.CompletedProcess[str]:  # noqa: A002
        """Run kubectl as the administrator, whatever its exit code."""
        command = [*self.cluster.kubectl_command, *args]
        return subprocess.run(command, input=input, capture_output=True, text=True, check=False)

    def apply(self, *bodies: Mapping[str, Any]) -> None:
        """Server-side apply as the administrator, as a GitOps controller would."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies})
        self.cluster.kubectl("apply", "--server-side", "--filename=-", stdin=text)

    def get(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """One object, or None when there is none."""
        where = [f"--namespace={namespace}"] if namespace else []
        text = self.cluster.kubectl(
            "get", kind, name, *where, "--output=json", "--ignore-not-found"
        )
        return json.loads(text) if text else None

    def list(self, kind: str, selector: str = "", namespace: str = "") -> list[Object]:
        """All objects of a kind."""
        where = [f"--namespace={namespace}"] if namespace else ["--all-namespaces"]
        text = self.cluster.kubectl("get", kind, *where, f"--selector={selector}", "--output=json")
        items: list[Object] = json.loads(text)["items"]
        return items

    def delete(self, kind: str, *names: str, namespace: str = "default") -> None:
        """Delete and wait until it is done."""
        self.cluster.kubectl(
            "delete",
            kind,
            *names,
            f"--namespace={namespace}",
            "--ignore-not-found",
            "--timeout=60s",
        )

    def patch(self, kind: str, name: str, change: Object, namespace: str = "default") -> None:
        """Merge-patch one object."""
        where = f"--namespace={namespace}"
        self.cluster.kubectl(
            "patch", kind, name, where, "--type=merge", f"--patch={json.dumps(change)}"
        )

    def flexdriver(self, name: str) -> Object:
        """The status of a FlexDriver; empty before there is one."""
        found = self.get("flexdriver", name)
        return (found or {}).get("status", {})

    def install(self, driver: str, node: str = "node-1") -> Object:
        """The entry of a driver in a FlexNode; empty before there is one."""
        found = self.get("flexnode", node) or {}
        installs = found.get("status", {}).get("installs", ())
        return next((entry for entry in installs if entry["driver"] == driver), {})

    def until_ready(self, driver: str, timeout: float = 60) -> Object:
        """The status of a FlexDriver once it is Ready for the spec that it has now."""

        def ready() -> Object | None:
            found = self.get("flexdriver", driver) or {}
            status = found.get("status", {})
            settled = condition(status, "Ready").get("status") == "True"
            rolling = condition(status, "Reconciling").get("status") == "True"
            generation = found.get("metadata", {}).get("generation")
            current = status.get("observedGeneration") == generation
            return status if settled and current and not rolling else None

        return until(ready, timeout, f"FlexDriver {driver} is Ready")

    def until_status(
        self, driver: str, holds: Callable[[Object], bool], what: str, timeout: float = 20
    ) -> Object:
        """The status of a FlexDriver once this holds of it."""

        def held() -> Object | None:
            status = self.flexdriver(driver)
            return status if status and holds(status) else None

        return until(held, timeout, f"FlexDriver {driver}: {what}")

    def until_failed(self, driver: str, node: str = "node-1", timeout: float = 60) -> Object:
        """The FlexNode's entry once the driver is Failed there."""

        def failed() -> Object | None:
            entry = self.install(driver, node)
            return entry if entry.get("state") == "Failed" else None

        return until(failed, timeout, f"{driver} is Failed on {node}")


def condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """One condition of a status; empty if it is not there."""
    return next((c for c in status.get("conditions", ()) if c["type"] == kind), {})


def is_stalled(status: Mapping[str, Any]) -> bool:
    """Whether nothing more will happen by itself."""
    return bool(condition(status, "Stalled").get("status") == "True")


def flexdriver(name: str, image: str = "localhost/hostfile:dev", **spec: Any) -> Object:
    """A FlexDriver of the vendor example.com."""
    return {
        "apiVersion": "flexvolume.io/v1alpha1",
        "kind": "FlexDriver",
        "metadata": {"name": name},
        "spec": {"vendor": "example.com", "driver": name, "image": image} | spec,
    }
