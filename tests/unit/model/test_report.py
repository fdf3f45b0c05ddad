import json

import msgspec
import pytest

from flexvolume_operator import assets
from flexvolume_operator.model.reasons import Reason, meanings, remedy
from flexvolume_operator.model.report import VERSION, Report, parse_report

CONTRACT = json.loads(assets.contract())


def test_the_version_is_that_of_the_contract():
    assert CONTRACT["reportVersion"] == VERSION


def test_there_are_samples_of_each_component_and_result():
    kinds = {(sample["component"], sample["result"]) for sample in CONTRACT["samples"]}
    assert kinds >= {("install", "Installed"), ("install", "Failed"), ("guard", "Installed")}


@pytest.mark.parametrize("sample", CONTRACT["samples"], ids=str)
def test_a_sample_is_read_and_written_the_same(sample):
    report = parse_report(json.dumps(sample))
    assert report is not None
    assert json.loads(msgspec.json.encode(report)) == sample


@pytest.mark.parametrize("sample", CONTRACT["samples"], ids=str)
def test_a_sample_names_reasons_of_the_list_only(sample):
    assert sample.get("reason", "") in {"", *meanings()}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "exec format error",
        "{",
        "[]",
        "{}",
        '{"v":2,"component":"install","result":"Installed"}',
        '{"v":1,"component":"install","result":"Perhaps"}',
        '{"v":1,"component":"install","result":"Installed","repairs":"many"}',
    ],
)
def test_anything_else_is_no_report(text):
    assert parse_report(text) is None


def test_a_field_of_a_newer_node_program_is_passed_over():
    text = '{"v":1,"component":"install","result":"Installed","colour":"red"}'
    assert parse_report(text) == Report(v=1, component="install", result="Installed")


def test_the_operators_reasons_are_those_of_the_list():
    known = {name for name, meaning in meanings().items() if meaning.by == "operator"}
    # It is found on the node and, of what somebody has set, before a pod is there.
    assert known | {"DirectoryMismatch", "InitOOMKilled"} == set(Reason)


def test_each_reason_has_a_meaning_and_a_remedy():
    assert all(meaning.meaning and meaning.remedy for meaning in meanings().values())


def test_the_remedy_for_an_unknown_reason_is_empty():
    assert remedy("ImagePullFailed")
    assert remedy("InventedLater") == ""
