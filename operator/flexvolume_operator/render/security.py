"""The rights of each container: measured to be enough, and no more.

Ours run as root whatever the driver's image says, as the kubelet will run the driver so. What
DAC_OVERRIDE and FOWNER are for: directories of the node that belong to somebody else.
"""

from typing import Any

from flexvolume_operator.model.install import Verify

Context = dict[str, Any]

_ROOT: Context = {"runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": False}


def tools() -> Context:
    """Copies one file into a volume of the pod."""
    return _confined()


def install(verify: Verify) -> Context:
    """Stages and publishes; to run the driver's init, it changes into the root of the node."""
    if verify.policy == "Skip":
        return _confined("DAC_OVERRIDE", "FOWNER")
    if verify.context == "HostPrivileged":
        return _ROOT | {"privileged": True, "readOnlyRootFilesystem": True}
    return _confined("SYS_CHROOT", "DAC_OVERRIDE", "FOWNER")


def guard() -> Context:
    """Puts the file back."""
    return _confined("DAC_OVERRIDE", "FOWNER")


def entrypoint() -> Context:
    """Somebody else's image, as the user that it names, and with a file system that it may use."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def _confined(*added: str) -> Context:
    capabilities = {"drop": ["ALL"]} | ({"add": list(added)} if added else {})
    return _ROOT | {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": capabilities,
    }
