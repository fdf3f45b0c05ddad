"""Every kubelet's own directory, found by nobody but the operator, on three real nodes."""

import pytest

from testbed import plugindir
from tests.node.mixed.conftest import OPT, VAR
from tests.support import drivers
from tests.support.clusters import helm_install
from tests.support.kit import condition, flexdriver, until
from tests.support.readers import stop_using, use

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

DEFAULT = plugindir.DEFAULT.rstrip("/")
OWN = {"node-1": DEFAULT, "node-2": VAR, "node-3": OPT}
LONG = "/opt/" + "/".join("d" * 60 for _ in range(4)) + "/" + "e" * 4


def directory(kit, node):
    """What the FlexNode says of the node's own directory."""
    found = kit.get("flexnode", node) or {}
    return found.get("status", {}).get("pluginDir", {})


def until_in(kit, node, path, driver="plain"):
    """The FlexNode's status once the driver is installed in this directory."""

    def there():
        status = (kit.get("flexnode", node) or {}).get("status", {})
        entries = [e for e in status.get("installs", ()) if e["driver"] == driver]
        known = status.get("pluginDir", {}).get("path")
        good = [e["state"] for e in entries] == ["Installed"]
        return status if good and known == path and entries[0]["path"].startswith(f"{path}/") else 0

    return until(there, 60, f"{driver} is installed on {node} in {path}")


@pytest.fixture(scope="module")
def image(mixed, tmp_path_factory):
    reference, archive = drivers.archive(
        tmp_path_factory.mktemp("image"), "plain", {"/plain": drivers.good("1")}
    )
    mixed.cluster.load_image(archive)
    return reference


@pytest.fixture(scope="module")
def status(mixed, image):
    """One FlexDriver, Ready everywhere; neither it nor the operator was told any directory."""
    mixed.apply(flexdriver("plain", image))
    status = mixed.until_ready("plain")
    yield status
    mixed.delete("flexdriver", "plain")


def test_each_node_has_it_where_its_kubelet_looks(mixed, status):
    assert {e["path"]: e["nodes"] for e in status["pluginDirs"]} == {DEFAULT: 1, VAR: 1, OPT: 1}
    assert condition(status, "DirectoryConfirmed")["reason"] == "Confirmed"
    for node, path in OWN.items():
        entry = mixed.install("plain", node)
        assert entry["path"] == f"{path}/example.com~plain/plain"
        assert mixed.cluster.node(node).path(entry["path"]).read_bytes() == drivers.good("1")


def test_it_is_said_who_knew_it(mixed, status):
    origins = {
        "node-1": "the default",
        "node-2": "--volume-plugin-dir",
        "node-3": "volumePluginDir in /var/lib/kubelet/config.d/",
    }
    for node, path in OWN.items():
        found = directory(mixed, node)
        assert (found["path"], found["source"]) == (path, "Kubelet")
        assert found["kubelet"] == {"path": path, "tls": "Verified"}
        assert found["process"]["pluginDir"] == path
        assert found["process"]["from"].startswith(origins[node])
        assert found["observed"]["address"]
    table = mixed.cluster.kubectl("get", "flexnodes").splitlines()
    assert [line.split()[0] for line in table[1:]] == list(OWN)
    assert all(" Kubelet " in line for line in table[1:])


def test_pods_on_all_of_them_mount_volumes(mixed, status):
    readers = {node: use(mixed, "plain", node) for node in OWN}
    for node, reads in readers.items():
        assert until(reads, 60, f"a pod on {node} reads its volume") == "1"
        stop_using(mixed, "plain", node)


WAYS = [
    ("config", f"{VAR}-b/"),
    ("relative", "/var/lib/kubelet/plugins.d/flex"),
    ("flag-over-config", LONG),
    ("drop-in", VAR),
    ("config", plugindir.DEFAULT),
]


@pytest.mark.parametrize(("by", "path"), WAYS, ids=[f"{by}-{len(path)}" for by, path in WAYS])
def test_a_kubelet_that_is_told_another_directory_is_followed(mixed, status, by, path):
    """It was not there before; the kubelet makes it, and the driver comes after."""
    before = directory(mixed, "node-1")["path"]
    others = [mixed.get("flexnode", name) for name in ("node-2", "node-3")]
    mixed.cluster.node("node-1").reconfigure(path, by)
    found = until_in(mixed, "node-1", path.rstrip("/"))
    assert found["pluginDir"]["process"]["pluginDir"] == path.rstrip("/")
    left = [file["path"] for file in found.get("leftBehind", ())]
    assert f"{before}/example.com~plain/plain" in left
    assert f"{path.rstrip('/')}/example.com~plain/plain" not in left
    reads = use(mixed, "plain", "node-1")
    assert until(reads, 60, "a pod reads its volume") == "1"
    stop_using(mixed, "plain", "node-1")
    assert others == [mixed.get("flexnode", name) for name in ("node-2", "node-3")]


@pytest.mark.parametrize(
    ("option", "reason"), [("noexec", "PluginDirNoExec"), ("ro", "PluginDirReadOnly")]
)
def test_a_mount_from_which_nothing_runs_or_on_which_nothing_is_written_is_named(
    mixed, status, option, reason
):
    node, path = mixed.cluster.node("node-1"), f"/opt/{option}"
    node.exec(["mkdir", "--parents", path])
    node.exec(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", path])
    node.exec(["mkdir", f"{path}/plugins"])
    node.exec(["mount", "-o", f"remount,{option}", path])
    node.reconfigure(f"{path}/plugins")
    entry = until(
        lambda: (e := mixed.install("plain", "node-1")).get("reason") == reason and e, 60, reason
    )
    assert entry["state"] == "Failed"
    assert f"{path}/plugins" in entry["message"]
    node.reconfigure(plugindir.DEFAULT)
    until_in(mixed, "node-1", DEFAULT)
    node.exec(["umount", path])


def test_a_directory_that_the_kubelet_contradicts_gets_nothing_and_is_not_made(
    mixed, status, image
):
    node = {"nodeSelector": {"kubernetes.io/hostname": "node-2"}}
    mixed.apply(
        flexdriver(
            "wrong",
            image,
            driver="plain2",
            pluginDir="/opt/nowhere",
            placement=node,
            install={"source": "/plain"},
        )
    )
    entry = mixed.until_failed("wrong", "node-2")
    assert entry["reason"] == "DirectoryMismatch"
    assert "spec.pluginDir says /opt/nowhere" in entry["message"]
    assert f"looks into {VAR}" in entry["message"]
    assert not mixed.cluster.node("node-2").path("/opt/nowhere").exists()

    mixed.cluster.kubectl("annotate", "flexdriver", "wrong", "flexvolume.io/force-plugin-dir=yes")
    until(
        lambda: mixed.install("wrong", "node-2").get("reason") == "PluginDirNotFound",
        30,
        "insisted on, it is looked for",
    )
    assert not mixed.cluster.node("node-2").path("/opt/nowhere").exists(), "but never made"
    mixed.cluster.node("node-2").exec(["mkdir", "/opt/nowhere"])
    mixed.until_ready("wrong", timeout=120)
    assert mixed.cluster.node("node-2").path("/opt/nowhere/example.com~plain2/plain2").exists()
    mixed.delete("flexdriver", "wrong")


def test_kubelets_that_are_not_asked_tell_by_their_processes(mixed, status, image):
    """Kubernetes before 1.33, or a firewall between; no right and no port is needed."""
    mixed.delete("flexdriver", "plain")
    until(lambda: not mixed.list("flexnodes"), 30, "nothing is remembered of the nodes")
    helm_install(mixed, "kubelet.discovery=false", "volumePluginDir=/opt/guess")
    mixed.apply(flexdriver("plain", image))
    found = mixed.until_ready("plain", timeout=120)
    assert {e["path"]: e["nodes"] for e in found["pluginDirs"]} == {DEFAULT: 1, VAR: 1, OPT: 1}
    assert condition(found, "DirectoryConfirmed")["status"] == "True"
    for node, path in OWN.items():
        known = directory(mixed, node)
        assert (known["path"], known["source"]) == (path, "KubeletProcess")
        assert known["kubelet"]["reason"] == "NotAsked"
        assert not mixed.cluster.node(node).path("/opt/guess").exists()
    helm_install(mixed)
