"""Why a driver is not simply installed: one closed list, shared with the node program.

The words and their remedies are in `installer/report/contract.json`; the operator's own ones have
a constant here.
"""

from enum import StrEnum
from functools import cache
from typing import Literal

import msgspec
from msgspec import Struct

from flexvolume_operator import assets


class Reason(StrEnum):
    """The reasons that the operator gives itself."""

    DIRECTORY_UNKNOWN = "DirectoryUnknown"
    DIRECTORY_MISMATCH = "DirectoryMismatch"
    WAITING_FOR_POD = "WaitingForPod"
    POD_STARTING = "PodStarting"
    PULLING_IMAGE = "PullingImage"
    INSTALLING = "Installing"
    GUARD_STARTING = "GuardStarting"
    WAITING_FOR_ADOPTION = "WaitingForAdoption"
    NODE_REBOOTED = "NodeRebooted"
    WAITING_FOR_ROLLOUT = "WaitingForRollout"
    SUSPENDED = "Suspended"
    POD_REJECTED = "PodRejected"
    UNSCHEDULABLE = "Unschedulable"
    POD_NOT_STARTING = "PodNotStarting"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CONTAINER_CREATE_FAILED = "ContainerCreateFailed"
    INSTALL_TIMEOUT = "InstallTimeout"
    INSTALL_CRASHED = "InstallCrashed"
    INIT_OOM_KILLED = "InitOOMKilled"
    GUARD_NOT_RUNNING = "GuardNotRunning"
    NODE_NOT_READY = "NodeNotReady"
    NODE_SILENT = "NodeSilent"
    UNSUPPORTED_OS = "UnsupportedOS"
    UNSUPPORTED_ARCHITECTURE = "UnsupportedArchitecture"
    VIRTUAL_NODE = "VirtualNode"
    DRIVER_DELETED = "DriverDeleted"


class ConditionReason(StrEnum):
    """The reasons of Ready, Reconciling and Stalled; docs/concepts.md tells what each one means."""

    INSTALLED = "Installed"
    NO_NODES_MATCHED = "NoNodesMatched"
    PROGRESSING = "Progressing"
    NODES_FAILED = "NodesFailed"
    NODES_NOT_READY = "NodesNotReady"
    DRY_RUN = "DryRun"
    SUSPENDED = "Suspended"
    DELETING = "Deleting"
    CONTROLLER_MANAGER_NOT_READY = "ControllerManagerNotReady"
    INVALID_SPEC = "InvalidSpec"
    SOURCE_MISSING = "SourceMissing"
    INVALID_TEMPLATE = "InvalidTemplate"
    APPLY_FAILED = "ApplyFailed"


class DirectoryReason(StrEnum):
    """The reasons of DirectoryConfirmed."""

    CONFIRMED = "Confirmed"
    ASKING = "Asking"
    GUESSED = "Guessed"
    MISMATCH = "DirectoryMismatch"


class ManagerReason(StrEnum):
    """The reasons of ControllerManagerReady."""

    INSTALLED = "Installed"
    PROGRESSING = "Progressing"
    PLUGIN_DIR_NOT_MOUNTED = "PluginDirNotMounted"
    DRIVER_NOT_RUNNABLE = "DriverNotRunnable"
    INSTALL_FAILED = "InstallFailed"
    NODE_NOT_READY = "NodeNotReady"
    NOT_VISIBLE = "NotVisible"
    POLICY_NEVER = "PolicyNever"
    DRY_RUN = "DryRun"


class Meaning(Struct, frozen=True):
    """One entry of the list: who gives the reason, what it means, what to do about it."""

    by: Literal["install", "guard", "remove", "operator"]
    meaning: str
    remedy: str


class _Contract(Struct):
    reasons: dict[str, Meaning]
    warnings: dict[str, Meaning]


@cache
def _contract() -> _Contract:
    return msgspec.json.decode(assets.contract(), type=_Contract)


def meanings() -> dict[str, Meaning]:
    """The closed list, by reason."""
    return _contract().reasons


def warnings() -> dict[str, Meaning]:
    """What the node program warns of, by its word."""
    return _contract().warnings


def remedy(reason: str) -> str:
    """What to do about a reason; empty for one that a newer node program has invented."""
    known = meanings().get(reason)
    return known.remedy if known is not None else ""
