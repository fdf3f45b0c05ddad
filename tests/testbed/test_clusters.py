"""The test cluster on this machine, from nothing and back to nothing."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from testbed import Cluster, ClusterError, Config, fakes, images, state
from testbed.layout import Layout, preferred_slots, state_root
from testbed.processes import running
from testbed.shell import until
from tests.testbed.machine import snapshot

pytestmark = pytest.mark.node

DRIVER = """#!/bin/sh
case $1 in
init) echo '{"status":"Success","capabilities":{"attach":false}}' ;;
mount) mkdir -p "$2" && mount -t tmpfs tmpfs "$2" && hostname > "$2/host" &&
    echo '{"status":"Success"}' ;;
unmount) umount "$2" && echo '{"status":"Success"}' ;;
*) echo '{"status":"Not supported"}' ;;
esac
"""
READER = """
cat /data/host
nc -w 5 $KUBERNETES_SERVICE_HOST 443 < /dev/null && echo reached
trap exit TERM
while :; do sleep 1; done
"""


@pytest.fixture(scope="module")
def before():
    return snapshot()


@pytest.fixture(scope="module")
def cluster(before):
    """Two real nodes, the second with another plugin directory; a driver and a pod on each."""
    directory = "/opt/volumeplugins"
    cluster = Cluster("testbed-two", Config(nodes=2, plugin_dirs={"node-2": directory}))
    cluster.down()
    try:
        assert cluster.up()
        cluster.load_image(images.busybox())
        for node in cluster.nodes:
            place_driver(node)
            cluster.kubectl("apply", "--filename=-", stdin=pod(node.name))
        for node in cluster.nodes:
            cluster.kubectl("wait", "--for=condition=Ready", "--timeout=30s", f"pod/{node.name}")
        yield cluster
    finally:
        cluster.down()


@pytest.fixture
def other():
    cluster = Cluster("testbed-other")
    cluster.down()
    yield cluster
    cluster.down()


def test_up_again_says_that_it_is_up_already(cluster):
    done = command("up", cluster)
    said, told = done.communicate()
    assert (done.returncode, said.strip()) == (0, str(cluster.kubeconfig))
    assert "is up already" in told


@pytest.mark.parametrize("number", [1, 2])
def test_a_pod_mounts_a_flexvolume_and_reaches_the_api_server(cluster, number):
    node = cluster.nodes[number - 1]
    logs = until(lambda: cluster.kubectl("logs", node.name), 10, "the pod has said something")
    assert logs.splitlines() == [node.name, "reached"]
    assert "example.com~where" in node.exec(["cat", "/proc/mounts"])
    assert "example.com~where" not in Path("/proc/mounts").read_text()


def test_a_stopped_kubelet_leaves_its_pods_alone(cluster):
    node = cluster.nodes[0]
    node.stop_kubelet()
    assert not running(cluster.layout.state).get("node-1/kubelet")
    assert "busybox" in node.exec(["ctr", "--namespace=k8s.io", "containers", "list"])
    node.start_kubelet()
    until(lambda: cluster.kubectl("exec", "node-1", "--", "echo", "here"), 20, "exec works")
    assert field(cluster, "pod/node-1", "{.status.containerStatuses[0].restartCount}") == "0"


def test_power_off_ends_everything_on_the_node_and_power_on_is_a_new_boot(cluster):
    node = cluster.nodes[1]
    boot = field(cluster, "node/node-2", "{.status.nodeInfo.bootID}")
    assert boot == node.boot_id
    node.power_off()
    assert not node.is_on
    assert not any(role.startswith("node-2") for role in running(cluster.layout.state))
    with pytest.raises(ClusterError, match="node-2 of cluster testbed-two is powered off"):
        node.exec(["true"])
    node.power_on()
    until(
        lambda: field(cluster, "node/node-2", "{.status.nodeInfo.bootID}") not in {boot, ""},
        30,
        "the kubelet has told the new boot id",
    )
    restarts = "{.status.containerStatuses[0].restartCount}"
    until(lambda: field(cluster, "pod/node-2", restarts) == "1", 30, "the pod runs again")
    assert node.plugin_dir.joinpath("example.com~where/where").exists()


def test_a_deleted_pod_leaves_no_mount(cluster):
    cluster.kubectl("delete", "pod", "node-1", "--timeout=20s")
    mounts = cluster.nodes[0].exec(["cat", "/proc/mounts"])
    assert "example.com~where" not in mounts


def test_installer_pods_on_fake_nodes_report_like_real_ones(cluster):
    cluster.fake_nodes(3)
    cluster.fake_nodes(1, "crash")
    cluster.fake_nodes(1, "stuck")
    manifest = Path(__file__).with_name("installers.yaml")
    cluster.kubectl("apply", "--filename", str(manifest))
    seen = until(lambda: all_reported(cluster, 5), 30, "all five installer pods have a status")
    report = json.loads(seen["fake-0001"]["state"]["terminated"]["message"])
    assert (report["result"], report["revision"]) == ("Installed", "0123456789")
    assert report["path"].endswith("/volume/exec/example.com~nfs/nfs")
    boot = field(cluster, "node/fake-0001", "{.status.nodeInfo.bootID}")
    assert report["bootID"] == boot == fakes.boot_id("fake-0001")
    assert seen["fake-0002"]["state"]["waiting"]["reason"] == "ImagePullBackOff"
    assert seen["fake-stuck-0001"]["state"]["waiting"]["reason"] == "PodInitializing"
    crash = seen["fake-crash-0001"]
    assert crash["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert json.loads(crash["lastState"]["terminated"]["message"])["reason"] == "InitFailed"


def test_fewer_fake_nodes_are_asked_for_and_the_others_go(cluster):
    cluster.fake_nodes(2)
    names = cluster.kubectl("get", "nodes", "--output=name").split()
    assert {"node/fake-0002", "node/fake-crash-0001", "node/node-1"} < set(names)
    assert "node/fake-0003" not in names


def test_a_second_cluster_has_places_of_its_own(cluster, other):
    assert other.up()
    assert not other.layout.network.overlaps(cluster.layout.network)
    assert field(other, "nodes", "{.items[*].metadata.name}") == "node-1"
    assert cluster.is_up


def test_up_clears_what_a_killed_up_left(cluster, other):
    process = command("up", other)
    until(lambda: "node-1" in running(state_root() / other.name), 30, "a node is being started")
    process.kill()
    process.communicate()
    assert other.up()
    assert field(other, "nodes", "{.items[*].metadata.name}") == "node-1"


def test_after_ctrl_c_nothing_is_left(cluster, other):
    between = snapshot()
    process = command("up", other)
    until(lambda: "etcd" in running(state_root() / other.name), 30, "etcd has been started")
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode != 0
    assert not (state_root() / other.name).exists()
    assert snapshot() == between


def test_a_component_that_does_not_start_is_named_with_the_end_of_its_log(cluster, other):
    # Other clusters of this machine may be where this one would be.
    taken = {record.slot for record in state.clusters()}
    slot = next(slot for slot in preferred_slots(other.name) if slot not in taken)
    address = Layout(other.name, slot).loopback
    with socket.create_server((address, 2379)), pytest.raises(ClusterError) as caught:
        other.up()
    assert "etcd has stopped" in str(caught.value)
    assert f"listen tcp {address}:2379: bind: address already in use" in str(caught.value)
    assert not running(state_root() / other.name)


def test_after_down_nothing_is_left(before, cluster, other):
    process = command("up", other)
    until(lambda: "node-1" in running(state_root() / other.name), 30, "a node is being started")
    process.kill()
    process.communicate()
    for each in (other, cluster):
        assert each.down()
    assert snapshot() == before


def place_driver(node):
    folder = node.plugin_dir / "example.com~where"
    folder.mkdir()
    hidden = folder / ".where"
    hidden.write_text(DRIVER)
    hidden.chmod(0o755)
    hidden.rename(folder / "where")


def pod(node):
    reader = {
        "name": "reader",
        "image": images.BUSYBOX,
        "command": ["sh", "-c", READER],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    spec = {
        "nodeName": node,
        "terminationGracePeriodSeconds": 1,
        "containers": [reader],
        "volumes": [{"name": "data", "flexVolume": {"driver": "example.com/where"}}],
    }
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": node}, "spec": spec})


def all_reported(cluster, count):
    """The status of each installer pod's install container by node, once there are `count`."""
    selector = "--selector=app.kubernetes.io/name=flexvolume-installer"
    pods = json.loads(cluster.kubectl("get", "pods", selector, "--output=json"))["items"]
    found = {
        pod["spec"].get("nodeName"): container
        for pod in pods
        for container in pod["status"].get("initContainerStatuses", [])
        if container["name"] == "install"
    }
    return found if len(found) == count else None


def field(cluster, what, path):
    return cluster.kubectl("get", *what.split("/"), f"--output=jsonpath={path}")


def command(verb, cluster):
    # What a shell runs in the background ignores Ctrl-C, and so would all that it starts.
    heeding = ["env", "--default-signal=INT"]
    argv = [*heeding, sys.executable, "-m", "testbed", verb, "--name", cluster.name]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
