"""What is taken in of what the node program has seen."""

import json
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from flexvolume_operator.assess.foreign import ForeignDrivers
from flexvolume_operator.landscape import Landscape
from flexvolume_operator.model.directory import Seen
from flexvolume_operator.model.objects import Container, Pod, Terminated, Waiting

POD = Pod("p", node="n1")


def ended(at=5.0, **fields):
    told = {"v": 1, "component": "install", "result": "Failed", "bootID": "b1"} | fields
    return Terminated(3, message=json.dumps(told), finished_at=at)


class Ear:
    def __init__(self):
        self.said = []

    def heard(self, *said):
        self.said.append(said)

    def changed(self, *said):
        self.said.append(said)


@pytest.fixture
def ears():
    return SimpleNamespace(
        inquiry=Ear(), managers=Ear(), _foreign=ForeignDrivers(), flexnodes=Ear()
    )


def told(ears, old, new):
    Landscape.pod_changed(ears, old, new)
    return ears.inquiry.said, ears.managers.said


KUBELET = {"pluginDir": "/a//b/", "from": "--volume-plugin-dir"}


def test_a_directory_is_taken_in_by_its_one_spelling(ears):
    state = ended(kubelet=KUBELET, controllerManager={"pluginDir": "/c", "container": True})
    pod = replace(POD, install=Container(state))
    assert told(ears, None, pod) == (
        [("n1", "b1", Seen("/a/b", "--volume-plugin-dir"), 5.0)],
        [("n1", "b1", Seen("/c", container=True), 5.0)],
    )


def test_of_a_run_before_the_present_one_too(ears):
    pod = replace(POD, install=Container(Waiting("CrashLoopBackOff"), ended(kubelet=KUBELET)))
    assert len(told(ears, None, pod)[0]) == 1


def test_each_run_is_heard_once(ears):
    pod = replace(POD, install=Container(ended(kubelet=KUBELET)))
    assert told(ears, pod, replace(pod, phase="Running")) == ([], [])
    again = replace(pod, install=Container(ended(at=9.0, kubelet=KUBELET)))
    assert len(told(ears, pod, again)[0]) == 1


def test_what_a_dry_run_finds_is_worth_a_write_once(ears):
    found = [{"name": "example.com/old", "sha256": "a" * 64, "init": "InitTimeout"}]
    pod = replace(POD, flexdriver="nfs", install=Container(ended(foreign=found, foreignCount=1)))
    told(ears, None, pod)
    assert ears.flexnodes.said == [("n1",)]
    told(ears, pod, replace(pod, install=Container(ended(9.0, foreign=found, foreignCount=1))))
    assert ears.flexnodes.said == [("n1",)]
    told(ears, pod, replace(pod, install=Container(ended(11.0))))
    assert ears.flexnodes.said == [("n1",), ("n1",)]


@pytest.mark.parametrize("fields", [{}, {"kubelet": {"pluginDir": "relative"}}, {"v": 2}])
def test_what_tells_nothing_is_no_news(ears, fields):
    pod = replace(POD, install=Container(ended(**fields)))
    assert told(ears, None, pod) == ([], [])
