"""The NFS example as its README applies it, on a node that lacks mount.nfs and then has it."""

import pytest
import yaml

from testbed import images, packages
from testbed.processes import PATH
from tests.support.kit import until

pytestmark = pytest.mark.node

EXAMPLE = images.ROOT / "examples/nfs"
PLUGINS = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"
# A node uses the machine's programs, so what the machine may have is covered up.
HIDE = f"""
: >/run/nothing
for file in {" ".join(f"{folder}/mount.nfs" for folder in PATH.split(":"))}; do
    [ -x "$file" ] || continue
    mount --bind /run/nothing "$file"
    echo "$file"
done"""


@pytest.fixture(scope="module")
def node(kit):
    """The node without mount.nfs; afterwards as it was, without the driver."""
    node = kit.cluster.node("node-1")
    hidden = node.exec(["sh", "-euc", HIDE]).split()
    yield node
    kit.delete("flexdriver", "nfs")
    node.exec(["rm", "-rf", f"{PLUGINS}/example.com~nfs"])
    for file in hidden:
        node.exec(["umount", "--lazy", file])


@pytest.fixture(scope="module")
def lacking(kit, node):
    """What the node says of the driver."""
    kit.cluster.load_image("localhost/nfs:dev")
    kit.cluster.kubectl("apply", f"--filename={EXAMPLE}/flexdriver.yaml")
    return kit.until_failed("nfs")


@pytest.fixture(scope="module")
def status(kit, node, lacking):
    """The FlexDriver once the node has mount.nfs in its PATH."""
    client = packages.unpacked("nfs-common") / "sbin"
    node.exec(["mount", "--bind", str(client), "/usr/local/sbin"])
    yield kit.until_ready("nfs")
    node.exec(["umount", "--lazy", "/usr/local/sbin"])  # a container may look at it


def test_a_node_without_mount_nfs_says_which_package_to_install(kit, node, lacking):
    assert lacking["reason"] == "InitFailed"
    assert "mount.nfs (install the package nfs-common on Debian" in lacking["message"]
    assert "nfs-utils on RHEL" in lacking["message"]
    assert not (node.plugin_dir / "example.com~nfs").exists()


def test_it_becomes_ready_by_itself_when_the_program_is_there(status):
    assert status["summary"] == "1/1"
    assert status["capabilities"]["attach"] is False
    assert status["capabilities"]["fsGroup"] is False


@pytest.mark.parametrize("file", ["pod.yaml", "pv.yaml"])
def test_the_events_of_a_pod_have_what_mount_nfs_said(kit, status, file):
    """Nobody listens there; version 3 begins by asking, without help of the kernel."""
    documents = {found["kind"]: found for found in yaml.safe_load_all((EXAMPLE / file).read_text())}
    pod = documents["Pod"]
    pod["metadata"]["namespace"] = "default"
    pod["spec"]["containers"][0]["image"] = images.BUSYBOX
    volume = documents.get("PersistentVolume", {}).get("spec") or pod["spec"]["volumes"][0]
    options = volume["flexVolume"]["options"]
    options |= {"server": "127.0.0.1", "mountOptions": "vers=3,nolock"}
    kit.apply(*documents.values())

    def told() -> str:
        events = kit.list("events", namespace="default")
        uid = (kit.get("pod", pod["metadata"]["name"], "default") or {})["metadata"]["uid"]
        messages = (e["message"] for e in events if e["involvedObject"].get("uid") == uid)
        return next((text for text in messages if "mount.nfs" in text), "")

    message = until(told, 30, "an event of the pod has a message of mount.nfs")
    reason = f"127.0.0.1:{options['share']}: mount.nfs: Connection refused"
    assert f"status: Failure, reason: {reason}" in message
    for kind, document in reversed(documents.items()):
        kit.delete(kind, document["metadata"]["name"])
