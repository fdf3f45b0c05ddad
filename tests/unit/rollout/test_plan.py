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
WAITING = verdict(b.adopting())
ADOPTING = verdict(b.adopting(NOW - 5))
WAITING_STALE = verdict(b.adopting(template="t-old"))
NEVER = verdict(match=Match(matched=True, unsupported=Reason.VIRTUAL_NODE))


def rollout(*verdicts, target=TARGET):
    """A rollout over nodes n000, n001 ... whose pods carry the node's name as uid."""
    found = Rollout()
    for number, value in enumerate(verdicts):
        name = f"n{number:03}"
        pod = replace(value.pod, uid=name, node=name) if value.pod is not None else None
        found.put(name, replace(value, pod=pod, target=target))
    return found


def planned(found, *, settled=True):
    return [pod.uid for pod in found.plan(lambda _: settled).delete]


def turns(found, *, settled=True):
    return [pod.uid for pod in found.plan(lambda _: settled).grant]


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


def test_a_new_target_makes_its_pods_stale():
    newer = dataclasses.replace(TARGET, template="t-newer", template_hash="h-newer")
    assert planned(rollout(*[CURRENT] * 3, target=newer)) == ["n000"]


def test_the_pods_of_a_directory_wait_for_their_own_daemonset():
    other = dataclasses.replace(TARGET, child="other")
    found = rollout(*[STALE] * 30)
    found.put("n000", replace(STALE, target=other))
    chosen = found.plan(lambda target: target.child != "other").delete
    assert [pod.uid for pod in chosen] == ["n001", "n002", "n003"]


def test_a_node_that_is_no_longer_meant_is_forgotten():
    found = rollout(STALE, NEVER)
    found.put("n000", None)
    assert planned(found) == []


@given(
    st.lists(
        st.sampled_from(
            [
                CURRENT,
                STALE,
                STALE_FAILED,
                STALE_DOWN,
                STARTING,
                MISSING,
                LEAVING,
                RIVAL_GOOD,
                WAITING,
            ]
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
        chosen, granted = found.plan(lambda _: True)
        good = [p.node for p in chosen if state[p.node] is STALE]
        assert len(good) + len(granted) <= max(1, ready // 10)
        for pod in granted:
            found.granted(pod.node, pod.uid)
            state[pod.node] = STARTING
        for pod in chosen:
            found.asked(pod.node, pod.uid)
            state[pod.node] = MISSING
            found.put(pod.node, MISSING)
    assert not {id(v) for v in state.values()} & {id(STALE), id(STALE_FAILED), id(WAITING)}


def test_a_failed_entry_alone_is_no_reason_to_replace():
    kept = verdict(b.pod(created=NOW, started=NOW, scheduling_since=NOW), FAILED)
    assert planned(rollout(kept)) == []


def test_a_tenth_of_the_nodes_has_its_turn_to_replace_foreign_drivers():
    assert turns(rollout(*[WAITING] * 40)) == ["n000", "n001", "n002", "n003"]
    assert turns(rollout(WAITING, WAITING)) == ["n000"]


def test_who_waits_holds_up_nobody_and_who_has_its_turn_does():
    assert planned(rollout(*[WAITING] * 19, STALE)) == ["n019"]
    assert turns(rollout(*[WAITING] * 19, STALE)) == ["n000"]
    assert turns(rollout(*[WAITING] * 9, STALE)) == []
    assert turns(rollout(WAITING, ADOPTING)) == []
    assert turns(rollout(*[WAITING] * 19, ADOPTING)) == ["n000"]
    assert turns(rollout(*[WAITING] * 29, ADOPTING)) == ["n000", "n001"]


def test_a_turn_is_granted_once_and_counts_before_the_watch_shows_it():
    found = rollout(WAITING, WAITING)
    found.granted("n000", "n000")
    assert turns(found) == []
    found.put("n000", verdict(b.adopting(NOW - 5, uid="n000", node="n000")))
    assert turns(found) == []
    found.put("n000", CURRENT)
    assert turns(found) == ["n001"]


def test_a_pod_that_takes_the_place_of_one_with_a_turn_waits_again():
    found = rollout(WAITING, WAITING)
    found.granted("n000", "n000")
    found.put("n000", verdict(b.adopting(uid="new", node="n000")))
    assert turns(found) == ["new"]


def test_an_adoption_that_failed_stops_no_other():
    assert turns(rollout(WAITING, verdict(b.failing()))) == ["n000"]


def test_a_waiting_pod_of_another_template_is_replaced():
    found = rollout(WAITING_STALE, WAITING_STALE)
    assert (planned(found), turns(found)) == (["n000"], [])


def test_nobody_has_a_turn_while_suspended_or_deleted():
    assert turns(rollout(WAITING, target=dataclasses.replace(TARGET, suspended=True))) == []
    assert turns(rollout(WAITING, target=dataclasses.replace(TARGET, deleting=True))) == []
    assert turns(rollout(WAITING), settled=False) == []
