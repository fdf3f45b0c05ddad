"""What is told to components, as far as it can be judged without running them."""

import pytest
import yaml

from testbed import ClusterError, Config, fakes, nodeconfig
from testbed.layout import Layout

LAYOUT = Layout("demo", 1)


def told(config: Config, node: str) -> tuple[object, list[str]]:
    settings = nodeconfig.kubelet(LAYOUT, config, node, 1)
    flags = nodeconfig.kubelet_flags(LAYOUT, config, node, 1)
    return settings.get("volumePluginDir"), [flag for flag in flags if "plugin" in flag]


def test_the_default_plugin_directory_is_not_told_to_the_kubelet():
    assert told(Config(), "node-1") == (None, [])


def test_a_plugin_directory_is_told_by_config_or_by_flag():
    assert told(Config(plugin_dir="/opt/x"), "node-1") == ("/opt/x", [])
    by_flag = Config(plugin_dir="/opt/x", plugin_dir_by="flag")
    assert told(by_flag, "node-1") == (None, ["--volume-plugin-dir=/opt/x"])


def test_each_node_can_have_its_own_plugin_directory():
    config = Config(nodes=2, plugin_dir="/opt/x", plugin_dirs={"node-2": "/home/y"})
    assert told(config, "node-1") == ("/opt/x", [])
    assert told(config, "node-2") == ("/home/y", [])


def test_a_node_gives_signs_of_life_as_often_as_they_are_waited_for():
    settings = nodeconfig.kubelet(LAYOUT, Config(node_grace=8), "node-1", 1)
    assert settings["nodeLeaseDurationSeconds"] == 8
    assert "nodeLeaseDurationSeconds" not in nodeconfig.kubelet(LAYOUT, Config(), "node-1", 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"nodes": 65}, "nodes is 65; it must be 0 to 64"),
        ({"plugin_dir": "x"}, "'x' must be an absolute path"),
        ({"plugin_dir_by": "magic"}, "it must be config or flag"),
        ({"node_grace": 3}, "node_grace is 3; it must be 0 or at least 4 seconds"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong, message):
    with pytest.raises(ClusterError, match=message):
        Config(**wrong)


def test_every_way_to_fail_has_a_stage_and_no_placeholder_is_left():
    text = fakes.stages()
    names = {document["metadata"]["name"] for document in yaml.safe_load_all(text)}
    assert {f"installer-{shape}" for shape in fakes.SHAPES} < names
    assert "@" not in text
