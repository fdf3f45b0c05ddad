"""Installer pods without an operator: what `flexvolume-operator render` prints, as single pods."""

import copy
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from testbed import images
from tests.support.kit import Kit, Object


def rendered(drivers: Sequence[Object], namespace: str) -> list[Object]:
    """A DaemonSet for each of these FlexDrivers."""
    command = [
        *(sys.executable, "-m", "flexvolume_operator", "render", "--filename=-"),
        f"--installer-image={images.INSTALLER}",
        f"--installer-namespace={namespace}",
    ]
    documents = "---\n".join(json.dumps(driver) + "\n" for driver in drivers)
    done = subprocess.run(command, input=documents, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def pod(daemonset: Object, name: str, node: str) -> Object:
    """The DaemonSet's pod for a node, which nobody controls."""
    spec = copy.deepcopy(daemonset["spec"]["template"]["spec"])
    for elsewhere in ("affinity", "nodeSelector"):
        spec.pop(elsewhere, None)
    meta = {"name": name, "namespace": daemonset["metadata"]["namespace"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec | {"nodeName": node}}


def container(pod: Object, name: str) -> Object:
    """A container of a pod by name."""
    both = [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
    found: Object = next(c for c in both if c["name"] == name)
    return found


def report(pod: Mapping[str, Any]) -> Object:
    """What `install` has said last; empty before it has said anything."""
    found = (s for s in statuses(pod) if s["name"] == "install")
    for status in found:
        for when in ("state", "lastState"):
            message = status.get(when, {}).get("terminated", {}).get("message")
            if message:
                said: Object = json.loads(message)
                return said
    return {}


def statuses(pod: Mapping[str, Any]) -> list[Object]:
    """Of all containers, as far as there are any."""
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def is_guarded(pod: Mapping[str, Any]) -> bool:
    """Whether the guard runs."""
    return any(s["name"] == "guard" and s["ready"] for s in statuses(pod))


def namespace(kit: Kit, name: str) -> None:
    """A namespace that takes such pods, with their ServiceAccount."""
    kit.cluster.kubectl("create", "namespace", name)
    kit.cluster.kubectl("create", "serviceaccount", "flexvolume-installer", f"--namespace={name}")
