"""What is said of controller-managers, and where the driver goes for them."""

import pytest
from msgspec.structs import replace

from flexvolume_operator.assess.conditions import conditions
from flexvolume_operator.assess.managers import Seat, places, ready, wants
from flexvolume_operator.assess.tally import Tally
from flexvolume_operator.model.directory import ControllerManager, Seen
from flexvolume_operator.model.flexdriver import ControllerManagerSpec
from flexvolume_operator.model.flexnode import State
from tests.unit import builders as b

AUTO = ControllerManagerSpec()
NEVER = ControllerManagerSpec(policy="Never")
SET = ControllerManagerSpec(plugin_dir="/set")
BARE = "registry.example/kube-controller-manager:v1.36.3"
POD = ControllerManager("/kcm", "Pod", host_path="/kcm", image=BARE, flag=True)
BLIND = ControllerManager("/default", "Pod", image=BARE)
HOST = ControllerManager("/kcm", "Process", host_path="/kcm")
BOXED = ControllerManager("/kcm", "Process", process=Seen("/kcm", "--x", container=True))
STATIC = replace(b.INSTALLED, role="controller-manager", path="/kcm/example.com~nfs/nfs")
SCRIPT = replace(STATIC, interpreter="/bin/sh")
FAILED = replace(STATIC, state=State.FAILED, reason="InitFailed", message="no disk")
TRIED = replace(STATIC, state=State.WOULD_INSTALL)
PENDING = replace(STATIC, state=State.PENDING, reason="Installing")
DOWN = replace(STATIC, state=State.UNKNOWN, reason="NodeNotReady", message="down")


@pytest.mark.parametrize(
    ("spec", "manager", "install", "status", "reason", "said"),
    [
        (AUTO, POD, STATIC, "True", "Installed", "/kcm/example.com~nfs/nfs"),
        (AUTO, HOST, SCRIPT, "True", "Installed", "looks"),
        (AUTO, replace(POD, image="own/with-shell:1"), SCRIPT, "True", "Installed", "looks"),
        (AUTO, POD, SCRIPT, "False", "DriverNotRunnable", "needs /bin/sh"),
        (AUTO, replace(POD, image="k/kube-controller-manager-amd64@sha256:1"), SCRIPT,
         "False", "DriverNotRunnable", "static"),
        (AUTO, POD, FAILED, "False", "InstallFailed", "InitFailed: no disk"),
        (AUTO, POD, PENDING, "False", "Progressing", "being installed"),
        (AUTO, POD, None, "False", "Progressing", "being installed"),
        (AUTO, POD, TRIED, "Unknown", "DryRun", "spec.dryRun"),
        (AUTO, POD, DOWN, "Unknown", "NodeNotReady", "down"),
        (AUTO, BLIND, None, "False", "PluginDirNotMounted", "--flex-volume-plugin-dir=/kubelets"),
        (SET, BLIND, replace(STATIC, path="/set/x"), "True", "Installed", "/set/x"),
        (AUTO, BOXED, STATIC, "Unknown", "NotVisible", "container"),
        (AUTO, ControllerManager(), None, "Unknown", "NotVisible", "not visible"),
        (SET, ControllerManager(), STATIC, "True", "Installed", "looks"),
        (NEVER, POD, None, "Unknown", "PolicyNever", "Never"),
        (NEVER, POD, STATIC, "True", "Installed", "looks"),
    ],
)  # fmt: skip
def test_each_case_has_its_words(spec, manager, install, status, reason, said):
    found = ready(spec, [Seat("n1", manager, install, "/kubelets")])
    assert (found.condition.status, found.condition.reason) == (status, reason)
    assert found.condition.message.startswith("n1: ")
    assert said in found.condition.message
    assert found.moving == (reason == "Progressing")


def test_what_to_add_is_said_as_it_has_to_stand_in_the_manifest():
    message = ready(AUTO, [Seat("n1", BLIND, None, "/kubelets")]).condition.message
    assert "the flag --flex-volume-plugin-dir=/kubelets, the volume" in message
    assert "{name: flexvolume-dir, hostPath: {path: /kubelets, type: DirectoryOrCreate}}" in message
    assert "{name: flexvolume-dir, mountPath: /kubelets, readOnly: true}" in message


def test_a_flag_that_is_there_is_not_asked_for_again():
    own = ControllerManager("/own", "Pod", image=BARE, flag=True)
    message = ready(AUTO, [Seat("n1", own, None, "/kubelets")]).condition.message
    assert "the flag" not in message
    assert "mountPath: /own," in message


def test_the_worst_of_several_is_told_and_how_many_are_like_it():
    seats = [
        Seat("n1", POD, STATIC, ""),
        Seat("n2", POD, SCRIPT, ""),
        Seat("n3", POD, SCRIPT, ""),
        Seat("n4", POD, PENDING, ""),
    ]
    found = ready(AUTO, seats).condition
    assert found.reason == "DriverNotRunnable"
    assert found.message.startswith("n2: ")
    assert found.message.endswith("(and on 1 more)")


def test_where_nobody_sees_one_nothing_is_known():
    found = ready(AUTO, []).condition
    assert (found.status, found.reason) == ("Unknown", "NotVisible")


@pytest.mark.parametrize(
    ("policy", "attach", "wanted"),
    [("Auto", True, True), ("Auto", False, False), ("Always", False, True), ("Never", True, False)],
)
def test_the_policy_decides_for_whom_it_is_installed(policy, attach, wanted):
    assert wants(ControllerManagerSpec(policy=policy), attach=attach) == wanted


def test_it_goes_where_it_is_not_already():
    managers = {"n1": POD, "n2": BLIND, "n3": HOST, "n4": BOXED, "n5": ControllerManager()}
    assert places(AUTO, managers, {"n1": "/kcm", "n3": "/kubelets"}) == {"n3": "/kcm", "n4": "/kcm"}
    assert places(SET, managers, {"n1": "/set"}) == dict.fromkeys(["n2", "n3", "n4", "n5"], "/set")


def three(seat):
    tally = Tally()
    tally.put("n1", b.verdict(b.done()))
    found = conditions(b.TARGET, tally, None, applied=True, manager=ready(AUTO, [seat]))
    return [c.status for c in found], found[0].reason


def test_a_driver_that_cannot_be_attached_is_not_ready():
    blind = Seat("n1", BLIND, None, "/kubelets")
    assert three(blind) == (["False", "False", "True"], "ControllerManagerNotReady")
    assert three(Seat("n1", POD, PENDING, "")) == (["False", "True", "False"], "Progressing")
    assert three(Seat("n1", ControllerManager(), None, "")) == (
        ["True", "False", "False"], "Installed",
    )  # fmt: skip
    assert three(Seat("n1", POD, STATIC, "")) == (["True", "False", "False"], "Installed")
