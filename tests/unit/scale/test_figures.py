"""What the benchmarks make of what they measured."""

import json

import pytest

from tests.scale import results
from tests.scale.figures import Goal, Row, Section, percentiles, quantile, table


@pytest.mark.parametrize(("share", "expected"), [(0.5, 100.5), (0.99, 198), (0.01, 2), (1.0, 200)])
def test_a_quantile_is_a_value_that_was_measured_but_for_the_median(share, expected):
    assert quantile([*range(200, 0, -1)], share) == expected


@pytest.mark.parametrize(
    ("values", "goal", "held"),
    [
        ([0.9, 1.0, 1.1], Goal("<=", 1.1), True),
        ([0.9, 1.0, 1.1], Goal("<", 1.1), False),
        ([0, 0, 1], Goal("=", 0), False),
        ([0, 0], Goal("=", 0), True),
        ([3.0], None, None),
    ],
)
def test_a_goal_holds_if_every_run_met_it(values, goal, held):
    assert Row("x", "s", values, goal).held is held


def test_of_a_p99_one_in_a_hundred_may_miss_the_goal():
    values = [0.1] * 199 + [5.0]
    p50, p99 = percentiles("seen", "s", values, Goal("<", 1))
    assert (p50.value, p50.held, p99.value, p99.held) == (0.1, None, 0.1, True)
    assert not percentiles("seen", "s", [*values[:-2], 5, 5, 5], Goal("<", 1))[1].held


def test_the_table_says_what_did_not_hold():
    rows = [
        Row("time", "s", [1.234, 1.1, 12.34], Goal("<", 10)),
        Row("count", "", [0, 0]),
        Row("a lot", "MiB", [12345.6]),
    ]
    assert table([row.json() for row in rows]).splitlines()[2:] == [
        "| time | < 10 s | 1.23 s | 1.10 - 12.3 | 3 | **NO** |",
        "| count |  | 0 | 0 - 0 | 2 |  |",
        "| a lot |  | 12,346 MiB | 12,346 - 12,346 | 1 |  |",
    ]


def section(letter, value):
    return Section(letter, f"section {letter}", "A note.", [Row("x", "s", [value])])


def test_a_section_measured_anew_leaves_the_others_as_they_were(tmp_path):
    results.write(results.merged([section("a", 1), section("b", 2)], tmp_path), tmp_path)
    first = json.loads((tmp_path / "results.json").read_text())
    results.write(results.merged([section("a", 3)], tmp_path), tmp_path)
    second = json.loads((tmp_path / "results.json").read_text())
    assert second["sections"]["a"]["rows"][0]["value"] == 3
    assert second["sections"]["b"] == first["sections"]["b"]
    assert "(b) section b" in (tmp_path / "README.md").read_text()


def test_figures_of_another_machine_are_dropped(tmp_path):
    other = results.merged([section("a", 1)], tmp_path)
    other["machine"]["CPU"] = "another"
    results.write(other, tmp_path)
    assert list(results.merged([section("b", 2)], tmp_path)["sections"]) == ["b"]
