"""A test cluster with the words that tests use: apply this, wait until that holds."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from testbed import Cluster
from testbed.api import Api, NotFound, client
from testbed.shell import ClusterError
from tests.support.paths import collection, place

T = TypeVar("T")

INSTALLERS = "flexvolume-installers"
OPERATORS = "flexvolume-system"
Object = dict[str, Any]


def until(condition: Callable[[], T | Literal[False] | None], timeout: float, what: str) -> T:
    """Poll until the condition gives something true; the assertion that fails says what it saw.

    What takes long is looked at less often: a wait gets at most a twentieth longer by that.
    """
    began = time.monotonic()
    while True:
        found = condition()
        if found:
            return found
        waited = time.monotonic() - began
        assert waited < timeout, f"{what}: not so after {timeout:.0f} s; last: {found!r}"
        time.sleep(min(max(0.05, waited / 20), 0.2))


class Kit:
    """One cluster under test."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._asking = threading.Lock()

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
        for body in bodies:
            path = f"{place(body)}?fieldManager=kubectl&fieldValidation=Strict"
            self.request("PATCH", path, body, "application/apply-patch+yaml")

    def get(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """One object, or None when there is none."""
        try:
            found: Object = self.ask(f"{collection(kind, namespace or 'default')}/{name}")
        except NotFound:
            return None
        return found

    def list(self, kind: str, selector: str = "", namespace: str = "") -> list[Object]:
        """All objects of a kind."""
        query = f"?labelSelector={quote(selector)}" if selector else ""
        found: Object = self.ask(collection(kind, namespace) + query)
        items: list[Object] = found["items"]
        return items

    def ask(self, path: str) -> Any:
        """The answer to a GET; raises NotFound or ClusterError, also when nobody answers."""
        return self.request("GET", path)

    def request(self, method: str, path: str, body: object = None, kind: str = "") -> Any:
        """The answer to any request (see testbed.api), with the errors of `ask`.

        On one connection: tests look often, and a new one is most of the work.
        """
        with self._asking:
            try:
                return json.loads(self._answer(method, path, body, kind))
            except (OSError, HTTPException) as problem:
                raise ClusterError(f"{method} {path} was not answered: {problem}") from problem

    def _answer(self, method: str, path: str, body: object, kind: str) -> bytes:
        """Of a server that may have ended the connection since the last request."""
        try:
            return self._api.request(method, path, body, kind)
        except (OSError, HTTPException):
            self._api.close()
            return self._api.request(method, path, body, kind)

    def close(self) -> None:
        """End the connection that it asks on."""
        self._api.close()

    @cached_property
    def _api(self) -> Api:
        return client(self.cluster.layout)

    def delete(self, kind: str, *names: str, namespace: str = "default") -> None:
        """Delete and wait until it is done; what is not there is no error."""
        doomed = {name: self._uid(kind, name, namespace) for name in names}
        for name in names:
            path = f"{collection(kind, namespace)}/{name}?propagationPolicy=Background"
            with suppress(NotFound):
                self.request("DELETE", path)

        def gone() -> bool:
            # An object of that name may have been made anew by now.
            return not any(
                uid == self._uid(kind, name, namespace) for name, uid in doomed.items() if uid
            )

        until(gone, 60, f"{kind} {', '.join(names)} is gone")

    def _uid(self, kind: str, name: str, namespace: str) -> str:
        found = self.get(kind, name, namespace)
        return found["metadata"]["uid"] if found else ""

    def patch(self, kind: str, name: str, change: Object, namespace: str = "default") -> None:
        """Merge-patch one object."""
        self.request("PATCH", f"{collection(kind, namespace)}/{name}?fieldManager=kubectl", change)

    def flexdriver(self, name: str) -> Object:
        """The status of a FlexDriver; empty before there is one."""
        found = self.get("flexdriver", name)
        return (found or {}).get("status", {})

    def install(self, driver: str, node: str = "node-1") -> Object:
        """The entry of a driver in a FlexNode; empty before there is one."""
        found = self.get("flexnode", node) or {}
        installs = found.get("status", {}).get("installs", ())
        return next((entry for entry in installs if entry["driver"] == driver), {})

    def until_pod_ready(self, name: str, namespace: str = "default", timeout: float = 60) -> Object:
        """The pod once it is Ready."""

        def ready() -> Object | None:
            found = self.get("pod", name, namespace) or {}
            return found if is_ready(found.get("status", {})) else None

        return until(ready, timeout, f"pod {name} is Ready")

    def until_ready(self, driver: str, timeout: float = 60) -> Object:
        """The status of a FlexDriver once it is Ready for the spec that it has now."""

        def ready() -> Object | None:
            found = self.get("flexdriver", driver) or {}
            status = found.get("status", {})
            rolling = condition(status, "Reconciling").get("status") == "True"
            generation = found.get("metadata", {}).get("generation")
            current = status.get("observedGeneration") == generation
            return status if is_ready(status) and current and not rolling else None

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


def is_ready(status: Mapping[str, Any]) -> bool:
    """Whether this says so: of a FlexDriver, a pod or a node."""
    return bool(condition(status, "Ready").get("status") == "True")


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
