"""What is told to components, as far as it can be judged without running them."""

import json

import pytest
import yaml

from testbed import ClusterError, Config, controllers, fakes, nodeconfig, plugindir
from testbed.layout import Layout
from testbed.managerpod import ManagerPod
from testbed.plugindir import OVERRULED, PluginDir

LAYOUT = Layout("demo", 1)


def told(config: Config, node: str = "node-1") -> tuple[object, object, list[str]]:
    """What configuration file, drop-in file and command line say of the directory."""
    directory = config.plugin_dir_of(node)
    settings = nodeconfig.kubelet(LAYOUT, config, node, 1, directory)
    flags = nodeconfig.kubelet_flags(LAYOUT, node, 1, directory)
    return (
        settings.get("volumePluginDir"),
        nodeconfig.drop_in(directory)["volumePluginDir"],
        [flag for flag in flags if "plugin" in flag or "config-dir" in flag],
    )


def test_the_default_plugin_directory_is_not_told_to_the_kubelet():
    assert told(Config()) == (None, "", [])
    assert told(Config(plugin_dir_by="flag")) == (None, "", [])


@pytest.mark.parametrize(
    ("by", "heard"),
    [
        ("config", ("/opt/x/", "", [])),
        ("relative", ("../../../opt/x/", "", [])),
        ("drop-in", (OVERRULED, "/opt/x/", ["--config-dir=/var/lib/kubelet/config.d"])),
        ("flag", (None, "", ["--volume-plugin-dir=/opt/x/"])),
        ("flag-over-config", (OVERRULED, "", ["--volume-plugin-dir=/opt/x/"])),
    ],
)
def test_a_plugin_directory_is_told_in_every_way_and_as_it_is_written(by, heard):
    assert told(Config(plugin_dir="/opt/x/", plugin_dir_by=by)) == heard


def test_each_node_can_have_its_own_plugin_directory_and_its_own_way():
    dirs, ways = {"node-2": "/home/y"}, {"node-2": "flag", "node-3": "relative"}
    config = Config(nodes=3, plugin_dir="/opt/x", plugin_dirs=dirs, plugin_dir_bys=ways)
    assert told(config) == ("/opt/x", "", [])
    assert told(config, "node-2") == (None, "", ["--volume-plugin-dir=/home/y"])
    assert told(config, "node-3") == ("../../../opt/x", "", [])


def test_a_node_gives_signs_of_life_as_often_as_they_are_waited_for():
    settings = nodeconfig.kubelet(LAYOUT, Config(node_grace=8), "node-1", 1, PluginDir())
    assert settings["nodeLeaseDurationSeconds"] == 8
    usual = nodeconfig.kubelet(LAYOUT, Config(), "node-1", 1, PluginDir())
    assert "nodeLeaseDurationSeconds" not in usual


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"nodes": 65}, "nodes is 65; it must be 0 to 64"),
        ({"plugin_dir": "x"}, "'x' must be an absolute path"),
        ({"plugin_dirs": {"node-1": "y"}}, "'y' must be an absolute path"),
        ({"plugin_dir_by": "magic"}, "it must be one of config, relative, drop-in, flag"),
        ({"plugin_dir_bys": {"node-2": "luck"}}, "plugin_dir_by is 'luck'"),
        ({"node_grace": 3}, "node_grace is 3; it must be 0 or at least 4 seconds"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong, message):
    with pytest.raises(ClusterError, match=message):
        Config(**wrong)


def test_every_way_to_fail_has_a_stage_and_no_placeholder_is_left():
    text = fakes.stages()
    names = {document["metadata"]["name"] for document in yaml.safe_load_all(text)}
    assert {f"installer-{shape}" for shape in (*fakes.SHAPES, "mismatch", "well")} < names
    assert "@" not in text


def test_a_fake_node_has_its_kubelets_port_and_labels():
    node = json.loads(json.dumps(fakes.manifest("fake-a-0001", 10300, {"pool": "a"})))
    assert node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] == 10300
    assert node["metadata"]["labels"].items() > {"pool": "a", "testbed/node": "fake"}.items()


def test_fake_nodes_of_a_pool_are_named_after_it():
    assert fakes.Kind(pool="a").prefix == "fake-a-"
    assert (fakes.Kind("crash").prefix, fakes.Kind().prefix) == ("fake-crash-", "fake-")
    for shape, pool in [("", "crash"), ("pull", "a")]:
        with pytest.raises(ClusterError, match="it must be another name than a shape's"):
            fakes.Kind(shape, pool)


def test_the_controller_manager_is_told_the_same_in_a_pod_and_on_the_machine():
    places = controllers.Places("/machine/kubeconfig", "/machine/pki", "127.77.1.1")
    process = controllers.controller_manager(places, "/plugins", 8)
    manifest = ManagerPod("/plugins", None, "x").manifest(8)
    command, *flags = manifest["spec"]["containers"][0]["command"]
    assert command == "kube-controller-manager"
    there = "\n".join(flags).replace("/etc/kubernetes/controller-manager.conf", places.kubeconfig)
    there = there.replace("/etc/kubernetes/pki", places.pki).replace("127.0.0.1", places.address)
    assert there.splitlines() == process


@pytest.mark.parametrize(
    ("directory", "mounted_at"),
    [("/opt/plugins/", "/opt/plugins"), (None, plugindir.DEFAULT.rstrip("/"))],
)
def test_a_host_path_is_mounted_where_the_controller_manager_looks(directory, mounted_at):
    spec = ManagerPod(directory, "/home/x", "x", read_only=True).manifest()["spec"]
    (container,) = spec["containers"]
    flag = f"--flex-volume-plugin-dir={directory}"
    assert (flag in container["command"]) == (directory is not None)
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "flexvolume-dir"]
    assert (mount["mountPath"], mount["readOnly"]) == (mounted_at, True)
    (volume,) = [each for each in spec["volumes"] if each["name"] == "flexvolume-dir"]
    assert volume["hostPath"]["path"] == "/home/x"


def test_without_a_host_path_the_controller_manager_sees_no_directory_of_the_node():
    assert "flexvolume-dir" not in json.dumps(ManagerPod("/opt/plugins", None, "x").manifest())
