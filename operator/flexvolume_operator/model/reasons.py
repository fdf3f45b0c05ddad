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

    WAITING_FOR_POD = "WaitingForPod"
    POD_STARTING = "PodStarting"
    PULLING_IMAGE = "PullingImage"
    INSTALLING = "Installing"
    GUARD_STARTING = "GuardStarting"
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
    GUARD_NOT_RUNNING = "GuardNotRunning"
    NODE_NOT_READY = "NodeNotReady"
    NODE_SILENT = "NodeSilent"
    UNSUPPORTED_OS = "UnsupportedOS"
    VIRTUAL_NODE = "VirtualNode"
    DRIVER_DELETED = "DriverDeleted"


class ConditionReason(StrEnum):
    """The reasons of a FlexDriver's conditions; docs/concepts.md tells what each one means."""

    INSTALLED = "Installed"
    NO_NODES_MATCHED = "NoNodesMatched"
    PROGRESSING = "Progressing"
    NODES_FAILED = "NodesFailed"
    NODES_NOT_READY = "NodesNotReady"
    SUSPENDED = "Suspended"
    DELETING = "Deleting"
    INVALID_SPEC = "InvalidSpec"
    INVALID_TEMPLATE = "InvalidTemplate"
    APPLY_FAILED = "ApplyFailed"


class Meaning(Struct, frozen=True):
    """One entry of the list: who gives the reason, what it means, what to do about it."""

    by: Literal["install", "guard", "operator"]
    meaning: str
    remedy: str


class _Contract(Struct):
    reasons: dict[str, Meaning]


@cache
def meanings() -> dict[str, Meaning]:
    """The closed list, by reason."""
    return msgspec.json.decode(assets.contract(), type=_Contract).reasons


def remedy(reason: str) -> str:
    """What to do about a reason; empty for one that a newer node program has invented."""
    known = meanings().get(reason)
    return known.remedy if known is not None else ""
