"""What verdicts remember: no flapping, deadlines, reboots."""

import dataclasses

from msgspec.structs import replace

from flexvolume_operator.model.flexnode import State
from flexvolume_operator.model.objects import Container, Pod
from flexvolume_operator.model.report import Serving
from flexvolume_operator.model.verdict import Needs
from tests.unit import builders as b
from tests.unit.builders import FAILED, INSTALLED, NOW, OLD, verdict

SUSPENDED = dataclasses.replace(b.TARGET, suspended=True)
OTHER_BOOT = replace(b.NODE, boot_id="boot-2")
PENDING_REBOOT = replace(INSTALLED, state=State.PENDING, reason="NodeRebooted")
YOUNG = {"created": NOW - 5, "started": NOW - 5, "scheduling_since": NOW - 5}


class TestFlapping:
    def test_a_pod_that_starts_again_keeps_what_it_verified(self):
        again = b.pod(tools=b.waiting("PodInitializing"), **YOUNG)
        found = verdict(again, INSTALLED)
        assert found.state is State.INSTALLED
        assert not found.settled

    def test_the_report_in_last_state_counts_where_no_entry_is_left(self):
        last = b.ended(0, b.report())
        again = b.installing(b.waiting("PodInitializing", last=last))
        assert verdict(again).state is State.INSTALLED

    def test_an_entry_of_another_revision_is_not_kept(self):
        again = b.pod(**YOUNG)
        found = verdict(again, replace(INSTALLED, revision=OLD, serving=Serving(OLD, b.SHA)))
        assert found.state is State.PENDING
        assert found.install.serving == Serving(OLD, b.SHA)
        assert found.install.sha256 == ""

    def test_a_failure_is_kept_while_it_is_tried_again(self):
        again = b.installing(Container(state=b.running(5)))
        found = verdict(again, FAILED)
        assert (found.state, found.install.reason) == (State.FAILED, "InitFailed")

    def test_a_deadline_ends_what_was_kept(self):
        stuck = b.installing(b.waiting("ImagePullBackOff", 'Back-off pulling image "x"'))
        found = verdict(stuck, INSTALLED)
        assert (found.state, found.install.reason) == (State.FAILED, "ImagePullFailed")
        assert found.install.serving == INSTALLED.serving

    def test_a_crash_without_report_keeps_the_entry_until_the_deadline(self):
        waits = b.waiting("CrashLoopBackOff", last=b.ended(137, "", reason="OOMKilled", ago=1))
        young = Container(state=b.ended(ago=149))
        old = Container(state=b.ended(ago=150))
        assert verdict(b.pod(tools=young, install=waits), INSTALLED).state is State.INSTALLED
        found = verdict(b.pod(tools=old, install=waits), INSTALLED)
        assert (found.state, found.install.reason) == (State.FAILED, "InitOOMKilled")
        assert "OOMKilled" in found.install.message

    def test_a_guard_that_leaves_to_report_leaves_the_driver_installed(self):
        guard = Container(state=b.ended(0, b.guard_report(repairs=1), ago=1), restarts=1)
        found = verdict(b.done(guard=guard), INSTALLED)
        assert found.state is State.INSTALLED
        assert found.recheck_at == NOW - 1 + 30

    def test_a_crashing_guard_is_not_believed_for_half_a_minute(self):
        down = replace(INSTALLED, state=State.FAILED, reason="GuardNotRunning")
        for age, state in ((29, State.FAILED), (30, State.INSTALLED)):
            guard = Container(state=b.running(age), last=b.ended(1, ago=age + 1), restarts=4)
            assert verdict(b.done(guard=guard), down).state is state

    def test_a_first_installation_is_not_installed_before_its_guard_runs(self):
        found = verdict(b.done(guard=b.waiting("PodInitializing")), FAILED, now=NOW - 90)
        assert (found.state, found.install.reason) == (State.PENDING, "GuardStarting")

    def test_a_guard_failure_before_the_last_install_is_over(self):
        guard = Container(
            state=b.running(50), last=b.ended(0, b.guard_report("Failed"), ago=106), restarts=1
        )
        assert verdict(b.done(guard=guard)).state is State.INSTALLED

    def test_error_texts_that_differ_in_numbers_only_are_not_news(self):
        def stuck(port: int) -> Pod:
            return b.installing(b.waiting("ErrImagePull", f"dial tcp 10.0.0.9:{port}: timeout"))

        first = verdict(stuck(40001)).install
        assert verdict(stuck(51234), first, now=NOW + 300).install == first
        changed = b.installing(b.waiting("ErrImagePull", "401 Unauthorized"))
        assert "401" in verdict(changed, first).install.message

    def test_backing_off_shows_the_error_behind_it(self):
        text = 'Back-off pulling image "x:1": ErrImagePull: failed to resolve: not found'
        error = verdict(b.installing(b.waiting("ErrImagePull", "failed to resolve: not found")))
        back_off = verdict(b.installing(b.waiting("ImagePullBackOff", text)), error.install)
        assert back_off.install == error.install


class TestReboot:
    def test_an_install_that_runs_after_a_reboot_is_pending(self):
        again = b.installing(Container(state=b.running(5), last=b.ended(0, b.report())))
        assert verdict(again, INSTALLED, node=OTHER_BOOT).state is State.PENDING

    def test_a_report_of_the_new_boot_ends_it(self):
        found = verdict(b.done(b.report(boot_id="boot-2")), PENDING_REBOOT, node=OTHER_BOOT)
        assert (found.state, found.install.boot_id) == (State.INSTALLED, "boot-2")

    def test_the_guard_that_the_reboot_ended_has_not_crashed(self):
        ended = b.ended(255, ago=106, reason="Unknown")
        guard = Container(state=b.running(1), last=ended, restarts=1)
        assert verdict(b.done(guard=guard), PENDING_REBOOT).state is State.INSTALLED

    def test_a_pod_that_starts_again_after_it_is_as_young_as_its_sandbox(self):
        tools = Container(state=b.running(1), last=b.ended(ago=5000))
        again = b.pod(tools=tools, created=NOW - 5100, started=NOW - 5100, sandbox_since=NOW - 3)
        down = replace(INSTALLED, state=State.UNKNOWN, reason="NodeNotReady")
        found = verdict(again, down, node=OTHER_BOOT, warning="Node is not ready")
        assert (found.state, found.install.reason) == (State.PENDING, "PodStarting")
        assert found.recheck_at == NOW - 3 + 60

    def test_a_node_that_does_not_tell_its_boot_is_believed(self):
        assert verdict(b.done(), node=replace(b.NODE, boot_id="")).state is State.INSTALLED


class TestDeadlines:
    def test_a_missing_pod_is_looked_into_after_15_seconds(self):
        early = verdict(missing_since=NOW - 5)
        assert (early.recheck_at, early.needs) == (NOW + 10, Needs.NOTHING)
        late = verdict(missing_since=NOW - 15)
        assert late.needs is Needs.DAEMONSET_EVENTS
        assert late.recheck_at is not None

    def test_a_pod_that_will_not_go_counts_as_missing_once_its_grace_is_over(self):
        leaving = b.done(deleted=NOW - 15)
        assert verdict(leaving, INSTALLED).state is State.PENDING
        assert verdict(b.done(deleted=NOW + 3), INSTALLED).state is State.INSTALLED

    def test_a_slow_start_is_looked_into(self):
        found = verdict(b.pod(tools=b.waiting("PodInitializing")))
        assert found.needs is Needs.POD_EVENTS

    def test_suspend_does_not_hide_a_missing_guard(self):
        found = verdict(None, INSTALLED, target=SUSPENDED, missing_since=NOW - 15)
        assert found.state is State.PENDING

    def test_an_image_error_runs_from_the_end_of_the_container_before(self):
        trouble = b.waiting("ErrImagePull", "no")
        for ago, state in ((29, State.PENDING), (30, State.FAILED)):
            seen = b.pod(tools=Container(state=b.ended(ago=ago)), install=trouble)
            assert verdict(seen).state is state
