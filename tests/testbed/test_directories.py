"""Kubelets and controller-managers that look for drivers elsewhere, while the cluster runs."""

import json
from functools import partial
from pathlib import Path

import pytest

from testbed import Cluster, fakekubelets, images, plugindir
from testbed.api import connect
from testbed.processes import running
from testbed.shell import until
from tests.testbed.machine import snapshot

pytestmark = pytest.mark.node

MANAGER = "kube-controller-manager"
# Its calls are noted where no prober looks.
DRIVER = """#!/bin/sh
echo "$1" >> /usr/libexec/kubernetes/kubelet-plugins/volume/exec/.calls
echo '{"status":"Success","capabilities":{"attach":true}}'
"""


@pytest.fixture(scope="module")
def before():
    return snapshot()


@pytest.fixture(scope="module")
def cluster(before):
    """One real node, with a pod that has a volume."""
    cluster = Cluster("testbed-told")
    cluster.down()
    try:
        assert cluster.up()
        cluster.load_image(images.busybox())
        run_pod(cluster, "first")
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="module")
def node(cluster):
    return cluster.node("node-1")


@pytest.mark.parametrize(
    ("by", "path", "heard"),
    [
        ("config", "/var/lib/kubelet/volumeplugins/", "/var/lib/kubelet/volumeplugins/"),
        ("relative", "/opt/rela/tive/", "/opt/rela/tive"),
        ("drop-in", "/home/kubernetes/flexvolume", "/home/kubernetes/flexvolume"),
        ("flag", "/opt/flag/", "/opt/flag/"),
        ("flag-over-config", "/opt/over", "/opt/over"),
        ("config", plugindir.DEFAULT, plugindir.DEFAULT),
    ],
)
def test_a_reconfigured_kubelet_looks_there_and_makes_the_directory(node, by, path, heard):
    node.reconfigure(path, by)
    until(lambda: configuration(node)["volumePluginDir"] == heard, 20, f"it tells {heard}")
    assert node.plugin_dir == node.path(path)
    assert node.plugin_dir.is_dir()
    assert not node.path(plugindir.OVERRULED).exists()


def test_pods_go_on_while_kubelets_are_reconfigured(cluster):
    ready = "{.status.containerStatuses[0].ready} {.status.containerStatuses[0].restartCount}"
    assert field(cluster, "pod/first", ready) == "true 0"


def test_a_fake_kubelet_tells_as_much_as_a_real_one(node):
    fake = json.loads(fakekubelets.BODY.read_text())["kubeletconfig"]
    assert set(fake) == set(configuration(node))


def test_what_a_kubelet_was_told_outlives_a_power_cycle(cluster, node):
    node.reconfigure("/opt/kept", "drop-in")
    node.power_off()
    node.power_on()
    (again,) = cluster.nodes
    assert again.plugin_dir == again.path("/opt/kept")
    until(lambda: configuration(node)["volumePluginDir"] == "/opt/kept", 20, "it tells it again")


def test_the_controller_manager_runs_in_a_pod_that_has_nothing_but_it(cluster):
    cluster.controller_manager_pod("node-1", "/opt/manager/", None, images.CONTROLLER_MANAGER)
    assert not running(cluster.layout.state).get(MANAGER)
    assert cluster.is_up
    container = mirror(cluster)["spec"]["containers"][0]
    assert "--flex-volume-plugin-dir=/opt/manager/" in container["command"]
    assert "flexvolume-dir" not in [mount["name"] for mount in container["volumeMounts"]]
    controllers_work(cluster, "one")


def test_the_controller_manager_is_a_process_again(cluster):
    cluster.controller_manager_process()
    assert running(cluster.layout.state)[MANAGER]
    names = cluster.kubectl("get", "pods", "--namespace=kube-system", "--output=name")
    assert MANAGER not in names
    controllers_work(cluster, "two")


def test_in_a_pod_with_a_shell_the_controller_manager_runs_shell_drivers(cluster, node):
    shell = images.CONTROLLER_MANAGER_WITH_SHELL
    cluster.controller_manager_pod("node-1", None, "/opt/for-manager", shell)
    command = " ".join(mirror(cluster)["spec"]["containers"][0]["command"])
    assert "--flex-volume-plugin-dir" not in command
    place(node.path("/opt/for-manager"))
    run_pod(cluster, "second")
    calls = node.path("/opt/for-manager/.calls")
    until(calls.exists, 20, "the controller-manager has called the driver")
    assert calls.read_text().splitlines()[0] == "init"


def test_the_same_pod_is_left_alone_and_another_one_takes_its_place(cluster):
    uid = mirror(cluster)["metadata"]["uid"]
    shell = images.CONTROLLER_MANAGER_WITH_SHELL
    cluster.controller_manager_pod("node-1", None, "/opt/for-manager", shell)
    assert mirror(cluster)["metadata"]["uid"] == uid
    cluster.controller_manager_pod("node-1", None, "/opt/for-manager", shell, read_only=True)
    (container,) = mirror(cluster)["spec"]["containers"]
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "flexvolume-dir"]
    assert mount["readOnly"]


def test_after_down_nothing_is_left_of_pods_and_fake_kubelets(before, cluster):
    cluster.fake_nodes(1)
    assert cluster.down()
    assert snapshot() == before


def configuration(node):
    """What the kubelet itself says; empty while it does not answer."""
    address = f"{node.layout.node_address(node.index)}:10250"
    with connect(node.layout, address) as api:
        return json.loads(api.request("GET", "/configz"))["kubeletconfig"]


def mirror(cluster):
    where = ["--namespace=kube-system", "--output=json"]
    return json.loads(cluster.kubectl("get", "pod", f"{MANAGER}-node-1", *where))


def controllers_work(cluster, namespace):
    """A controller gives every namespace its ServiceAccount."""
    cluster.kubectl("create", "namespace", namespace)
    get = partial(cluster.kubectl, "get", "serviceaccount", "default", f"--namespace={namespace}")
    until(get, 20, "the namespace has its ServiceAccount")


def place(directory: Path):
    folder = directory / "example.com~noted"
    folder.mkdir()
    hidden = folder / ".noted"
    hidden.write_text(DRIVER)
    hidden.chmod(0o755)
    hidden.rename(folder / "noted")


def run_pod(cluster, name):
    container = {
        "name": "sleeper",
        "image": images.BUSYBOX,
        "command": ["sh", "-c", "trap exit TERM; while :; do sleep 1; done"],
    }
    spec = {
        "nodeName": "node-1",
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(pod))
    cluster.kubectl("wait", "--for=condition=Ready", "--timeout=30s", f"pod/{name}")


def field(cluster, what, path):
    return cluster.kubectl("get", *what.split("/"), f"--output=jsonpath={path}")
