"""The status of a FlexDriver, as people and kstatus read it."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flexvolume_operator.assess.conditions import Trouble
from flexvolume_operator.assess.summary import invalid_status, status
from flexvolume_operator.assess.tally import Tally
from flexvolume_operator.model.reasons import ConditionReason, Reason
from flexvolume_operator.model.report import Caution
from flexvolume_operator.model.verdict import Match
from tests.unit import builders as b
from tests.unit.builders import NOW, OLD, TARGET, verdict

DOWN = replace(b.NODE, ready=False)
SUSPENDED = dataclasses.replace(TARGET, suspended=True)
DRY = dataclasses.replace(TARGET, dry_run=True)
DELETING = dataclasses.replace(TARGET, deleting=True)
GOOD = verdict(b.done())
BAD = verdict(b.failing())
TRIED = verdict(b.done(b.report("WouldInstall")))
TRIED_BEFORE = verdict(b.done(b.report("WouldInstall"), template="t-old"))
PENDING = verdict(missing_since=NOW)
LOST = verdict(node=DOWN)
OUTDATED = verdict(b.done(revision=OLD, template="t-old"))
STALE = verdict(b.done(template="t-old"))
STALE_BAD = verdict(b.failing(template="t-old"))
NEVER = verdict(match=Match(matched=True, unsupported=Reason.VIRTUAL_NODE))


def tally(*verdicts):
    counts = Tally()
    for number, value in enumerate(verdicts):
        counts.put(f"n{number}", value)
    return counts


def status_of(*verdicts, target=TARGET, previous=None, now=NOW, **options):
    return status(3, target, tally(*verdicts), previous or {}, now, **options)


def three(found):
    """Ready, Reconciling, Stalled and the reason."""
    conditions = {c["type"]: c for c in found["conditions"]}
    values = [conditions[kind]["status"][0] for kind in ("Ready", "Reconciling", "Stalled")]
    return "".join(values), conditions["Ready"]["reason"]


# T, F and U for Ready, Reconciling and Stalled.
@pytest.mark.parametrize(
    ("verdicts", "options", "expected"),
    [
        ([GOOD, GOOD], {}, ("TFF", "Installed")),
        ([GOOD, NEVER], {}, ("TFF", "Installed")),
        ([GOOD, LOST], {}, ("TFF", "Installed")),
        ([LOST], {}, ("UTF", "NodesNotReady")),
        ([GOOD, PENDING], {}, ("FTF", "Progressing")),
        ([GOOD, PENDING, BAD], {}, ("FTF", "Progressing")),
        ([GOOD, OUTDATED], {}, ("FTF", "Progressing")),
        ([GOOD], {"applied": False}, ("FTF", "Progressing")),
        ([GOOD, BAD], {}, ("FFT", "NodesFailed")),
        ([GOOD, BAD, LOST], {}, ("FFT", "NodesFailed")),
        ([GOOD, STALE_BAD], {}, ("FTF", "NodesFailed")),
        ([GOOD, STALE], {}, ("TTF", "Installed")),
        ([GOOD, STALE], {"target": SUSPENDED}, ("TFF", "Installed")),
        ([], {}, ("TFF", "NoNodesMatched")),
        ([NEVER], {}, ("TFF", "NoNodesMatched")),
        ([GOOD, OUTDATED], {"target": SUSPENDED}, ("FFF", "Suspended")),
        ([GOOD], {"target": SUSPENDED}, ("TFF", "Installed")),
        ([GOOD], {"target": DELETING}, ("FTF", "Deleting")),
        ([TRIED, TRIED], {"target": DRY}, ("FFF", "DryRun")),
        ([TRIED, LOST, NEVER], {"target": DRY}, ("FFF", "DryRun")),
        ([TRIED, PENDING], {"target": DRY}, ("FTF", "Progressing")),
        ([TRIED, STALE], {"target": DRY}, ("FTF", "Progressing")),
        ([TRIED, TRIED_BEFORE], {"target": DRY}, ("FTF", "Progressing")),
        ([TRIED, BAD], {"target": DRY}, ("FFT", "NodesFailed")),
        ([TRIED], {"target": DRY, "applied": False}, ("FTF", "Progressing")),
        ([LOST], {"target": DRY}, ("UTF", "NodesNotReady")),
        ([], {"target": DRY}, ("TFF", "NoNodesMatched")),
        ([GOOD, TRIED_BEFORE], {}, ("FTF", "Progressing")),
        ([GOOD, TRIED_BEFORE], {"target": SUSPENDED}, ("FFF", "Suspended")),
        (
            [GOOD],
            {"trouble": Trouble(ConditionReason.INVALID_TEMPLATE, "no")},
            ("FFT", "InvalidTemplate"),
        ),
    ],
)
def test_conditions_mean_what_kstatus_takes_them_to_mean(verdicts, options, expected):
    assert three(status_of(*verdicts, **options)) == expected


def test_each_condition_is_about_a_generation():
    found = status_of(GOOD)
    assert found["observedGeneration"] == 3
    assert {c["observedGeneration"] for c in found["conditions"]} == {3}


def test_a_condition_keeps_its_date_until_its_status_changes():
    first = status_of(GOOD, PENDING)
    later = status_of(GOOD, GOOD, PENDING, previous=first, now=NOW + 60)
    assert {c["lastTransitionTime"] for c in later["conditions"]} == {"2027-01-15T08:00:00Z"}
    ready = status_of(GOOD, GOOD, previous=later, now=NOW + 120)
    dates = {c["type"]: c["lastTransitionTime"] for c in ready["conditions"]}
    assert dates == {
        "Ready": "2027-01-15T08:02:00Z",
        "Reconciling": "2027-01-15T08:02:00Z",
        "Stalled": "2027-01-15T08:00:00Z",
        "DirectoryConfirmed": "2027-01-15T08:00:00Z",
    }


def test_nothing_new_is_an_equal_status():
    first = status_of(GOOD, BAD)
    assert status_of(GOOD, BAD, previous=first, now=NOW + 999) == first


def test_nodes_are_counted_by_state():
    found = status_of(GOOD, GOOD, BAD, PENDING, LOST, OUTDATED, NEVER)
    assert found["nodes"] == {
        "matched": 7,
        "installed": 2,
        "wouldInstall": 0,
        "outdated": 1,
        "pending": 1,
        "failed": 1,
        "unknown": 1,
        "unsupported": 1,
        "removing": 0,
    }
    assert found["summary"] == "2/6"


def test_a_failure_is_told_with_its_node_and_message():
    found = status_of(GOOD, BAD)
    assert found["failing"] == [{"node": "n1", "reason": "InitFailed", "message": "exit status 1"}]
    ready = found["conditions"][0]
    assert ready["message"] == "1 of 2 nodes installed, 1 failed. n1: InitFailed: exit status 1"


def test_messages_are_counted_in_words_that_fit():
    assert status_of(GOOD, LOST)["conditions"][0]["message"] == (
        "1 of 2 nodes installed, 1 not ready."
    )
    assert status_of(GOOD)["conditions"][0]["message"] == "1 of 1 node installed."


def test_a_dry_run_says_that_it_is_one():
    found = status_of(TRIED, TRIED, target=DRY)
    assert found["conditions"][0]["message"] == (
        "spec.dryRun is true, so nothing is published. "
        "0 of 2 nodes installed, 2 would be installed."
    )
    assert (found["nodes"]["wouldInstall"], found["summary"]) == (2, "0/2")
    assert found["capabilities"]["fsGroup"] is True


def test_what_nodes_warn_of_is_counted_and_said_by_the_first():
    def warned(*reasons):
        cautions = tuple(Caution(reason, f"{reason} it is") for reason in reasons)
        return verdict(b.done(b.report(warnings=cautions)))

    found = status_of(GOOD, warned("SlowInit", "AttachTrue"), warned("SlowInit"))
    assert found["warnings"] == [
        {"reason": "AttachTrue", "nodes": 1, "message": "n1: AttachTrue it is"},
        {"reason": "SlowInit", "nodes": 2, "message": "n1: SlowInit it is"},
    ]
    assert "warnings" not in status_of(GOOD)
    many = status_of(warned(*(f"Warning{number:02}" for number in range(20))))
    assert [w["reason"] for w in many["warnings"]] == [f"Warning{n:02}" for n in range(10)]


def test_what_was_installed_is_described():
    found = status_of(GOOD)
    assert found["driverName"] == "example.com/nfs"
    assert found["pluginDirs"] == [{"path": b.PLUGIN_DIR, "role": "kubelet", "nodes": 1}]
    assert found["capabilities"]["fsGroup"] is True


@pytest.mark.parametrize(
    ("verdicts", "options", "state"),
    [
        ([GOOD], {}, "Complete"),
        ([GOOD, BAD], {}, "Complete"),
        ([GOOD, STALE], {}, "Rolling"),
        ([GOOD, PENDING], {}, "Rolling"),
        ([GOOD], {"applied": False}, "Rolling"),
        ([GOOD, OUTDATED], {"target": SUSPENDED}, "Paused"),
    ],
)
def test_the_rollout_has_a_state(verdicts, options, state):
    rollout = status_of(*verdicts, **options)["rollout"]
    assert (rollout["state"], rollout["currentRevision"]) == (state, TARGET.revision)
    assert rollout["total"] == len(verdicts)


def test_an_unreadable_spec_leaves_what_is_known_of_nodes():
    before = status_of(GOOD, GOOD)
    trouble = Trouble(ConditionReason.INVALID_SPEC, "spec.vendor: ...")
    found = invalid_status(4, before, NOW + 60, trouble)
    assert found["nodes"] == before["nodes"]
    assert found["observedGeneration"] == 4
    assert three(found) == ("FFT", "InvalidSpec")


@given(
    st.lists(
        st.sampled_from(
            [GOOD, BAD, PENDING, LOST, OUTDATED, STALE, STALE_BAD, NEVER, TRIED, TRIED_BEFORE]
        ),
        max_size=6,
    ),
    st.booleans(),
    st.sampled_from([TARGET, SUSPENDED, DRY]),
)
def test_conditions_never_contradict_each_other(verdicts, applied, target):
    found = status_of(*verdicts, applied=applied, target=target)
    ready, reconciling, stalled = three(found)[0]
    assert (reconciling, stalled) != ("T", "T")
    assert (ready, stalled) != ("T", "T")
    if ready == "T":
        unfinished = (BAD, PENDING, OUTDATED, STALE_BAD, TRIED, TRIED_BEFORE)
        assert not any(v in unfinished for v in verdicts)
    counts = found["nodes"]
    assert counts["matched"] == sum(counts.values()) - counts["matched"] == len(verdicts)
