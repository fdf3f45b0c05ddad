"""Pods that use a driver, on a node of their own choice."""

from collections.abc import Callable

from testbed import images
from tests.support.kit import Kit, is_ready


def use(kit: Kit, driver: str, node: str) -> Callable[[], str | None]:
    """Start a pod with a volume; what it reads there, None while it does not run."""
    reader = {
        "name": "reader",
        "image": images.BUSYBOX,
        "command": ["sh", "-c", "cat /data/version; trap exit TERM; while :; do sleep 1; done"],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    spec = {
        "nodeName": node,
        "terminationGracePeriodSeconds": 1,
        "tolerations": [{"operator": "Exists"}],
        "containers": [reader],
        "volumes": [{"name": "data", "flexVolume": {"driver": f"example.com/{driver}"}}],
    }
    name = f"{driver}-{node}"
    meta = {"name": name, "namespace": "default"}
    kit.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})

    def reads() -> str | None:
        status = (kit.get("pod", name, "default") or {}).get("status", {})
        if not is_ready(status):
            return None
        return kit.kubectl("logs", name).stdout.strip() or None

    return reads


def stop_using(kit: Kit, driver: str, node: str) -> None:
    """End the pod that `use` started."""
    kit.delete("pod", f"{driver}-{node}")
