"""Thousands of nodes and their installer pods without kubelets, kwok or a DaemonSet controller.

On two cores those would take a quarter of an hour to bring up what the operator then sees. Here
Node objects as large as a real kubelet's are created Ready, and the pods that the controller would
make are created with their node's name and their status, so the operator's share stands alone:
controller-manager and scheduler are stopped once the operator is installed, and DaemonSets get
their `observedGeneration` from here.

A pod comes in two writes (created, ready); a kubelet makes about five of it.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from testbed import fakekubelets, fakes, processes
from testbed.api import Api, connect
from tests.scale.crowd import for_each
from tests.support.kit import INSTALLERS, Kit, Object, until
from tests.support.paths import collection

NODES = collection("nodes")
PODS = collection("pods", INSTALLERS)
DAEMONSETS = collection("daemonsets", INSTALLERS)
IMAGES = 50  # a kubelet reports as many at most


class Fleet:
    """The nodes of a cluster that has nothing else, and the pods of the drivers on them."""

    def __init__(self, kit: Kit) -> None:
        self.nodes: list[str] = []
        self._layout = kit.cluster.layout
        fakekubelets.start(self._layout)
        for role in ("kube-controller-manager", "kube-scheduler"):
            processes.kill(self._layout.state, role)

    def grow(self, count: int) -> None:
        """Create nodes until there are this many."""
        more = [f"node-{number:05d}" for number in range(len(self.nodes), count)]
        address = str(self._layout.gateway)

        def make(api: Api, name: str) -> None:
            api.request("POST", NODES, node(name, address))

        for_each(self._layout, more, make)
        self.nodes += more

    def install(self, driver: str) -> None:
        """Do a driver's part of the DaemonSet controller's work and of the kubelets'."""
        with connect(self._layout) as api:
            child = until(lambda: _child(api, driver), 60, f"{driver} has a DaemonSet")
            _take_note(api, child)

        def run(api: Api, name: str) -> None:
            made = json.loads(api.request("POST", PODS, pod(child, name)))
            made["status"] = running(made)
            api.request("PUT", f"{PODS}/{made['metadata']['name']}/status", made)

        for_each(self._layout, self.nodes, run)


def _child(api: Api, driver: str) -> Object | None:
    where = f"{DAEMONSETS}?labelSelector=flexvolume.io%2Fdriver%3D{driver}"
    found: list[Object] = json.loads(api.request("GET", where))["items"]
    return found[0] if found else None


def _take_note(api: Api, child: Object) -> None:
    """The controller says that it has seen this generation."""
    counts = ("currentNumberScheduled", "desiredNumberScheduled", "numberReady")
    seen = {"observedGeneration": child["metadata"]["generation"]}
    status = seen | dict.fromkeys((*counts, "numberMisscheduled"), 0)
    api.request(
        "PUT", f"{DAEMONSETS}/{child['metadata']['name']}/status", child | {"status": status}
    )


def node(name: str, address: str) -> Object:
    """A Node as a cloud's kubelet writes it: 15 KB, most of it images and labels."""
    body = json.loads(json.dumps(fakes.manifest(name)))
    del body["metadata"]["annotations"], body["spec"]
    labels = {f"topology.example.com/property-{number}": f"value-{number}" for number in range(20)}
    body["metadata"]["labels"] |= labels
    body["metadata"]["annotations"] = {
        f"csi.example.com/attachment-{number}": digest(f"{name}/{number}") for number in range(10)
    }
    body["status"]["images"] = [image(number) for number in range(IMAGES)]
    body["status"]["conditions"] = conditions(ready=True)
    body["status"]["addresses"] = [{"type": "InternalIP", "address": address}]
    return body


def image(number: int) -> Object:
    """One of the images that every node has."""
    name = f"registry.example.com/platform/team-{number % 7}/service-{number}"
    known_as = [f"{name}@sha256:{digest(name)}", f"{name}:v1.{number}.0"]
    return {"names": known_as, "sizeBytes": 1_000_000 * (number + 1)}


def conditions(*, ready: bool) -> list[Object]:
    """A node's conditions; one that is not ready was so reported by its own kubelet."""
    stamp = now()
    pressures = ("MemoryPressure", "DiskPressure", "PIDPressure")
    states = {kind: ("False", f"KubeletHasNo{kind}") for kind in pressures}
    states["Ready"] = ("True", "KubeletReady") if ready else ("False", "KubeletNotReady")
    return [
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": f"the kubelet says {reason}",
            "lastHeartbeatTime": stamp,
            "lastTransitionTime": stamp,
        }
        for kind, (status, reason) in states.items()
    ]


def pod(child: Object, name: str) -> Object:
    """The pod that the DaemonSet controller makes for a node, bound already."""
    template, owner = child["spec"]["template"], child["metadata"]
    labels = {"controller-revision-hash": owner["uid"][:8], "pod-template-generation": "1"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{owner['name']}-{name.removeprefix('node-')}",
            "generateName": f"{owner['name']}-",
            "labels": template["metadata"]["labels"] | labels,
            "annotations": template["metadata"]["annotations"],
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "DaemonSet",
                    "name": owner["name"],
                    "uid": owner["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": template["spec"] | {"nodeName": name},
    }


def running(made: Object) -> Object:
    """The status of an installer pod that has done its work."""
    stamp = now()
    spec, node_name = made["spec"], made["spec"]["nodeName"]
    ended = {"exitCode": 0, "reason": "Completed", "startedAt": stamp, "finishedAt": stamp}
    states: dict[str, Object] = {
        "tools": {"terminated": ended},
        "install": {"terminated": ended | {"message": json.dumps(report(made))}},
        "guard": {"running": {"startedAt": stamp}},
    }

    def container(part: Mapping[str, Any]) -> Object:
        known = f"sha256:{digest(part['image'])}"
        ran = {"ready": True, "restartCount": 0, "image": part["image"], "imageID": known}
        own = {"name": part["name"], "state": states[part["name"]]}
        return ran | own | {"containerID": f"containerd://{digest(node_name + part['name'])}"}

    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "phase": "Running",
        "startTime": stamp,
        "hostIP": "10.0.0.1",
        "podIP": "10.0.0.2",
        "podIPs": [{"ip": "10.0.0.2"}],
        "qosClass": "Burstable",
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": stamp} for kind in kinds
        ],
        "initContainerStatuses": list(map(container, spec["initContainers"])),
        "containerStatuses": list(map(container, spec["containers"])),
    }


def report(made: Object) -> Object:
    """What `install` leaves when it has published the driver."""
    command = made["spec"]["initContainers"][1]["command"]
    flag = dict(part.removeprefix("--").partition("=")[::2] for part in command)
    sha256 = digest(flag["driver"])
    return {
        "v": 1,
        "component": "install",
        "result": "Installed",
        "revision": flag["revision"],
        "path": f"{flag['plugin-dir']}/{flag['vendor']}~{flag['driver']}/{flag['driver']}",
        "sha256": sha256,
        "changed": True,
        "capabilities": {"attach": False, "fsGroup": True, "selinuxRelabel": True},
        "serving": {"revision": flag["revision"], "sha256": sha256},
        "bootID": fakes.boot_id(made["spec"]["nodeName"]),
    }


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
