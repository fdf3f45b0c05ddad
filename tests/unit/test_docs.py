"""The documents tell of everything that the code can say, and of nothing else."""

import re
from pathlib import Path
from typing import get_args

import pytest
from msgspec.structs import replace
from prometheus_client.metrics import MetricWrapperBase

from flexvolume_operator import health, metrics
from flexvolume_operator.assess import facts
from flexvolume_operator.assess.conditions import Trouble, conditions, dated
from flexvolume_operator.assess.events import (
    Change,
    condition_events,
    lookup_events,
    node_events,
)
from flexvolume_operator.assess.refusal import CAUSES
from flexvolume_operator.assess.tally import Tally
from flexvolume_operator.directories.configz import Trouble as LookupTrouble
from flexvolume_operator.directories.platforms import PLATFORMS
from flexvolume_operator.model.flexnode import Repairs, State
from flexvolume_operator.model.names import ANNOTATION_ASKED_AGAIN, Source
from flexvolume_operator.model.reasons import (
    ConditionReason,
    DirectoryReason,
    ManagerReason,
    Reason,
    meanings,
    warnings,
)
from tests.unit import builders as b

TROUBLES = (
    ConditionReason.INVALID_SPEC,
    ConditionReason.SOURCE_MISSING,
    ConditionReason.INVALID_TEMPLATE,
    ConditionReason.APPLY_FAILED,
)
DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "concepts.md").read_text()
REASONS = (DOCS / "reasons.md").read_text()
DIRECTORIES = (DOCS / "directories.md").read_text()


def tables(heading, text=TEXT):
    """The tables below a heading, without their heads: a list of rows of cells for each."""
    section = re.split(r"^#+ ", text.partition(f" {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)
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


@pytest.mark.parametrize(
    ("heading", "by"),
    [
        ("Given by the node program", {"install", "guard", "remove"}),
        ("Given by the operator", {"operator"}),
    ],
)
def test_reasons_are_those_of_the_contract_with_their_meanings_and_remedies(heading, by):
    (written,) = tables(heading, REASONS)
    assert written == explained((r, known) for r, known in meanings().items() if known.by in by)


def test_warnings_are_those_of_the_contract():
    (written,) = tables("Warnings", REASONS)
    assert written == explained(warnings().items())


def explained(entries):
    """Rows of a table, in order of their words."""
    return [[f"`{word}`", known.meaning, known.remedy] for word, known in sorted(entries)]


def test_states_are_all_there():
    (written,) = tables("States of a driver on a node")
    assert sorted(quoted(row[0])[0] for row in written) == sorted(State)
    assert all(meaning and remedy for _, meaning, remedy in written)


def test_condition_reasons_are_all_there():
    (written,) = tables("Conditions of a FlexDriver")
    assert sorted(quoted(row[0])[0] for row in written) == sorted(ConditionReason)
    assert all(all(row) for row in written)


@pytest.mark.parametrize(
    ("heading", "reasons"),
    [("DirectoryConfirmed", DirectoryReason), ("ControllerManagerReady", ManagerReason)],
)
def test_the_reasons_of_other_conditions_are_all_there(heading, reasons):
    (written,) = tables(heading)
    assert sorted(quoted(row[0])[0] for row in written) == sorted(reasons)
    assert all(all(row) for row in written)


def test_why_kubelets_tell_nothing_is_all_there():
    (written,) = tables("Why a kubelet tells nothing", DIRECTORIES)
    assert sorted(quoted(row[0])[0] for row in written) == sorted(LookupTrouble)


def test_platforms_are_those_that_are_known():
    (written,) = tables("Platforms", DIRECTORIES)
    assert written == [[p.name, p.told_by, f"`{p.path}`", p.origin] for p in PLATFORMS]


def test_sources_are_in_their_order():
    (written,) = tables("How the directory is found", DIRECTORIES)
    assert [quoted(row[0])[0] for row in written] == list(get_args(Source))


def test_conditions_are_what_the_table_says_where_it_is_definite():
    (written,) = tables("Conditions of a FlexDriver")
    said = {quoted(row[0])[0]: row[1:4] for row in written}
    for reason in TROUBLES:
        found = conditions(b.TARGET, Tally(), Trouble(reason, "no"), applied=True)
        assert [c.status for c in found] == said[reason]
    nobody = conditions(b.TARGET, Tally(), None, applied=True)
    assert [c.status for c in nobody] == said[nobody[0].reason]


def test_who_rejects_pods_is_told_as_the_messages_tell_it():
    (written,) = tables("Who rejected the pod", REASONS)
    assert written == [[c.who, c.remedy.format(namespace="NAMESPACE")] for c in CAUSES]
    assert ANNOTATION_ASKED_AGAIN in REASONS
    assert f"{facts.REFUSED_AGAIN:.0f} s (by the annotation" in " ".join(REASONS.split())


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


FALSE = {
    "DirectoryConfirmed": ["Guessed", "DirectoryMismatch"],
    "ControllerManagerReady": [
        "Progressing", "PluginDirNotMounted", "DriverNotRunnable", "InstallFailed",
    ],
}  # fmt: skip


def other_conditions():
    """The events of the other two conditions, in a FlexDriver for which nothing is under way."""
    quiet = {"type": "Reconciling", "status": "False"}
    statuses = [
        {"conditions": [quiet, {"type": kind, "status": "False", "reason": reason, "message": "m"}]}
        for kind, reasons in FALSE.items()
        for reason in reasons
    ]
    return [event for status in statuses for event in condition_events({}, status)]


def test_events_are_all_there():
    repaired = replace(b.INSTALLED, repairs=Repairs(1, "2026-01-01T00:00:00Z"))
    told = node_events(
        [Change("n1", b.FAILED, b.INSTALLED), Change("n2", b.INSTALLED, repaired)]
    ) + condition_events({}, status())
    for reason in TROUBLES:
        told += condition_events({}, status(Trouble(reason, "no")))
    told += other_conditions()
    told += lookup_events({"Forbidden": (["n1"], "Forbidden: 403")}, set())
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
