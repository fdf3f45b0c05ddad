import dataclasses

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flexvolume_operator.model.reasons import Reason
from flexvolume_operator.model.verdict import Match
from flexvolume_operator.rollout.plan import Rollout
from tests.unit import builders as b
from tests.unit.builders import FAILED, INSTALLED, NOW, OLD, TARGET, verdict

DOWN = replace(b.NODE, ready=False)
OLD_POD = replace(b.done(), revision=OLD, template="t-old", template_hash="h-old")
OLD_FAILING_POD = replace(b.failing(), revision=OLD, template="t-old", template_hash="h-old")
CURRENT = verdict(b.done())
STALE = verdict(OLD_POD)
STALE_FAILED = verdict(OLD_FAILING_POD)
STALE_DOWN = verdict(OLD_POD, node=DOWN)
STARTING = verdict(b.pod(created=NOW, started=NOW, scheduling_since=NOW))
MISSING = verdict(missing_since=NOW)
LEAVING = verdict(b.done(deleted=NOW + 5), INSTALLED)
RIVAL_FAILED = verdict(b.failing(template_hash="h-other"))
RIVAL_GOOD = verdict(b.done(template_hash="h-other"))
NEVER = verdict(match=Match(matched=True, unsupported=Reason.VIRTUAL_NODE))


def rollout(*verdicts, target=TARGET):
    """A rollout over nodes n000, n001 ... whose pods carry the node's name as uid."""
    found = Rollout(target)
    for number, value in enumerate(verdicts):
        name = f"n{number:03}"
        pod = replace(value.pod, uid=name, node=name) if value.pod is not None else None
        found.put(name, replace(value, pod=pod))
    return found


def planned(found, **options):
    return [pod.uid for pod in found.plan(**({"settled": True} | options))]


def test_at_rest_there_is_nothing_to_do():
    assert planned(rollout(*[CURRENT] * 5, STARTING, MISSING)) == []


def test_a_tenth_of_the_nodes_is_replaced_at_a_time():
    assert planned(rollout(*[STALE] * 40)) == ["n000", "n001", "n002", "n003"]


def test_one_node_at_least():
    assert planned(rollout(STALE, STALE)) == ["n000"]


def test_nodes_that_are_not_ready_neither_count_nor_wait():
    assert planned(rollout(*[STALE_DOWN] * 30, *[STALE] * 20)) == ["n030", "n031"]


def test_what_is_under_way_uses_up_the_budget():
    for busy in (STARTING, MISSING, LEAVING):
        assert planned(rollout(*[STALE] * 19, busy)) == ["n000"]
        assert planned(rollout(STALE, busy)) == []


def test_failed_nodes_are_replaced_at_once_and_hold_up_nobody():
    assert planned(rollout(STALE, STALE_FAILED, STALE_FAILED)) == ["n001", "n002", "n000"]


def test_a_new_version_that_fails_everywhere_does_not_stop_half_way():
    assert planned(rollout(*[verdict(b.failing())] * 9, STALE)) == ["n009"]


def test_changed_rivals_replace_only_pods_that_do_not_work():
    assert planned(rollout(RIVAL_GOOD, RIVAL_FAILED, CURRENT)) == ["n001"]


def test_nothing_moves_while_suspended_or_deleted_or_before_the_controller_has_seen_it():
    assert planned(rollout(STALE), settled=False) == []
    assert planned(rollout(STALE, target=dataclasses.replace(TARGET, suspended=True))) == []
    assert planned(rollout(STALE, target=dataclasses.replace(TARGET, deleting=True))) == []


def test_a_pod_is_asked_to_go_once():
    found = rollout(*[STALE] * 20)
    for uid in planned(found):
        found.asked(uid, uid)
    assert planned(found) == []


def test_a_new_pod_in_its_place_ends_the_asking():
    found = rollout(STALE, STALE)
    found.asked("n000", "n000")
    found.put("n000", CURRENT)
    assert planned(found) == ["n001"]


def test_a_new_target_sorts_all_nodes_again():
    found = rollout(*[CURRENT] * 3)
    found.retarget(dataclasses.replace(TARGET, template="t-newer", template_hash="h-newer"))
    assert planned(found) == ["n000"]
    found.retarget(TARGET)
    assert planned(found) == []


def test_a_node_that_is_no_longer_meant_is_forgotten():
    found = rollout(STALE, NEVER)
    found.put("n000", None)
    assert planned(found) == []


@given(
    st.lists(
        st.sampled_from(
            [CURRENT, STALE, STALE_FAILED, STALE_DOWN, STARTING, MISSING, LEAVING, RIVAL_GOOD]
        ),
        max_size=60,
    )
)
def test_the_budget_holds_and_the_rollout_ends(verdicts):
    found = rollout(*verdicts)
    ready = sum(v.node_ready for v in verdicts)
    state = {f"n{i:03}": v for i, v in enumerate(verdicts)}
    for _ in range(len(verdicts) + 1):
        for node, value in state.items():
            if value in (STARTING, MISSING, LEAVING):
                state[node] = CURRENT
                found.put(node, CURRENT)
        chosen = found.plan(settled=True)
        good = [p.node for p in chosen if state[p.node] is STALE]
        assert len(good) <= max(1, ready // 10)
        for pod in chosen:
            found.asked(pod.node, pod.uid)
            state[pod.node] = MISSING
            found.put(pod.node, MISSING)
    assert not {id(STALE), id(STALE_FAILED)} & {id(v) for v in state.values()}


def test_a_failed_entry_alone_is_no_reason_to_replace():
    kept = verdict(b.pod(created=NOW, started=NOW, scheduling_since=NOW), FAILED)
    assert planned(rollout(kept)) == []
