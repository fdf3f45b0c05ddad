"""The main job: a user applies a FlexDriver, and pods mount volumes through it."""

import hashlib

import pytest
import yaml

from testbed import images
from tests.support import drivers
from tests.support.kit import INSTALLERS, condition, flexdriver, until

pytestmark = pytest.mark.node

EXAMPLE = images.ROOT / "examples/hostfile"
PLUGINS = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"


@pytest.fixture(scope="module")
def status(kit):
    """The example as the README applies it, Ready."""
    kit.cluster.kubectl("apply", f"--filename={EXAMPLE}/flexdriver.yaml")
    return kit.until_ready("hostfile")


def test_the_status_says_that_every_node_works(status):
    assert status["driverName"] == "example.com/hostfile"
    assert status["summary"] == "1/1"
    assert status["nodes"]["installed"] == status["nodes"]["matched"] == 1
    assert condition(status, "Ready")["reason"] == "Installed"
    assert status["capabilities"]["attach"] is False
    assert status["pluginDirs"] == [{"path": PLUGINS, "role": "kubelet", "nodes": 1}]
    assert status["rollout"]["state"] == "Complete"


def test_the_node_says_what_lies_where(kit, status):
    content = (EXAMPLE / "hostfile").read_bytes()
    entry = kit.install("hostfile")
    node = kit.cluster.node("node-1")

    assert entry["state"] == "Installed"
    assert entry["path"] == f"{PLUGINS}/example.com~hostfile/hostfile"
    assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    assert entry["bootID"] == node.boot_id
    assert entry["revision"] == status["rollout"]["currentRevision"] == entry["serving"]["revision"]
    assert node.path(entry["path"]).read_bytes() == content
    assert node.path(entry["path"]).stat().st_mode & 0o7777 == 0o755


def test_people_see_it_in_the_columns(kit, status):
    drivers_table = kit.cluster.kubectl("get", "fxd").split("\n")
    assert drivers_table[0].split() == ["NAME", "DRIVER", "NODES", "READY", "REASON", "AGE"]
    assert "example.com/hostfile" in drivers_table[1]
    nodes_table = kit.cluster.kubectl("get", "fxn").split("\n")
    assert nodes_table[0].split() == [
        "NAME", "DIRECTORY", "SOURCE", "DRIVERS", "STATE", "PROBLEM", "AGE",
    ]  # fmt: skip
    labelled = kit.cluster.kubectl("get", "fxn", "-l", "flexvolume.io/state=Installed", "-o=name")
    assert labelled.strip() == "flexnode.flexvolume.io/node-1"


def test_an_event_tells_that_it_is_ready(kit, status):
    said = kit.cluster.kubectl("describe", "flexdriver", "hostfile")
    assert "1 of 1 node installed." in said.partition("Events:")[2]


def test_a_pod_reads_what_the_driver_put_there_and_leaves_nothing_mounted(kit, status):
    pod = yaml.safe_load((EXAMPLE / "pod.yaml").read_text())
    pod["spec"]["containers"][0]["image"] = images.BUSYBOX
    pod["metadata"]["namespace"] = "default"
    node = kit.cluster.node("node-1")
    kit.apply(pod)
    kit.until_pod_ready("hostfile", timeout=30)

    assert "node-1" in kit.cluster.kubectl("logs", "hostfile")
    assert "example.com~hostfile" in node.exec(["cat", "/proc/mounts"])
    kit.delete("pod", "hostfile")
    assert "example.com~hostfile" not in node.exec(["cat", "/proc/mounts"])


def test_an_image_cannot_disturb_the_installer_by_what_it_sets(kit, image):
    config = {
        "User": "1234:1234",
        "Env": ["PATH=/nowhere", "LD_PRELOAD=/nowhere.so", "GODEBUG=x=1"],
        "WorkingDir": "/nowhere",
        "Entrypoint": ["/bin/false"],
        "Cmd": ["--help"],
    }
    reference = image("opinionated", {"/deep/down/driver": drivers.good("1")}, config)
    kit.apply(flexdriver("opinionated", reference, install={"source": "/deep/down/driver"}))
    assert kit.until_ready("opinionated")["summary"] == "1/1"
    kit.delete("flexdriver", "opinionated")


def test_without_verification_the_driver_is_not_run(kit, image):
    reference = image("unproven", {"/unproven": drivers.answering("exit 1")})
    kit.apply(flexdriver("unproven", reference, verify={"policy": "Skip"}))
    status = kit.until_ready("unproven")
    assert "capabilities" not in status
    kit.delete("flexdriver", "unproven")
    # What it published would fail in the kubelet; the test takes it away by hand.
    kit.cluster.node("node-1").exec(["rm", "-r", f"{PLUGINS}/example.com~unproven"])


def test_installer_pods_have_no_way_to_the_api(kit, status):
    (pod,) = kit.list("pods", "flexvolume.io/driver=hostfile", INSTALLERS)
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert {kind for volume in spec["volumes"] for kind in volume if kind != "name"} == {
        "emptyDir",
        "hostPath",
    }


def test_two_flexdrivers_for_one_driver_share_no_node(kit, image):
    first = image("twin-first", {"/twin": drivers.good("first")})
    second = image("twin-second", {"/twin": drivers.good("second")})
    kit.apply(flexdriver("twin-first", first, driver="twin"))
    kit.until_ready("twin-first")
    kit.apply(flexdriver("twin-second", second, driver="twin"))

    entry = kit.until_failed("twin-second")
    assert entry["reason"] == "DuplicateDriver"
    assert "twin-first" in entry["message"]
    path = kit.cluster.node("node-1").path(entry["path"])
    assert path.read_bytes() == drivers.good("first")
    assert kit.install("twin-first")["state"] == "Installed"

    kit.delete("flexdriver", "twin-first")
    kit.until_ready("twin-second")
    assert path.read_bytes() == drivers.good("second")
    kit.delete("flexdriver", "twin-second")


def test_a_deleted_flexdriver_takes_its_pods_and_entries_along(kit, image):
    kit.apply(flexdriver("leaving", image("leaving", {"/leaving": drivers.good("1")})))
    kit.until_ready("leaving")
    kit.delete("flexdriver", "leaving")
    assert not kit.list("daemonsets", "flexvolume.io/driver=leaving", INSTALLERS)
    until(lambda: not kit.install("leaving"), 10, "the FlexNode has no entry any more")
