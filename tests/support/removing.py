"""Pods that remove a driver from a node, as docs/manual-install.md has them, and what they say."""

import json
from typing import Any

from testbed import images
from tests.support.kit import INSTALLERS, Kit, Object, until

PLUGINS = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"


def remove(kit: Kit, driver: str, uid: str, node: str = "node-1") -> Object:
    """Run `installer remove` on a node to its end; its exit code and its report as one object."""
    name = f"remove-{driver}-{node}"
    meta = {"name": name, "namespace": INSTALLERS}
    kit.apply(
        {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": _spec(driver, uid, node)}
    )

    def ended() -> Object | None:
        pod = kit.get("pod", name, INSTALLERS) or {}
        (status,) = pod.get("status", {}).get("containerStatuses") or [{}]
        found: Object | None = status.get("state", {}).get("terminated")
        return found

    state = until(ended, 60, f"pod {name} has ended")
    kit.delete("pod", name, namespace=INSTALLERS)
    report: dict[str, Any] = json.loads(state["message"])
    return report | {"exitCode": state["exitCode"]}


def _spec(driver: str, uid: str, node: str) -> Object:
    command = [
        "/installer",
        "remove",
        f"--plugin-dir={PLUGINS}",
        "--vendor=example.com",
        f"--driver={driver}",
        f"--flexdriver-uid={uid}",
    ]
    container = {
        "name": "remove",
        "image": images.INSTALLER,
        "command": command,
        # Enough where root owns the directories.
        "securityContext": {
            "runAsUser": 0,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": "host", "mountPath": "/host", "mountPropagation": "HostToContainer"}
        ],
    }
    return {
        "nodeName": node,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
    }
