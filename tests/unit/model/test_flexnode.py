import json

import pytest
from msgspec.structs import replace

from flexvolume_operator.model.flexnode import (
    FLEXNODES,
    PROBLEM_LIMIT,
    NodeDirectory,
    Observed,
    State,
    flexnode,
    shorten,
)
from tests.unit.builders import FAILED, INSTALLED

DIRECTORY = NodeDirectory("/opt/flex", "Flag", Observed("boot", "v1.36.3"))
UNSUPPORTED = replace(
    INSTALLED, driver="win", state=State.UNSUPPORTED, reason="UnsupportedOS", message="m"
)


def of(*installs):
    return flexnode("n1", "u1", DIRECTORY, installs)


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
    assert not {"reason", "message", "repairs"} & entry.keys()


def test_what_is_written_reads_back_equal():
    node = of(INSTALLED, replace(FAILED, driver="san"), UNSUPPORTED)
    manifest = node.manifest()
    assert FLEXNODES.one(json.dumps(manifest).encode()) == node


def test_an_object_without_status_reads_as_empty():
    assert FLEXNODES.one(b'{"metadata": {"name": "n1"}}').installs == ()


def test_a_line_that_fits_stays_as_it_is():
    assert shorten("a  b\nc", 5) == "a b c"
    assert shorten("abcdef", 5) == "ab..."
