"""The test cluster on this machine, from nothing and back to nothing."""

import http.client
import json
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from testbed import (
    Cluster,
    ClusterError,
    Config,
    fakekubelets,
    fakes,
    images,
    plugindir,
    state,
)
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
    cluster.fake_nodes(4)
    cluster.fake_nodes(1, "crash")
    cluster.fake_nodes(1, "stuck")
    seen = install(cluster, {"testbed/pull": "fake-0002,fake-0003"})
    report = json.loads(seen["fake-0001"]["state"]["terminated"]["message"])
    assert (report["result"], report["revision"]) == ("Installed", "0123456789")
    assert report["path"].endswith("/volume/exec/example.com~nfs/nfs")
    assert (report["capabilities"]["attach"], report.get("kubelet")) == (False, None)
    boot = field(cluster, "node/fake-0001", "{.status.nodeInfo.bootID}")
    assert report["bootID"] == boot == fakes.boot_id("fake-0001")
    assert seen["fake-0002"]["state"]["waiting"]["reason"] == "ImagePullBackOff"
    assert seen["fake-stuck-0001"]["state"]["waiting"]["reason"] == "PodInitializing"
    crash = seen["fake-crash-0001"]
    assert crash["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert json.loads(crash["lastState"]["terminated"]["message"])["reason"] == "InitFailed"


def test_installer_pods_on_fake_nodes_see_the_kubelet_that_an_annotation_tells(cluster):
    told = f"fake-0001={plugindir.DEFAULT.rstrip('/')},all=/opt/a=b"
    seen = install(cluster, {"testbed/kubelet-dir": told, "testbed/attach": ""})
    report = json.loads(seen["fake-0001"]["state"]["terminated"]["message"])
    assert (report["result"], report["capabilities"]["attach"]) == ("Installed", True)
    assert report["kubelet"] == {"pluginDir": plugindir.DEFAULT.rstrip("/")}
    ended = seen["fake-0002"]["lastState"]["terminated"]
    report = json.loads(ended["message"])
    assert (ended["exitCode"], report["reason"]) == (3, "DirectoryMismatch")
    assert report["kubelet"] == {"pluginDir": "/opt/a=b"}
    crash = json.loads(seen["fake-crash-0001"]["lastState"]["terminated"]["message"])
    assert (crash["reason"], crash["kubelet"]) == ("InitFailed", report["kubelet"])


@pytest.mark.parametrize("flag", ["--force-plugin-dir", "--role=controller-manager"])
def test_a_directory_that_is_forced_or_not_the_kubelets_is_no_mismatch(cluster, flag):
    seen = install(cluster, {"testbed/kubelet-dir": "all=/opt/x"}, flag)
    report = json.loads(seen["fake-0002"]["state"]["terminated"]["message"])
    assert (report["result"], report["kubelet"]) == ("Installed", {"pluginDir": "/opt/x"})


def test_fake_nodes_of_a_pool_have_its_labels_and_a_kubelet_that_answers(cluster):
    fakekubelets.serve(cluster.layout, {10300: fakekubelets.Answer("/opt/x")})
    (name,) = cluster.fake_nodes(1, pool="a", port=10300, labels={"pool": "a"})
    assert name == "fake-a-0001"
    node = json.loads(cluster.kubectl("get", "nodes", "--selector=pool=a", "--output=json"))
    (status,) = [item["status"] for item in node["items"]]
    address = next(a["address"] for a in status["addresses"] if a["type"] == "InternalIP")
    port = status["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    assert plugin_dir_told(cluster, f"{address}:{port}") == "/opt/x"
    assert plugin_dir_told(cluster, f"{address}:10250") == plugindir.DEFAULT
    cluster.fake_nodes(0, pool="a")


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


def install(cluster, annotations, *flags):
    """The status of the install container by node, once the pods on all six fake nodes have it."""
    daemonset = yaml.safe_load(Path(__file__).with_name("installers.yaml").read_text())
    template = daemonset["spec"]["template"]
    template["metadata"]["annotations"] = annotations
    template["spec"]["initContainers"][1]["command"] += flags
    kind, name = "daemonset", daemonset["metadata"]["name"]
    cluster.kubectl("delete", kind, name, "--ignore-not-found", "--cascade=foreground")
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(daemonset))

    def reported():
        selector = "--selector=app.kubernetes.io/name=flexvolume-installer"
        pods = json.loads(cluster.kubectl("get", "pods", selector, "--output=json"))["items"]
        found = {
            pod["spec"].get("nodeName"): container
            for pod in pods
            for container in pod["status"].get("initContainerStatuses", [])
            if container["name"] == "install"
        }
        return found if len(found) == 6 else None

    return until(reported, 30, "all six installer pods have a status")


def plugin_dir_told(cluster, address):
    """What a kubelet says to somebody with some ServiceAccount's token."""
    token = cluster.kubectl("create", "token", "default").strip()
    context = ssl.create_default_context(cafile=cluster.layout.pki / "ca.crt")
    with closing(http.client.HTTPSConnection(address, context=context, timeout=5)) as connection:
        connection.request("GET", "/configz", headers={"Authorization": f"Bearer {token}"})
        said = json.loads(connection.getresponse().read())
    return said["kubeletconfig"]["volumePluginDir"]


def field(cluster, what, path):
    return cluster.kubectl("get", *what.split("/"), f"--output=jsonpath={path}")


def command(verb, cluster):
    # What a shell runs in the background ignores Ctrl-C, and so would all that it starts.
    heeding = ["env", "--default-signal=INT"]
    argv = [*heeding, sys.executable, "-m", "testbed", verb, "--name", cluster.name]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
