"""The decision table: each row at least once, with what it says."""

import dataclasses

import pytest
from msgspec.structs import replace

from flexvolume_operator.assess.table import ROWS, choose_pod
from flexvolume_operator.model.directory import Aim
from flexvolume_operator.model.flexnode import State
from flexvolume_operator.model.objects import Container
from flexvolume_operator.model.reasons import Reason
from flexvolume_operator.model.verdict import Match
from tests.unit import builders as b
from tests.unit.builders import INSTALLED, NOW, OLD, verdict

SUSPENDED = dataclasses.replace(b.TARGET, suspended=True)
DELETING = dataclasses.replace(b.TARGET, deleting=True)
DOWN = replace(b.NODE, ready=False, ready_reason="NodeStatusUnknown")
OTHER_BOOT = replace(b.NODE, boot_id="boot-2")
PENDING_REBOOT = replace(
    INSTALLED,
    state=State.PENDING,
    reason="NodeRebooted",
    last_transition_time="2026-01-01T00:00:00Z",
)
UNSUPPORTED = Match(matched=True, unsupported=Reason.UNSUPPORTED_OS)
OTHER_MACHINE = Match(matched=True, unsupported=Reason.UNSUPPORTED_ARCHITECTURE)
YOUNG = {"created": NOW - 5, "started": NOW - 5, "scheduling_since": NOW - 5}
OUTDATED = b.done(revision=OLD, template="t-old")
QUOTA = 'pods "nfs-" is forbidden: exceeded quota'

MISMATCH = Aim("/set", "Override", "/kubelets", "Mismatch")

# One or more examples of every row: row, state, reason, sight.
EXAMPLES = [
    ("deleting", "Removing", "DriverDeleted", {"seen": b.done(), "target": DELETING}),
    ("unsupported", "Unsupported", "UnsupportedOS", {"match": UNSUPPORTED}),
    ("unsupported", "Unsupported", "UnsupportedArchitecture", {"match": OTHER_MACHINE}),
    ("node-not-ready", "Unknown", "NodeNotReady", {"seen": b.done(), "node": DOWN}),
    ("directory-unknown", "Pending", "DirectoryUnknown", {"aim": Aim(doubt="Unknown")}),
    ("directory-mismatch", "Failed", "DirectoryMismatch", {"seen": b.done(), "aim": MISMATCH}),
    ("held", "Pending", "Suspended", {"target": SUSPENDED, "missing_since": NOW - 99}),
    ("pod-rejected", "Failed", "PodRejected", {"missing_since": NOW - 15, "rejected": QUOTA}),
    ("no-pod", "Pending", "WaitingForPod", {"missing_since": NOW - 14}),
    ("no-pod", "Pending", "WaitingForPod", {"missing_since": NOW - 16}),
    ("no-pod", "Installed", "", {"missing_since": NOW - 14, "previous": INSTALLED}),
    (
        "pod-refused",
        "Failed",
        "PodRejected",
        {"seen": b.pod(phase="Failed", reason="OutOfcpu", message="Node didn't have enough")},
    ),
    ("unschedulable", "Failed", "Unschedulable", {"seen": b.pod(scheduled=False, started=0.0)}),
    (
        "unscheduled",
        "Pending",
        "PodStarting",
        {"seen": b.pod(scheduled=False, started=0.0, scheduling_since=NOW - 59)},
    ),
    ("node-silent", "Unknown", "NodeSilent", {"seen": b.pod(started=0.0)}),
    (
        "image-pull-failed",
        "Failed",
        "ImagePullFailed",
        {"seen": b.installing(b.waiting("ErrImagePull", "not found"))},
    ),
    (
        "container-create-failed",
        "Failed",
        "ContainerCreateFailed",
        {"seen": b.pod(tools=b.waiting("CreateContainerConfigError", "no such secret"))},
    ),
    (
        "container-trouble",
        "Pending",
        "PullingImage",
        {"seen": b.pod(tools=b.waiting("ErrImagePull", "timeout"), **YOUNG)},
    ),
    (
        "container-trouble",
        "Pending",
        "PodStarting",
        {"seen": b.pod(tools=b.waiting("CreateContainerError", "busy"), **YOUNG)},
    ),
    (
        "tools-crashed",
        "Failed",
        "InstallCrashed",
        {"seen": b.pod(tools=Container(state=b.ended(1)))},
    ),
    (
        "not-starting",
        "Failed",
        "PodNotStarting",
        {"seen": b.pod(tools=b.waiting("PodInitializing")), "warning": "FailedMount: no dir"},
    ),
    ("starting", "Pending", "PodStarting", {"seen": b.pod(**YOUNG)}),
    ("waiting-for-adoption", "Pending", "WaitingForAdoption", {"seen": b.adopting()}),
    (
        "install-timeout",
        "Failed",
        "InstallTimeout",
        {"seen": b.installing(Container(state=b.running(150)))},
    ),
    ("install-timeout", "Failed", "InstallTimeout", {"seen": b.adopting(NOW - 150)}),
    (
        "install-failed",
        "Failed",
        "InitFailed",
        {"seen": b.installing(Container(state=b.ended(3, b.report("Failed"))))},
    ),
    ("install-failed", "Failed", "InitFailed", {"seen": b.failing()}),
    (
        "install-crashed",
        "Failed",
        "InstallCrashed",
        {"seen": b.failing("exec format error")},
    ),
    ("install-crashed", "Failed", "InstallCrashed", {"seen": b.done("")}),
    (
        "installing",
        "Pending",
        "Installing",
        {"seen": b.installing(Container(state=b.running(149)))},
    ),
    ("installing", "Pending", "Installing", {"seen": b.adopting(NOW - 149)}),
    (
        "installing",
        "Pending",
        "PullingImage",
        {"seen": b.installing(b.waiting("PodInitializing"))},
    ),
    (
        "not-verified-since-boot",
        "Failed",
        "InstallTimeout",
        {"seen": b.done(), "node": OTHER_BOOT, "previous": PENDING_REBOOT},
    ),
    (
        "rebooted",
        "Pending",
        "NodeRebooted",
        {"seen": b.done(), "node": OTHER_BOOT, "previous": INSTALLED},
    ),
    (
        "guard-failed",
        "Failed",
        "PluginDirReadOnly",
        {
            "seen": b.done(
                guard=Container(
                    state=b.running(10),
                    last=b.ended(0, b.guard_report("Failed", reason="PluginDirReadOnly"), ago=11),
                    restarts=1,
                )
            )
        },
    ),
    (
        "guard-failed",
        "Failed",
        "Contested",
        {
            "seen": b.done(
                guard=Container(
                    state=b.running(10),
                    last=b.ended(0, b.guard_report("Failed", reason="Contested"), ago=11),
                    restarts=1,
                )
            ),
            "previous": INSTALLED,
        },
    ),
    (
        "guard-not-running",
        "Failed",
        "GuardNotRunning",
        {"seen": b.done(guard=b.waiting("CrashLoopBackOff", "", b.ended(137, ago=30)))},
    ),
    (
        "guard-starting",
        "Pending",
        "GuardStarting",
        {"seen": b.done(guard=b.waiting("CrashLoopBackOff", "", b.ended(137, ago=29)))},
    ),
    (
        "guard-starting",
        "Installed",
        "",
        {
            "seen": b.done(guard=Container(state=b.running(5), last=b.ended(2, ago=6), restarts=1)),
            "previous": INSTALLED,
        },
    ),
    ("verified", "Installed", "", {"seen": b.done()}),
    ("verified", "WouldInstall", "", {"seen": b.done(b.report("WouldInstall"))}),
    ("verified", "Outdated", "WaitingForRollout", {"seen": OUTDATED}),
    (
        "verified",
        "Outdated",
        "Suspended",
        {"seen": OUTDATED, "target": SUSPENDED},
    ),
]


@pytest.mark.parametrize(
    ("row", "state", "reason", "seen"),
    EXAMPLES,
    ids=[f"{number}-{example[0]}" for number, example in enumerate(EXAMPLES)],
)
def test_a_row_says_its_state_and_reason(row, state, reason, seen):
    found = verdict(**seen)
    assert (found.row, found.state, found.install.reason) == (row, state, reason)


def test_every_row_has_an_example():
    assert [row.name for row in ROWS] == list(dict.fromkeys(example[0] for example in EXAMPLES))


def test_of_two_pods_the_one_that_stays_counts():
    old, new = b.pod(uid="a", deleted=NOW), b.pod(uid="b", created=0.0)
    assert choose_pod([old, new]) == new
    assert choose_pod([]) is None
