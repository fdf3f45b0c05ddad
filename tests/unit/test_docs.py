"""docs/concepts.md tells of everything that the code can say, and of nothing else."""

import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client.metrics import MetricWrapperBase

from flexvolume_operator import health, metrics
from flexvolume_operator.assess import facts
from flexvolume_operator.assess.conditions import Trouble, conditions, dated
from flexvolume_operator.assess.events import Change, condition_events, node_events
from flexvolume_operator.assess.refusal import CAUSES
from flexvolume_operator.assess.tally import Tally
from flexvolume_operator.model.flexnode import Repairs, State
from flexvolume_operator.model.names import ANNOTATION_ASKED_AGAIN
from flexvolume_operator.model.reasons import ConditionReason, Reason, meanings
from tests.unit import builders as b

TROUBLES = (
    ConditionReason.INVALID_SPEC,
    ConditionReason.INVALID_TEMPLATE,
    ConditionReason.APPLY_FAILED,
)
TEXT = Path(__file__).resolve().parents[2].joinpath("docs/concepts.md").read_text()


def tables(heading):
    """The tables below a heading, without their heads: a list of rows of cells for each."""
    section = re.split(r"^#+ ", TEXT.partition(f" {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)
    found = re.findall(r"(?:^\|.*\n)+", section[0], re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]
        for text in found
    ]


def status(trouble=None):
    """The conditions of a FlexDriver that is Ready or in trouble."""
    three = conditions(b.TARGET, Tally(), trouble, applied=True)
    return {"conditions": [dated(condition, 1, {}, b.NOW) for condition in three]}


def quoted(cell):
    """The words in backticks."""
    return re.findall(r"`([^`]*)`", cell)


@pytest.mark.parametrize("by_operator", [False, True])
def test_reasons_are_those_of_the_contract_with_their_meanings_and_remedies(by_operator):
    written = tables("Reasons")[by_operator]
    assert written == [
        [f"`{reason}`", known.meaning, known.remedy]
        for reason, known in sorted(meanings().items())
        if (known.by == "operator") == by_operator
    ]


def test_states_are_all_there():
    (written,) = tables("States of a driver on a node")
    assert sorted(quoted(row[0])[0] for row in written) == sorted(State)
    assert all(meaning and remedy for _, meaning, remedy in written)


def test_condition_reasons_are_all_there():
    (written,) = tables("Conditions of a FlexDriver")
    assert sorted(quoted(row[0])[0] for row in written) == sorted(ConditionReason)
    assert all(all(row) for row in written)


def test_conditions_are_what_the_table_says_where_it_is_definite():
    (written,) = tables("Conditions of a FlexDriver")
    said = {quoted(row[0])[0]: row[1:4] for row in written}
    for reason in TROUBLES:
        found = conditions(b.TARGET, Tally(), Trouble(reason, "no"), applied=True)
        assert [c.status for c in found] == said[reason]
    nobody = conditions(b.TARGET, Tally(), None, applied=True)
    assert [c.status for c in nobody] == said[nobody[0].reason]


def test_who_rejects_pods_is_told_as_the_messages_tell_it():
    (written,) = tables("Who rejected the pod")
    assert written == [[c.who, c.remedy.format(namespace="NAMESPACE")] for c in CAUSES]
    assert ANNOTATION_ASKED_AGAIN in TEXT
    assert f"{facts.REFUSED_AGAIN:.0f} s (by the annotation" in " ".join(TEXT.split())


def test_deadlines_are_those_of_the_decision_table():
    (written,) = tables("Deadlines")
    assert {quoted(row[1])[0]: row[2] for row in written} == {
        reason: text if isinstance(text, str) else f"{text:.0f} s"
        for reason, text in {
            Reason.POD_REJECTED: facts.NO_POD,
            Reason.UNSCHEDULABLE: facts.UNSCHEDULABLE,
            Reason.NODE_SILENT: facts.SILENT,
            Reason.POD_NOT_STARTING: facts.NO_START,
            Reason.IMAGE_PULL_FAILED: facts.IMAGE,
            Reason.CONTAINER_CREATE_FAILED: facts.IMAGE,
            Reason.INSTALL_TIMEOUT: f"`spec.verify.timeoutSeconds` + {facts.INSTALL_EXTRA:.0f} s",
            Reason.GUARD_NOT_RUNNING: facts.GUARD,
        }.items()
    }


def test_events_are_all_there():
    repaired = replace(b.INSTALLED, repairs=Repairs(1, "2026-01-01T00:00:00Z"))
    told = node_events(
        [Change("n1", b.FAILED, b.INSTALLED), Change("n2", b.INSTALLED, repaired)]
    ) + condition_events({}, status())
    for reason in TROUBLES:
        told += condition_events({}, status(Trouble(reason, "no")))
    (written,) = tables("Events")
    rows = {(reason, row[1]) for row in written for reason in quoted(row[0])}
    assert rows == {(event.reason, event.type) for event in told}


def test_metrics_are_all_there_with_their_labels():
    (written,) = tables("Metrics")
    ours = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    names = {
        metric._name + ("_total" if metric._type == "counter" else ""): list(metric._labelnames)
        for metric in ours
    }
    assert {quoted(row[0])[0]: quoted(row[1]) for row in written} == names
    assert f"above {health.MAX_SILENCE:.0f}" in TEXT
