import dataclasses
import random

from msgspec.structs import replace

from flexvolume_operator.assess.tally import Tally
from flexvolume_operator.model.directory import Aim
from flexvolume_operator.model.flexnode import State
from flexvolume_operator.model.reasons import Reason
from flexvolume_operator.model.report import Capabilities
from flexvolume_operator.model.verdict import Match
from tests.unit import builders as b
from tests.unit.builders import FAILED, INSTALLED, verdict

DOWN = replace(b.NODE, ready=False)
STALE_POD = b.done(template="t-old")
GOOD = verdict(b.done())
BAD = verdict(b.failing())
STALE = verdict(STALE_POD)
LOST = verdict(STALE_POD, INSTALLED, node=DOWN)
NEVER = verdict(match=Match(matched=True, unsupported=None), missing_since=b.NOW)
FOREIGN = verdict(
    match=Match(matched=True, unsupported=Reason.UNSUPPORTED_OS),
    target=dataclasses.replace(b.TARGET, child="", plugin_dir="", path=""),
    aim=Aim(),
)


def tally(**verdicts):
    counts = Tally()
    for node, value in verdicts.items():
        counts.put(node, value)
    return counts


def test_states_are_counted():
    counts = tally(a=GOOD, b=BAD, c=LOST, d=NEVER, e=FOREIGN)
    assert (counts.matched, counts.possible, counts.installed) == (5, 4, 1)
    assert counts.states[State.FAILED] == counts.states[State.UNKNOWN] == 1


def test_a_new_verdict_takes_the_place_of_the_last():
    counts = tally(a=GOOD, b=BAD)
    counts.put("b", GOOD)
    counts.put("a", None)
    assert (counts.matched, counts.installed, counts.failing()) == (1, 1, [])


def test_kept_counts_equal_counted_ones():
    choice = random.Random(7)
    kept, last = Tally(), {}
    for _ in range(300):
        node = f"n{choice.randrange(20)}"
        last[node] = choice.choice([GOOD, BAD, STALE, LOST, NEVER, FOREIGN, None])
        kept.put(node, last[node])
    fresh = tally(**last)
    for name in ("matched", "possible", "updated", "stale", "capabilities"):
        assert getattr(kept, name) == getattr(fresh, name)
    assert kept.directories == fresh.directories
    assert kept.failing() == fresh.failing()


def test_a_pod_that_is_replaced_does_not_make_the_count_of_updated_nodes_flicker():
    between = verdict(None, INSTALLED, missing_since=b.NOW)
    assert between.state is State.INSTALLED
    assert tally(a=GOOD, b=between, c=NEVER).updated == 2


def test_the_sample_of_failures_is_the_first_ten_by_name():
    counts = tally(**{f"n{i:02}": BAD for i in range(30)})
    assert [f["node"] for f in counts.failing()] == [f"n{i:02}" for i in range(10)]


def test_a_long_message_is_cut_in_the_sample():
    long = replace(BAD, install=replace(FAILED, message="x" * 2000))
    assert len(tally(a=long).failing()[0]["message"]) <= 512


def test_pods_of_another_template_are_stale_where_they_can_be_replaced():
    counts = tally(a=GOOD, b=STALE, c=LOST)
    assert (counts.updated, counts.stale) == (1, 1)
    older = dataclasses.replace(b.TARGET, template="t-old")
    for node, value in (("a", GOOD), ("b", STALE), ("c", LOST)):
        counts.put(node, replace(value, target=older))
    assert (counts.updated, counts.stale) == (2, 1)


def test_capabilities_are_those_of_most_nodes():
    other = replace(GOOD, install=replace(INSTALLED, capabilities=Capabilities(attach=True)))
    counts = tally(a=GOOD, b=GOOD, c=other)
    assert counts.capabilities == b.CAPABILITIES
    counts.put("a", other)
    assert counts.capabilities == Capabilities(attach=True)


def test_directories_are_those_of_nodes_that_can_have_the_driver():
    assert tally(a=GOOD, b=FOREIGN).directories == {(b.PLUGIN_DIR, "kubelet"): 1}
