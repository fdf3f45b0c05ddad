"""Verdicts are made anew only where something happened."""

from msgspec.structs import replace

from flexvolume_operator.assess.placement import Matcher
from flexvolume_operator.cluster.podindex import PodIndex
from flexvolume_operator.model.flexnode import State
from flexvolume_operator.model.names import directory_hash
from flexvolume_operator.model.objects import Container, Pod, Running, Terminated
from flexvolume_operator.survey import Question, Survey
from tests.unit.builders import AIM, BOOT, NEW, NODE, NOW, TARGET, flexdriver, report

MATCHER = Matcher(flexdriver().spec.placement)


def ask(node, has_pod):
    return Question(MATCHER.match(node, has_pod=has_pod), TARGET, AIM)


POD = Pod(
    name="nfs-x",
    uid="u-pod",
    node="n1",
    flexdriver="nfs",
    role="kubelet",
    directory=directory_hash(TARGET.plugin_dir),
    revision=NEW,
    template=TARGET.template,
    created=NOW - 10,
    started=NOW - 9,
    scheduled=True,
    phase="Running",
    tools=Container(Terminated(0, finished_at=NOW - 8)),
    install=Container(Terminated(0, message=report(), finished_at=NOW - 7)),
    guard=Container(Running(NOW - 6), ready=True),
)


def survey(nodes, pods):
    index = PodIndex()
    for pod in pods:
        index.changed(None, pod)
    return Survey("nfs", "kubelet", nodes, index, lambda _node, _target: None), index


def test_only_marked_nodes_are_judged():
    nodes = {"n1": NODE, "n2": replace(NODE, name="n2")}
    found, _ = survey(nodes, [POD])
    found.mark("n1")
    (change,) = found.judge(ask, NOW)
    assert (change.node, change.after.state) == ("n1", State.INSTALLED)
    assert found.judge(ask, NOW) == []


def test_the_same_verdict_again_is_no_change():
    found, _ = survey({"n1": NODE}, [POD])
    found.mark_all(["n1"])
    assert len(found.judge(ask, NOW)) == 1
    found.mark_all(["n1"])
    assert found.judge(ask, NOW + 1) == []


def test_a_deadline_marks_its_node():
    found, _ = survey({"n1": NODE}, [])
    found.mark("n1")
    (before,) = found.judge(ask, NOW)
    assert before.after.state is State.PENDING
    assert found.deadline == NOW + 15
    found.judge(ask, NOW + 15)
    assert found.unexplained(NOW + 15) == [TARGET.child]


def test_an_explanation_is_fetched_once_and_judged():
    found, _ = survey({"n1": NODE}, [])
    found.mark("n1")
    found.judge(ask, NOW)
    found.judge(ask, NOW + 15)
    found.explain(TARGET.child, "forbidden: exceeded quota", NOW + 15)
    assert found.unexplained(NOW + 16) == []
    (change,) = found.judge(ask, NOW + 16)
    assert (change.after.state, change.after.install.reason) == (State.FAILED, "PodRejected")
    assert "exceeded quota" in change.after.install.message


def test_a_refusal_is_asked_about_again_and_its_text_follows():
    found, _ = survey({"n1": NODE}, [])
    found.mark("n1")
    for after in (0, 15):
        found.judge(ask, NOW + after)
    found.explain(TARGET.child, "exceeded quota", NOW + 15)
    found.judge(ask, NOW + 15)
    assert found.deadline == NOW + 30, "of a verdict that is not the last one any more"
    assert found.judge(ask, NOW + 30) == []
    assert found.deadline == NOW + 45
    found.judge(ask, NOW + 45)
    assert found.unexplained(NOW + 45) == [TARGET.child]
    found.explain(TARGET.child, "no PriorityClass with name x was found", NOW + 45)
    (change,) = found.judge(ask, NOW + 45)
    assert "no PriorityClass with name x was found" in change.after.install.message
    assert found.judge(ask, NOW + 74) == []


def test_an_explanation_does_not_outlive_what_it_explains():
    found, index = survey({"n1": NODE}, [])
    found.mark("n1")
    found.judge(ask, NOW)
    found.judge(ask, NOW + 15)
    found.explain(TARGET.child, "forbidden: exceeded quota", NOW + 15)
    index.changed(None, POD)
    found.mark("n1")
    found.judge(ask, NOW + 16)
    index.changed(POD, None)
    found.mark("n1")
    found.judge(ask, NOW + 17)
    (change,) = found.judge(ask, NOW + 40) or [None]
    assert change is None or change.after.install.reason != "PodRejected"


def test_a_node_that_goes_or_is_not_meant_any_more_is_a_change_to_nothing():
    nodes = {"n1": NODE}
    found, _ = survey(nodes, [POD])
    found.mark("n1")
    found.judge(ask, NOW)
    del nodes["n1"]
    found.mark("n1")
    (change,) = found.judge(ask, NOW + 1)
    assert change.before.boot_id == BOOT
    assert change.after is None
    assert found.verdicts == {}


def test_a_node_made_anew_between_two_looks_is_another_node():
    nodes = {"n1": NODE}
    found, _ = survey(nodes, [])
    found.mark("n1")
    found.judge(ask, NOW)
    nodes["n1"] = replace(NODE, uid="another")
    found.mark("n1")
    (change,) = found.judge(ask, NOW + 20)
    assert change.before is None
    assert found.verdicts["n1"].recheck_at == NOW + 20 + 15


def test_a_pod_of_another_directory_is_not_this_targets():
    found, _ = survey({"n1": NODE}, [replace(POD, directory="another")])
    found.mark("n1")
    (change,) = found.judge(ask, NOW)
    assert change.after.pod is None
