"""Dry runs, adoption by turns, images that run by themselves, warnings, memory limits."""

import dataclasses

import pytest
from msgspec.structs import replace

from flexvolume_operator.model.flexnode import State
from flexvolume_operator.model.objects import Container
from flexvolume_operator.model.report import Caution, Serving
from tests.unit import builders as b
from tests.unit.builders import INSTALLED, NOW, verdict

DRY = dataclasses.replace(b.TARGET, dry_run=True)
TRIED_POD = b.done(b.report("WouldInstall"))
TRIED = replace(INSTALLED, state=State.WOULD_INSTALL, serving=Serving())
YOUNG = {"created": NOW - 5, "started": NOW - 5, "scheduling_since": NOW - 5}
OTHER_BOOT = replace(b.NODE, boot_id="boot-2")
STARTING = b.pod(**YOUNG)


class TestDryRun:
    def test_it_is_the_last_word_until_the_next_one(self):
        found = verdict(TRIED_POD, target=DRY)
        assert (found.state, found.updated, found.settled) == (State.WOULD_INSTALL, True, True)
        assert verdict(STARTING, found.install, target=DRY).state is State.WOULD_INSTALL
        assert verdict(None, TRIED, target=DRY, missing_since=NOW).updated

    def test_a_failure_in_it_is_a_failure(self):
        found = verdict(b.failing(), target=DRY)
        assert (found.state, found.install.reason) == (State.FAILED, "InitFailed")

    def test_what_was_installed_stays_so_until_the_dry_run_has_spoken(self):
        assert verdict(STARTING, INSTALLED, target=DRY).state is State.INSTALLED
        assert not verdict(b.done(template="t-old"), INSTALLED, target=DRY).updated

    def test_after_it_nothing_is_installed_before_its_guard_runs(self):
        unguarded = b.done(guard=b.waiting("PodInitializing"))
        found = verdict(unguarded, TRIED, now=NOW - 90)
        assert (found.state, found.install.reason) == (State.PENDING, "GuardStarting")
        assert verdict(b.done(), TRIED).state is State.INSTALLED

    def test_a_guard_with_nothing_to_guard_may_come_later(self):
        unguarded = b.done(b.report("WouldInstall"), guard=b.waiting("PodInitializing"))
        assert verdict(unguarded, TRIED, target=DRY, now=NOW - 90).state is State.WOULD_INSTALL


class TestAdoption:
    def test_waiting_has_no_end_and_all_that_is_proven_is_told(self):
        found = verdict(b.adopting())
        assert (found.waits, found.settled, found.recheck_at) == (True, True, None)
        assert found.install.message == "another driver lies there"
        assert found.install.capabilities == b.CAPABILITIES

    def test_it_waits_also_while_its_first_run_has_only_just_ended(self):
        text = b.report("Failed", waits=True, reason="ForeignDriverPresent")
        ended = b.ended(3, text, ago=1)
        assert verdict(b.adopting(install=Container(state=ended))).waits
        assert verdict(b.adopting(install=b.waiting("CrashLoopBackOff", last=ended))).waits

    def test_with_its_turn_it_has_the_time_of_any_install(self):
        found = verdict(b.adopting(NOW - 10))
        assert (found.state, found.install.reason) == (State.PENDING, "Installing")
        assert (found.waits, found.settled, found.recheck_at) == (False, False, NOW + 140)

    def test_with_its_turn_and_not_started_again_it_is_looked_at_again(self):
        text = b.report("Failed", waits=True, reason="ForeignDriverPresent")
        backing_off = b.waiting("CrashLoopBackOff", last=b.ended(3, text))
        found = verdict(b.adopting(NOW - 500, install=backing_off))
        assert (found.install.reason, found.recheck_at) == ("Installing", NOW + 15)

    def test_what_it_says_after_its_turn_counts(self):
        bad = Container(state=b.ended(3, b.report("Failed", reason="PublishFailed")))
        assert verdict(b.adopting(NOW - 10, install=bad)).install.reason == "PublishFailed"
        done = b.done(granted=NOW - 110)
        assert verdict(done).state is State.INSTALLED

    def test_a_node_that_has_rebooted_waits_on(self):
        assert verdict(b.adopting(), node=OTHER_BOOT).waits
        entry = replace(INSTALLED, state=State.PENDING, reason="WaitingForAdoption", message="m")
        lost = b.installing(Container(state=b.running(5000), restarts=1))
        found = verdict(lost, entry, node=OTHER_BOOT)
        assert (found.waits, found.install.message) == (True, "m")


class TestEntrypoint:
    RUNNING = Container(state=b.running(50), ready=True, image_id="docker.io/nfs@sha256:9")

    @pytest.mark.parametrize(
        ("pod", "state", "reason", "said"),
        [
            (
                b.entrypoint(b.waiting("ErrImagePull", "not found")),
                "Failed",
                "ImagePullFailed",
                "the driver's image (container entrypoint)",
            ),
            (
                b.entrypoint(RUNNING, install=b.waiting("ErrImagePull", "no")),
                "Failed",
                "ImagePullFailed",
                "the installer image (container install)",
            ),
            (
                b.entrypoint(b.waiting("CrashLoopBackOff", last=b.ended(127, "no sh"))),
                "Failed",
                "InstallCrashed",
                "Container entrypoint ended without a report (exit code 127): no sh",
            ),
            (
                b.entrypoint(RUNNING, install=Container(state=b.running(40))),
                "Pending",
                "Installing",
                "checked",
            ),
        ],
    )
    def test_each_container_is_called_what_it_is(self, pod, state, reason, said):
        found = verdict(pod)
        assert (found.state, found.install.reason) == (state, reason)
        assert said in found.install.message

    def test_it_runs_on_beside_what_it_has_brought(self):
        seen = replace(b.done(), tools=self.RUNNING, entrypoint=True)
        found = verdict(seen)
        assert (found.state, found.install.image) == (State.INSTALLED, "docker.io/nfs@sha256:9")

    def test_an_image_that_ends_after_its_work_does_no_harm(self):
        ended = b.waiting("CrashLoopBackOff", last=b.ended(0))
        assert verdict(replace(b.done(), tools=ended, entrypoint=True)).state is State.INSTALLED

    def test_an_image_error_runs_from_the_start_of_the_container_before(self):
        trouble = b.waiting("ErrImagePull", "no")
        for ago, state in ((29, State.PENDING), (30, State.FAILED)):
            seen = b.entrypoint(Container(state=b.running(ago)), install=trouble)
            assert verdict(seen).state is state


class TestWarnings:
    def warned(self, *said, previous=None):
        cautions = tuple(Caution(reason, message) for reason, message in said)
        return verdict(b.done(b.report(warnings=cautions)), previous).install.warnings

    def test_each_is_told_once_in_order(self):
        told = self.warned(
            ("SlowInit", "3.1 s"), ("AttachTrue", "it attaches"), ("SlowInit", "4 s")
        )
        assert told == (Caution("AttachTrue", "it attaches"), Caution("SlowInit", "4 s"))

    def test_other_numbers_are_no_news(self):
        first = verdict(b.done(b.report(warnings=(Caution("SlowInit", "took 3.1 s"),)))).install
        assert self.warned(("SlowInit", "took 2.9 s"), previous=first) == first.warnings
        assert self.warned(("SlowInit", "took ages"), previous=first) != first.warnings

    def test_they_go_with_the_reason_for_them(self):
        first = replace(INSTALLED, warnings=(Caution("SlowInit", "3 s"),))
        assert self.warned(previous=first) == ()
        assert verdict(STARTING, first).install.warnings == first.warnings


@pytest.mark.parametrize(
    ("seen", "name", "field"),
    [
        (b.pod(tools=Container(state=b.ended(137, reason="OOMKilled"))), "tools", "guard"),
        (
            b.installing(b.waiting("CrashLoopBackOff", last=b.ended(137, reason="OOMKilled"))),
            "install",
            "install",
        ),
    ],
)
def test_a_container_killed_at_its_memory_limit_says_which_one_to_raise(seen, name, field):
    found = verdict(seen).install
    assert found.reason == ("InitOOMKilled" if name == "install" else "InstallCrashed")
    assert found.message == (
        f"Container {name} came to its memory limit and was killed (OOMKilled): raise "
        f"spec.resources.{field}.limits.memory."
    )


def test_a_fight_over_the_file_is_a_failure_of_what_serves():
    said = b.guard_report("Failed", reason="Contested", message="changed at 05:06:01Z")
    guard = Container(state=b.running(10), last=b.ended(0, said, ago=11), restarts=1)
    found = verdict(b.done(guard=guard), INSTALLED).install
    assert (found.state, found.reason) == (State.FAILED, "Contested")
    silent = b.guard_report("Failed", reason="Contested", serving=Serving(b.NEW, b.SHA))
    guard = Container(state=b.running(10), last=b.ended(0, silent, ago=11), restarts=1)
    assert verdict(b.done(guard=guard), INSTALLED).install.serving == INSTALLED.serving
