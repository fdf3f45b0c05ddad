import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexvolume_operator.model import names


@pytest.mark.parametrize("path", ["/opt/flex", "/opt/flex/", "/usr/libexec/a.b/exec_1"])
def test_equal_directories_have_one_spelling(path):
    assert names.normalise_plugin_dir(path) == path.rstrip("/")


@pytest.mark.parametrize(
    "path",
    ["", "opt", "/", "/a//b", "//a", "/a/../b", "/a/./b", "/a/..", "/a~b", "/a\nb", "/a\x85"],
)
def test_a_path_that_is_no_plugin_directory_is_refused(path):
    with pytest.raises(names.InvalidPluginDir, match="must"):
        names.normalise_plugin_dir(path)


def test_dots_within_a_step_are_fine():
    assert names.normalise_plugin_dir("/a..b/.c") == "/a..b/.c"


def test_the_longest_names_fit_kubernetes_limits():
    name = names.daemonset_name("x" * 40, "kubelet", names.DEFAULT_PLUGIN_DIR)
    assert len(name + "-abcde") <= 63


def test_names_of_children_never_change():
    directory = names.DEFAULT_PLUGIN_DIR
    assert names.daemonset_name("nfs", "kubelet", directory) == "nfs-kubelet-1ac0e113"
    assert names.daemonset_name("nfs", "controller-manager", directory) == "nfs-kcm-1ac0e113"
    assert names.selector_labels("nfs", "kubelet", directory) == {
        "flexvolume.io/driver": "nfs",
        "flexvolume.io/role": "kubelet",
        "flexvolume.io/directory": "1ac0e113",
    }


def test_children_are_found_by_the_selector():
    labels = names.child_labels("nfs", "kubelet", "/opt/flex")
    wanted = dict(part.split("=") for part in names.INSTALLER_SELECTOR.split(","))
    assert wanted.items() <= labels.items()


def test_a_driver_lies_where_the_kubelet_looks():
    path = names.driver_path("/opt/flex", "example.com", "nfs")
    assert path == "/opt/flex/example.com~nfs/nfs"
    assert names.plugin_dir_of(path) == "/opt/flex"


@pytest.mark.parametrize(
    ("plugin_dir", "label"),
    [
        ("/var/lib/kubelet/volumeplugins", "var.lib.kubelet.volumeplugins"),
        (names.DEFAULT_PLUGIN_DIR, "usr.libexec.kubernetes.kubelet-plugins.volume.exec"),
        ("/opt/a.b", "opt.ab-"),
        ("/opt/-x", "opt.x-"),
        ("/ü", ""),
        ("/" + "x" * 252, "x" * 54 + "-"),
    ],
)
def test_a_directory_makes_a_label_that_people_can_read(plugin_dir, label):
    found = names.directory_label(plugin_dir)
    assert found.startswith(label)
    if found != label:
        assert found.endswith(names.directory_hash(plugin_dir))


ODD = st.text(st.characters(exclude_characters="/~", exclude_categories=["Cs", "Cc"]), min_size=1)


@given(st.lists(ODD.filter(lambda step: step not in {".", ".."}), min_size=1, max_size=8))
def test_every_directory_makes_a_legal_label(steps):
    found = names.directory_label("/" + "/".join(steps))
    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", found)


def test_directories_that_read_alike_have_labels_of_their_own():
    alike = ["/a/b", "/a.b", "/a-b", "/a/b.", "/a..b", "/ a/b"]
    assert len({names.directory_label(plugin_dir) for plugin_dir in alike}) == len(alike)
