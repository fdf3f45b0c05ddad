"""A real kube-controller-manager as kubeadm runs it, a static pod, and a driver that attaches.

It looks into another directory than the kubelet of its node, so the driver has to be in both.
"""

import pytest

from testbed import controllers, images, managerpod, processes
from testbed.controllers import CONTROLLER_MANAGER as MANAGER
from tests.node.mixed.conftest import VAR
from tests.support import drivers
from tests.support.kit import INSTALLERS, condition, flexdriver, until
from tests.support.readers import stop_using, use

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

HOME = "node-1"
INSIDE, ON_NODE = "/flex/in/pod", "/opt/controller-manager/plugins"
ROLE = "controller-manager"


@pytest.fixture(scope="module")
def manager(mixed):
    """Runs the controller-manager with these settings in place of any other."""
    mixed.cluster.node(HOME).exec(["mkdir", "--parents", ON_NODE])
    with_shell = images.CONTROLLER_MANAGER_WITH_SHELL

    def run(plugin_dir=INSIDE, host_path=ON_NODE, image=with_shell, *, read_only=True):
        mixed.cluster.controller_manager_pod(
            HOME, plugin_dir, host_path, image, read_only=read_only
        )

    yield run
    mixed.cluster.controller_manager_process()


@pytest.fixture(scope="module")
def image(mixed, tmp_path_factory):
    files = {"/attaching": drivers.attaching()}
    reference, archive = drivers.archive(tmp_path_factory.mktemp("image"), "attaching", files)
    mixed.cluster.load_image(archive)
    return reference


@pytest.fixture(scope="module")
def driver(mixed, manager, image):
    """The name of a FlexDriver that is Ready, also where the controller-manager looks."""
    manager()
    mixed.apply(flexdriver("attaching", image))
    mixed.until_ready("attaching", timeout=90)
    yield "attaching"
    mixed.delete("flexdriver", "attaching")


def until_manager(mixed, reason, driver="attaching"):
    """The condition ControllerManagerReady, once it has this reason."""

    def known():
        found = condition(mixed.flexdriver(driver), "ControllerManagerReady")
        return found if found.get("reason") == reason else None

    return until(known, 60, f"ControllerManagerReady is {reason}")


def entry(mixed):
    """The FlexNode's entry of the driver for the controller-manager; empty without one."""
    installs = mixed.get("flexnode", HOME)["status"]["installs"]
    return next((e for e in installs if e["role"] == ROLE and e["driver"] == "attaching"), {})


def attached(mixed):
    return mixed.get("node", HOME)["status"].get("volumesAttached", [])


def test_it_is_installed_where_the_controller_manager_looks_and_nowhere_twice(mixed, driver):
    status = mixed.flexdriver(driver)
    assert condition(status, "ControllerManagerReady")["status"] == "True"
    assert {"path": ON_NODE, "role": ROLE, "nodes": 1} in status["pluginDirs"]
    found = entry(mixed)
    assert found["path"] == f"{ON_NODE}/example.com~attaching/attaching"
    assert (found["state"], found["source"], found["interpreter"]) == (
        "Installed",
        "Pod",
        "/bin/sh",
    )
    node = mixed.cluster.node(HOME)
    assert node.path(found["path"]).read_bytes() == drivers.attaching()
    children = mixed.list("daemonsets", f"flexvolume.io/driver={driver}", INSTALLERS)
    # One for each kubelet's directory, and one for the controller-manager's.
    assert len(children) == 4


def test_the_flexnode_tells_what_the_controller_manager_sees(mixed, driver):
    known = mixed.get("flexnode", HOME)["status"]["controllerManager"]
    process = known.pop("process")
    assert known == {
        "path": INSIDE,
        "source": "Pod",
        "hostPath": ON_NODE,
        "image": images.CONTROLLER_MANAGER_WITH_SHELL,
        "flag": True,
    }
    assert process == {"pluginDir": INSIDE, "from": "--flex-volume-plugin-dir", "container": True}
    said = mixed.cluster.kubectl("describe", "flexnode", HOME)
    assert f"Host Path:  {ON_NODE}" in said
    others = (mixed.get("flexnode", node)["status"] for node in ("node-2", "node-3"))
    assert not any("controllerManager" in status for status in others)


def test_a_pod_with_an_attached_volume_starts(mixed, driver):
    reads = use(mixed, driver, HOME)
    assert until(reads, 60, "it reads its volume") == "attached"
    assert [v["name"] for v in attached(mixed)] == ["example.com/attaching/data"]
    stop_using(mixed, driver, HOME)
    until(lambda: not attached(mixed), 60, "the volume is detached")


def test_without_the_mount_the_pod_waits_and_the_condition_says_what_to_add(mixed, driver, manager):
    """As kubeadm leaves it since 1.36."""
    manager(plugin_dir=None, host_path=None)
    found = until_manager(mixed, "PluginDirNotMounted")
    own = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"
    for words in (
        f"{HOME}: no directory of the node is mounted at {own}",
        f"hostPath: {{path: {own}, type: DirectoryOrCreate}}",
        f"mountPath: {own}, readOnly: true",
    ):
        assert words in found["message"]
    status = mixed.flexdriver(driver)
    ready = condition(status, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ControllerManagerNotReady")
    assert condition(status, "Stalled")["status"] == "True"
    told = mixed.cluster.kubectl("describe", "flexdriver", driver).partition("Events:")[2]
    assert "PluginDirNotMounted" in told
    left = mixed.get("flexnode", HOME)["status"]["leftBehind"]
    assert f"{ON_NODE}/example.com~attaching/attaching" in [file["path"] for file in left]

    reads = use(mixed, driver, HOME)

    def waits():
        pod = mixed.get("pod", f"{driver}-{HOME}", "default") or {}
        statuses = pod.get("status", {}).get("containerStatuses", [{}])
        return statuses[0].get("state", {}).get("waiting", {}).get("reason")

    assert until(waits, 30, "the kubelet has taken it up") == "ContainerCreating"
    assert attached(mixed) == []
    # What the message says, in other words: now both see one directory, and nothing is there twice.
    manager(plugin_dir=None, host_path=own)
    assert until(reads, 150, "the same pod runs") == "attached"
    until_manager(mixed, "Installed")
    assert entry(mixed) == {}
    mixed.until_ready(driver)
    stop_using(mixed, driver, HOME)
    until(lambda: not attached(mixed), 60, "the volume is detached")


def test_a_script_cannot_run_in_an_image_that_holds_nothing_else(mixed, driver, manager):
    manager(image=images.CONTROLLER_MANAGER)
    found = until_manager(mixed, "DriverNotRunnable")
    assert (
        f"the driver needs /bin/sh, and the image {images.CONTROLLER_MANAGER}" in found["message"]
    )
    assert condition(mixed.flexdriver(driver), "Ready")["status"] == "False"


def test_the_policy_never_leaves_it_to_others(mixed, driver, manager):
    manager()
    until_manager(mixed, "Installed")
    mixed.patch("flexdriver", driver, {"spec": {"controllerManager": {"policy": "Never"}}})
    found = until_manager(mixed, "PolicyNever")
    assert found["status"] == "Unknown"
    assert entry(mixed) == {}
    mixed.until_ready(driver)
    labels = mixed.get("node", HOME)["metadata"]["labels"]
    assert "flexvolume.io/controller-manager-dir" not in labels


def test_a_directory_that_is_set_is_served_whatever_is_seen(mixed, driver, manager):
    change = {"policy": "Auto", "pluginDir": f"{ON_NODE}/"}
    mixed.patch("flexdriver", driver, {"spec": {"controllerManager": change}})
    until_manager(mixed, "Installed")
    assert (entry(mixed)["state"], entry(mixed)["source"]) == ("Installed", "Override")
    mixed.patch("flexdriver", driver, {"spec": {"controllerManager": None}})
    mixed.until_ready(driver)


def test_it_is_served_whatever_its_taints_and_wherever_pods_are_placed(mixed, driver):
    mixed.cluster.kubectl("taint", "node", HOME, "dedicated=control-plane:NoSchedule")
    elsewhere = {"nodeSelector": {"kubernetes.io/hostname": "node-2"}, "tolerations": []}
    mixed.patch("flexdriver", driver, {"spec": {"placement": elsewhere}})
    status = mixed.until_ready(driver, timeout=90)
    assert [(e["path"], e["role"]) for e in status["pluginDirs"]] == [
        (ON_NODE, ROLE), (VAR, "kubelet"),
    ]  # fmt: skip
    assert entry(mixed)["state"] == "Installed"
    mixed.cluster.kubectl("taint", "node", HOME, "dedicated-")
    mixed.patch("flexdriver", driver, {"spec": {"placement": None}})
    mixed.until_ready(driver, timeout=90)


def test_one_that_runs_on_the_host_is_seen_by_its_process(mixed, driver, manager, image):
    """As those of k0s do; there is no mirror pod, and the node does not call itself anything."""
    mixed.delete("flexdriver", driver)
    node = mixed.cluster.node(HOME)
    managerpod.remove(node)
    flags = controllers.controller_manager(managerpod.PLACES, "/opt/host/plugins")
    node._start("kube-controller-manager", [str(node.programs.kubernetes / MANAGER), *flags])
    mixed.apply(flexdriver(driver, image))
    mixed.until_ready(driver, timeout=90)
    until_manager(mixed, "Installed")
    known = mixed.get("flexnode", HOME)["status"]["controllerManager"]
    assert (known["source"], known["hostPath"]) == ("Process", "/opt/host/plugins")
    assert entry(mixed)["path"] == "/opt/host/plugins/example.com~attaching/attaching"
    reads = use(mixed, driver, HOME)
    assert until(reads, 60, "it reads its volume") == "attached"
    stop_using(mixed, driver, HOME)
    processes.kill(node.layout.state, node._role("kube-controller-manager"))
    manager()


def test_a_driver_that_does_not_attach_is_none_of_its_business(mixed, manager):
    mixed.apply(flexdriver("hostfile"))
    status = mixed.until_ready("hostfile")
    assert condition(status, "ControllerManagerReady") == {}
    assert {e["role"] for e in status["pluginDirs"]} == {"kubelet"}
    mixed.patch("flexdriver", "hostfile", {"spec": {"controllerManager": {"policy": "Always"}}})
    mixed.until_status(
        "hostfile",
        lambda s: {e["role"] for e in s["pluginDirs"]} == {"kubelet", ROLE},
        "it is installed there, too",
        timeout=60,
    )
    mixed.delete("flexdriver", "hostfile")
