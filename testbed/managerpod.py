"""kube-controller-manager as a static pod of a real node, as kubeadm has it.

Its manifest on the node's disk is all that says so: nothing else is written down, and a node that
is switched off and on has it again.
"""

import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testbed import controllers, controlplane, images, plugindir
from testbed.api import connect
from testbed.controllers import CONTROLLER_MANAGER, Places
from testbed.layout import Layout
from testbed.nodeconfig import MANIFESTS
from testbed.nodes import Node
from testbed.shell import ClusterError, until

ETC = "/etc/kubernetes"
# The node's own loopback address, where the probe asks, too.
PLACES = Places(f"{ETC}/controller-manager.conf", f"{ETC}/pki", "127.0.0.1")
PORT = 10257
KEYS = ("ca.crt", "ca.key", "sa.key")
FILE = f"{MANIFESTS}/{CONTROLLER_MANAGER}.yaml".lstrip("/")
# Tells which manifest a mirror pod is of: the next one's has the same name.
MARK = "testbed/manifest"


@dataclass(frozen=True)
class ManagerPod:
    """What a test may want to be so: see Cluster.controller_manager_pod."""

    plugin_dir: str | None
    host_path: str | None
    image: str
    read_only: bool = False

    def manifest(self, node_grace: int = 0) -> dict[str, Any]:
        """The manifest, after kubeadm's; its probe asks sooner, so that tests need not wait."""
        flags = controllers.controller_manager(PLACES, self.plugin_dir, node_grace)
        ask = {"host": PLACES.address, "path": "/healthz", "port": PORT, "scheme": "HTTPS"}
        container = {
            "name": CONTROLLER_MANAGER,
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": [CONTROLLER_MANAGER, *flags],
            "resources": {"requests": {"cpu": "200m"}},
            "startupProbe": {"httpGet": ask, "periodSeconds": 1, "failureThreshold": 60},
            "livenessProbe": {"httpGet": ask, "timeoutSeconds": 15, "failureThreshold": 8},
            "volumeMounts": [
                {"name": name, "mountPath": inside, "readOnly": read_only}
                for name, _, _, inside, read_only in self._mounts()
            ],
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": CONTROLLER_MANAGER,
                "namespace": "kube-system",
                "labels": {"component": CONTROLLER_MANAGER, "tier": "control-plane"},
            },
            "spec": {
                "containers": [container],
                "hostNetwork": True,
                "priority": 2000001000,
                "priorityClassName": "system-node-critical",
                "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                "volumes": [
                    {"name": name, "hostPath": {"path": path, "type": kind}}
                    for name, path, kind, _, _ in self._mounts()
                ],
            },
        }

    def _mounts(self) -> Sequence[tuple[str, str, str, str, bool]]:
        """Name, path on the node and its type, path in the container, whether read-only."""
        create = "DirectoryOrCreate"
        certificates, kubeconfig = "/etc/ssl/certs", PLACES.kubeconfig
        mounts = [
            ("ca-certs", certificates, create, certificates, True),
            ("k8s-certs", PLACES.pki, create, PLACES.pki, True),
            ("kubeconfig", kubeconfig, "FileOrCreate", kubeconfig, True),
        ]
        if self.host_path is not None:
            inside = (self.plugin_dir or plugindir.DEFAULT).rstrip("/")
            mounts.append(("flexvolume-dir", self.host_path, create, inside, self.read_only))
        return mounts


def exists(layout: Layout) -> bool:
    """Whether a node has the manifest."""
    return any((layout.state / "nodes").glob(f"*/{FILE}"))


def prepare(node: Node, image: str) -> None:
    """Bring the image, if it is one of ours, and what kubeadm leaves on a control-plane node."""
    if not node.has_image(image) and image in images.ON_DEMAND:
        node.load(images.find(image))
    pki = _on_disk(node, PLACES.pki)
    pki.mkdir(parents=True, exist_ok=True)
    for key in KEYS:
        shutil.copy(node.layout.pki / key, pki / key)
    kubeconfig = controlplane.kubeconfig(node.layout, CONTROLLER_MANAGER)
    shutil.copy(kubeconfig, _on_disk(node, PLACES.kubeconfig))


def place(node: Node, pod: ManagerPod) -> None:
    """Have a prepared node run it; returns when it says that it is healthy."""
    wanted = pod.manifest(node.config.node_grace)
    if _written(node) != wanted:
        remove(node)
        # While the kubelet has not quite done with the old pod, it lets a new one wait for 10 to
        # 15 s; a manifest that differs makes it look again at once.
        until(lambda: _has_begun(node, _write(node, wanted)), 60, f"{node.name} begins to run it")
    _wait_until_healthy(node)


def remove(node: Node) -> None:
    """Have the node stop it, if it has it; returns when it is gone."""
    (node.disk / FILE).unlink(missing_ok=True)
    what = f"pod {CONTROLLER_MANAGER}-{node.name} is gone"
    until(lambda: _mirror(node) is None, 60, what)


def _written(node: Node) -> object:
    """The manifest that the node has, without its mark; None: it has none."""
    try:
        found = yaml.safe_load((node.disk / FILE).read_text())
    except FileNotFoundError:
        return None
    del found["metadata"]["annotations"]
    return found


def _write(node: Node, manifest: Mapping[str, Any]) -> str:
    """Write it with a mark, which is returned."""
    mark = str(uuid.uuid4())
    marked = {**manifest, "metadata": {**manifest["metadata"], "annotations": {MARK: mark}}}
    file = node.disk / FILE
    # A kubelet that sees half a file does not try again before 20 s have passed.
    hidden = file.with_name(f".{file.name}")
    hidden.write_text(yaml.safe_dump(marked, sort_keys=False))
    hidden.rename(file)
    return mark


def _has_begun(node: Node, mark: str) -> bool:
    with suppress(ClusterError):
        return until(lambda: _mark(_mirror(node)) == mark, 2, "the pod is there")
    return False


def _wait_until_healthy(node: Node) -> None:
    seen: Mapping[str, Any] = {}

    def healthy() -> bool:
        nonlocal seen
        seen = (_mirror(node) or {}).get("status", {})
        return any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in seen.get("conditions", [])
        )

    try:
        until(healthy, 60, f"pod {CONTROLLER_MANAGER}-{node.name} is healthy")
    except ClusterError as problem:
        states = [container["state"] for container in seen.get("containerStatuses", [])]
        raise ClusterError(f"{problem}; its container: {states or 'there is none'}") from None


def _mark(mirror: Mapping[str, Any] | None) -> str:
    found: Mapping[str, str] = (mirror or {}).get("metadata", {}).get("annotations", {})
    return found.get(MARK, "")


def _mirror(node: Node) -> Mapping[str, Any] | None:
    """The pod that stands for it in the API, or None."""
    with connect(node.layout) as api:
        found = api.list(
            "/api/v1/namespaces/kube-system/pods"
            f"?fieldSelector=metadata.name%3D{CONTROLLER_MANAGER}-{node.name}"
        )
    return found[0] if found else None


def _on_disk(node: Node, path: str) -> Path:
    return node.disk / path.lstrip("/")
