"""What holds of the decision table whatever is seen."""

import dataclasses

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flexvolume_operator.assess.table import assess
from flexvolume_operator.model.flexnode import Install, State
from flexvolume_operator.model.objects import Container
from flexvolume_operator.model.reasons import Reason
from flexvolume_operator.model.report import Caution
from flexvolume_operator.model.verdict import Match, Sight
from tests.unit import builders as b
from tests.unit.builders import BOOT, FAILED, INSTALLED, NEW, NOW, OLD

SUSPENDED = dataclasses.replace(b.TARGET, suspended=True)
DOWN = replace(b.NODE, ready=False, ready_reason="NodeStatusUnknown")
OTHER_BOOT = replace(b.NODE, boot_id="boot-2")
UNSUPPORTED = Match(matched=True, unsupported=Reason.UNSUPPORTED_OS)

TERMINATED = st.builds(
    b.ended,
    code=st.sampled_from([0, 1, 2, 3, 137]),
    message=st.sampled_from(
        [
            "",
            "garbage",
            "{",
            b.report(),
            b.report("Failed"),
            b.report("WouldInstall"),
            b.report("Failed", waits=True, reason="ForeignDriverPresent"),
            b.report("Failed", warnings=(Caution("SlowInit", "3 s"), Caution("SlowInit", "4 s"))),
            b.report(boot_id="boot-2"),
            b.guard_report(repairs=2, last_repair="2027-01-15T07:00:00Z"),
            b.guard_report("Failed"),
        ]
    ),
    ago=st.sampled_from([0.0, 20.0, 31.0, 200.0]),
)
WAITING = st.builds(
    b.waiting,
    reason=st.sampled_from(
        [
            "",
            "PodInitializing",
            "ErrImagePull",
            "ImagePullBackOff",
            "CreateContainerError",
            "CrashLoopBackOff",
            "SomethingNew",
        ]
    ),
    message=st.sampled_from(["", "why"]),
    last=st.none() | TERMINATED,
)
STARTED = st.builds(
    Container,
    state=TERMINATED | st.builds(b.running, st.sampled_from([0.0, 29.0, 31.0, 151.0])),
    last=st.none() | TERMINATED,
    restarts=st.integers(0, 3),
)
CONTAINER = WAITING | STARTED | st.just(b.DONE)
PODS = st.builds(
    b.pod,
    tools=CONTAINER,
    install=CONTAINER,
    guard=CONTAINER,
    phase=st.sampled_from(["", "Pending", "Running", "Failed"]),
    scheduled=st.booleans(),
    started=st.sampled_from([0.0, NOW - 1, NOW - 130]),
    created=st.sampled_from([NOW - 2, NOW - 131]),
    deleted=st.sampled_from([0.0, 0.0, NOW - 20, NOW + 5]),
    revision=st.sampled_from([NEW, OLD]),
    granted=st.sampled_from([0.0, 0.0, NOW - 1, NOW - 151]),
    entrypoint=st.booleans(),
)
WELL = (State.INSTALLED, State.WOULD_INSTALL)
ENTRIES = st.builds(
    replace,
    st.sampled_from([INSTALLED, FAILED]),
    state=st.sampled_from(State),
    reason=st.sampled_from(
        ["", "InitFailed", "GuardNotRunning", "NodeRebooted", "WaitingForAdoption"]
    ),
    revision=st.sampled_from([NEW, OLD]),
    boot_id=st.sampled_from(["", BOOT, "boot-2"]),
).filter(lambda entry: bool(entry.reason) is (entry.state not in WELL))
SIGHTS = st.builds(
    Sight,
    node=st.sampled_from([b.NODE, DOWN, OTHER_BOOT]),
    match=st.sampled_from([Match(matched=True), UNSUPPORTED]),
    pod=st.none() | PODS,
    previous=st.none() | ENTRIES,
    now=st.just(NOW),
    missing_since=st.sampled_from([0.0, NOW - 1, NOW - 60]),
    rejected=st.sampled_from(["", "exceeded quota"]),
    warning=st.sampled_from(["", "FailedMount"]),
)
TARGETS = st.sampled_from([b.TARGET, SUSPENDED])


@given(TARGETS, SIGHTS)
def test_only_a_driver_that_is_well_needs_no_reason(target, seen):
    found = assess(target, seen)
    well = found.state in (State.INSTALLED, State.WOULD_INSTALL)
    assert bool(found.install.reason) is not well


@given(TARGETS, SIGHTS)
def test_a_node_that_is_not_ready_is_unknown_or_unsupported(target, seen):
    found = assess(target, seen)
    if not seen.node.ready:
        assert found.state in (State.UNKNOWN, State.UNSUPPORTED)


@given(TARGETS, SIGHTS)
def test_equal_sights_have_equal_verdicts(target, seen):
    assert assess(target, seen) == assess(target, seen)


@given(TARGETS, SIGHTS)
def test_a_second_look_changes_nothing(target, seen):
    first = assess(target, seen)
    again = assess(target, dataclasses.replace(seen, previous=first.install))
    assert again.install == first.install


@given(TARGETS, SIGHTS)
def test_a_driver_is_installed_only_on_a_ready_node_by_a_pod_that_verified_it(target, seen):
    found = assess(target, seen)
    if found.state is State.INSTALLED:
        assert found.node_ready
        assert found.install.revision == target.revision
        assert found.install.sha256 or seen.previous is not None


@given(TARGETS, SIGHTS)
def test_what_waits_is_looked_at_again(target, seen):
    found = assess(target, seen)
    for_others = ("PullingImage", "Suspended", "WaitingForAdoption")
    if found.state is State.PENDING and found.install.reason not in for_others:
        assert found.recheck_at is not None
        assert found.recheck_at > seen.now or found.row == "rebooted"


@given(TARGETS, SIGHTS)
def test_an_entry_survives_the_wire(target, seen):
    install = assess(target, seen).install
    assert msgspec.convert(msgspec.to_builtins(install), Install) == install
