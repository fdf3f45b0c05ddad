import json

import pytest
from msgspec.structs import replace

from flexvolume_operator.model.directory import (
    Asked,
    ControllerManager,
    NodeDirectory,
    Observed,
    Seen,
)
from flexvolume_operator.model.flexnode import (
    FLEXNODES,
    PROBLEM_LIMIT,
    LeftBehind,
    Machine,
    State,
    flexnode,
    shorten,
)
from flexvolume_operator.model.report import Caution, Foreign
from tests.unit.builders import FAILED, INSTALLED

MACHINE = Machine("u1", NodeDirectory("/opt/flex", "Flag", Observed("boot", "v1.36.3")))
CONTROL_PLANE = Machine(
    "u1",
    NodeDirectory(
        "/opt/flex",
        "KubeletProcess",
        Observed("boot", "v1.36.3", "10.0.0.1"),
        Asked(reason="Unreachable", message="connection refused"),
        Seen("/opt/flex", "--volume-plugin-dir"),
    ),
    ControllerManager("/in/pod", "Pod", host_path="/on/node", image="kcm:1", flag=True),
)
UNSUPPORTED = replace(
    INSTALLED, driver="win", state=State.UNSUPPORTED, reason="UnsupportedOS", message="m"
)


def of(*installs):
    return flexnode("n1", MACHINE, installs)


def test_it_is_judged_by_its_worst_driver():
    node = of(INSTALLED, replace(FAILED, driver="san"), UNSUPPORTED)
    assert (node.state, node.summary) == (State.FAILED, "1/2")
    assert node.problem == "san: InitFailed no"


@pytest.mark.parametrize("installs", [(), (INSTALLED,), (INSTALLED, UNSUPPORTED)])
def test_a_node_with_nothing_to_do_has_no_problem(installs):
    assert of(*installs).problem == ""


def test_a_problem_is_one_bounded_line():
    problem = of(replace(FAILED, message="two\nlines " + "x" * 5000)).problem
    assert len(problem) == PROBLEM_LIMIT
    assert "two lines" in problem


def test_the_order_of_entries_does_not_matter():
    other = replace(INSTALLED, driver="aaa")
    assert of(INSTALLED, other) == of(other, INSTALLED)


def test_the_manifest_goes_with_its_node_and_is_found_by_state():
    manifest = of(FAILED).manifest()
    assert manifest["metadata"] == {
        "name": "n1",
        "labels": {"flexvolume.io/state": "Failed"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u1"}],
    }


def test_empty_fields_are_left_out():
    entry = of(INSTALLED).manifest()["status"]["installs"][0]
    assert entry["serving"] == {"revision": INSTALLED.revision, "sha256": INSTALLED.sha256}
    assert entry["capabilities"]["attach"] is False
    assert not {"reason", "message", "repairs", "warnings"} & entry.keys()


def test_what_is_written_reads_back_equal():
    node = of(INSTALLED, replace(FAILED, driver="san"), UNSUPPORTED)
    manifest = node.manifest()
    assert FLEXNODES.one(json.dumps(manifest).encode()) == node


def test_all_that_is_known_of_the_machine_reads_back_equal():
    left = LeftBehind("nfs", "kubelet", "/old/example.com~nfs/nfs", "r", "a" * 64, "2026-01-01")
    node = flexnode("n1", CONTROL_PLANE, [INSTALLED], [left])
    assert FLEXNODES.one(json.dumps(node.manifest()).encode()) == node


def test_foreign_drivers_and_warnings_read_back_equal():
    foreign = (Foreign("example.com/old", "a" * 64, "InitTimeout"),)
    machine = replace(MACHINE, foreign=foreign, foreign_count=30)
    warned = replace(INSTALLED, warnings=(Caution("SlowInit", "3 s"),))
    node = flexnode("n1", machine, [warned])
    status = node.manifest()["status"]
    assert status["foreignDrivers"] == [
        {"name": "example.com/old", "sha256": "a" * 64, "init": "InitTimeout"}
    ]
    assert status["foreignDriverCount"] == 30
    assert list(status["installs"][0]["warnings"]) == [{"reason": "SlowInit", "message": "3 s"}]
    assert FLEXNODES.one(json.dumps(node.manifest()).encode()) == node


def test_a_dry_run_that_went_well_is_no_problem_and_nothing_installed():
    node = of(INSTALLED, replace(INSTALLED, driver="san", state=State.WOULD_INSTALL))
    assert (node.state, node.summary, node.problem) == (State.WOULD_INSTALL, "1/2", "")


def test_nothing_empty_is_written_about_the_machine():
    status = flexnode("n1", Machine("u1"), [INSTALLED]).manifest()["status"]
    assert status.keys() == {"summary", "state", "installs"}


def test_an_object_without_status_reads_as_empty():
    assert FLEXNODES.one(b'{"metadata": {"name": "n1"}}').installs == ()


def test_a_line_that_fits_stays_as_it_is():
    assert shorten("a  b\nc", 5) == "a b c"
    assert shorten("abcdef", 5) == "ab..."
