from msgspec.structs import replace

from flexvolume_operator.assess.events import Change, condition_events, lookup_events, node_events
from flexvolume_operator.model.flexnode import Repairs
from tests.unit.builders import FAILED, INSTALLED

REPAIRED = replace(INSTALLED, repairs=Repairs(1, "2027-01-15T07:00:00Z"))


def conditions(generation=1, ready="True", stalled="False", reason="Installed"):
    values = {"Ready": ready, "Reconciling": "False", "Stalled": stalled}
    return {
        "conditions": [
            {
                "type": kind,
                "status": value,
                "reason": reason,
                "message": "m",
                "observedGeneration": generation,
            }
            for kind, value in values.items()
        ]
    }


def test_a_healthy_node_is_no_event():
    changes = [
        Change("a", None, INSTALLED),
        Change("b", INSTALLED, INSTALLED),
        Change("c", INSTALLED, None),
    ]
    assert node_events(changes) == []


def test_a_node_that_fails_is_told_with_its_reason():
    (event,) = node_events([Change("n1", INSTALLED, FAILED)])
    assert (event.type, event.reason, event.message) == ("Warning", "InitFailed", "n1: no")


def test_a_failure_that_goes_on_is_told_once():
    assert node_events([Change("n1", FAILED, replace(FAILED, message="still no"))]) == []


def test_another_reason_is_another_event():
    other = replace(FAILED, reason="InitTimeout")
    assert [e.reason for e in node_events([Change("n1", FAILED, other)])] == ["InitTimeout"]


def test_nodes_that_fail_together_share_an_event():
    (event,) = node_events([Change(f"n{i}", None, FAILED) for i in range(500)])
    assert event.message == "n0, n1, n10 and 497 more: no"


def test_recovery_is_told():
    (event,) = node_events([Change("n1", FAILED, INSTALLED)])
    assert (event.type, event.reason) == ("Normal", "NodeRecovered")


def test_tampering_is_told_each_time_it_is_reported():
    assert [e.reason for e in node_events([Change("n1", INSTALLED, REPAIRED)])] == [
        "DriverRepaired"
    ]
    assert node_events([Change("n1", REPAIRED, REPAIRED)]) == []
    assert node_events([Change("n1", REPAIRED, INSTALLED)]) == []


def test_becoming_ready_is_told_once_a_generation():
    ready = conditions()
    assert [e.reason for e in condition_events({}, ready)] == ["Ready"]
    assert condition_events(ready, ready) == []
    assert [e.reason for e in condition_events(ready, conditions(generation=2))] == ["Ready"]


def test_a_flexdriver_that_is_stuck_as_a_whole_is_told():
    stuck = conditions(ready="False", stalled="True", reason="InvalidTemplate")
    (event,) = condition_events(conditions(), stuck)
    assert (event.type, event.reason) == ("Warning", "InvalidTemplate")


def test_failed_nodes_are_not_told_twice():
    stuck = conditions(ready="False", stalled="True", reason="NodesFailed")
    assert condition_events(conditions(), stuck) == []


def test_kubelets_that_do_not_answer_are_told_once_for_each_reason():
    problems = {
        "Forbidden": (["n1", "n2", "n3", "n4"], "Forbidden: 403"),
        "Unreachable": (["n5"], "Unreachable: no route"),
        "KubeletTooOld": (["n6"], "KubeletTooOld: v1.30.0"),
    }
    (event,) = lookup_events(problems, {"Unreachable"})
    assert (event.type, event.reason) == ("Warning", "KubeletLookupFailed")
    assert event.message == "n1, n2, n3 and 1 more: Forbidden: 403"
    assert lookup_events(problems, problems) == []


def mismatch(status, reason, kind="DirectoryConfirmed"):
    return {
        "conditions": [
            {"type": "Reconciling", "status": status},
            {"type": kind, "status": "False", "reason": reason, "message": "m"},
        ]
    }


def test_what_is_guessed_is_told_when_nothing_is_under_way_and_once():
    moving, still = mismatch("True", "Guessed"), mismatch("False", "Guessed")
    assert condition_events({}, moving) == []
    assert [event.reason for event in condition_events(moving, still)] == ["Guessed"]
    assert condition_events(still, still) == []


def test_a_mismatch_is_told_of_its_nodes_and_not_again():
    assert condition_events({}, mismatch("False", "DirectoryMismatch")) == []
