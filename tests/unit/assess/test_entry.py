"""The FlexNode entry that goes with a verdict."""

from msgspec.structs import replace

from flexvolume_operator.model.flexnode import Install, State
from flexvolume_operator.model.objects import Container
from flexvolume_operator.model.report import Serving
from tests.unit import builders as b
from tests.unit.builders import FAILED, INSTALLED, NEW, OLD, verdict

DOWN = replace(b.NODE, ready=False, ready_reason="NodeStatusUnknown")


class TestEntry:
    def test_says_what_serves_and_what_was_tried(self):
        text = b.report("Failed", serving=Serving(OLD, "c" * 64))
        found = verdict(b.failing(text), replace(INSTALLED, revision=OLD)).install
        assert (found.revision, found.serving) == (NEW, Serving(OLD, "c" * 64))

    def test_takes_content_from_the_report(self):
        found = verdict(b.done()).install
        assert found == replace(
            INSTALLED,
            image="docker.io/nfs@sha256:1",
            last_transition_time=found.last_transition_time,
        )

    def test_of_an_image_id_drops_the_scheme(self):
        install = Container(state=b.ended(0, b.report()), image_id="docker-pullable://x@sha256:2")
        seen = replace(b.done(), install=install)
        assert verdict(seen).install.image == "x@sha256:2"

    def test_of_an_unready_node_keeps_what_was_known(self):
        found = verdict(None, INSTALLED, node=DOWN).install
        same = {"state", "reason", "message", "last_transition_time"}
        fields = [f for f in Install.__struct_fields__ if f not in same]
        assert [getattr(found, f) for f in fields] == [getattr(INSTALLED, f) for f in fields]

    def test_names_the_owner_of_a_duplicate(self):
        text = b.report("Failed", reason="DuplicateDriver", message="taken", owner="nfs-arm")
        assert "nfs-arm" in verdict(b.failing(text)).install.message

    def test_keeps_the_time_of_the_last_change_of_state(self):
        found = verdict(b.done(), INSTALLED).install
        assert found.last_transition_time == INSTALLED.last_transition_time
        assert verdict(b.done(), FAILED).install.last_transition_time == "2027-01-15T08:00:00Z"

    def test_counts_repairs_as_the_guard_of_this_pod_does(self):
        text = b.guard_report(repairs=3, last_repair="2027-01-15T07:00:00Z")
        guard = Container(state=b.running(40), last=b.ended(0, text, ago=41), restarts=1)
        first = verdict(b.done(guard=guard)).install
        assert first.repairs.count == 3
        assert verdict(b.done(guard=guard), first).install == first

    def test_keeps_the_count_when_a_guard_crash_has_covered_the_report(self):
        text = b.guard_report(repairs=3, last_repair="2027-01-15T07:00:00Z")
        guard = Container(state=b.running(40), last=b.ended(0, text, ago=41), restarts=1)
        first = verdict(b.done(guard=guard)).install
        crashed = Container(state=b.running(40), last=b.ended(2, "", ago=41), restarts=2)
        assert verdict(b.done(guard=crashed), first).install.repairs == first.repairs

    def test_begins_a_new_count_with_a_new_pod(self):
        text = b.guard_report(repairs=3, last_repair="2027-01-15T07:00:00Z")
        guard = Container(state=b.running(40), last=b.ended(0, text, ago=41), restarts=1)
        first = verdict(b.done(guard=guard)).install
        assert verdict(b.done(uid="p2"), first).install.repairs.count == 0

    def test_a_guard_that_gave_up_says_what_is_left(self):
        text = b.guard_report("Failed", reason="PluginDirReadOnly", serving=Serving("", "d" * 64))
        guard = Container(state=b.ended(0, text, ago=1), restarts=1)
        found = verdict(b.done(guard=guard), INSTALLED).install
        assert (found.state, found.serving) == (State.FAILED, Serving("", "d" * 64))
