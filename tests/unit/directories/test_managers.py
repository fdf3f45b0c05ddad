"""Where controller-managers look, by their mirror pods, their processes and the flag."""

import json

import pytest

from flexvolume_operator.directories.managers import Managers, flag_value, host_path, of_pod
from flexvolume_operator.model.directory import ControllerManager, Seen
from flexvolume_operator.model.managerpods import MANAGER_PODS, ManagerPod, Mount
from flexvolume_operator.model.names import DEFAULT_PLUGIN_DIR
from flexvolume_operator.model.objects import Node

CONTROL_PLANE = {"node-role.kubernetes.io/control-plane": ""}
PROGRAM = "kube-controller-manager"


def manifest(*arguments, mounts=(), volumes=(), **container):
    """A mirror pod as kubeadm's manifest makes it."""
    whole = {
        "name": PROGRAM,
        "image": "registry.example/kube-controller-manager:v1.36.3",
        "command": [PROGRAM, "--leader-elect=true", *arguments],
        "volumeMounts": list(mounts),
    }
    spec = {"nodeName": "n1", "containers": [whole | container], "volumes": list(volumes)}
    return json.dumps({"metadata": {"name": f"{PROGRAM}-n1"}, "spec": spec}).encode()


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ([PROGRAM], ""),
        ([PROGRAM, "--flex-volume-plugin-dir=/a/"], "/a/"),
        ([PROGRAM, "--flex-volume-plugin-dir", "/a"], "/a"),
        ([PROGRAM, "--flex_volume_plugin_dir=/a"], "/a"),
        ([PROGRAM, "--flex-volume-plugin-dir=/a b"], "/a b"),
        ([PROGRAM, "--flex-volume-plugin-dir=/a", "--flex-volume-plugin-dir=/b"], "/b"),
        (["/bin/sh", "-c", f"exec {PROGRAM} --v=2 --flex-volume-plugin-dir=/a 2>&1"], "/a"),
        (["/bin/sh", "-c", f"{PROGRAM} --flex-volume-plugin-dir '/a'"], "/a"),
        ([PROGRAM, "--flex-volume-plugin-dir"], ""),
        ([PROGRAM, "--flex-volume-plugin-directory=/a"], ""),
    ],
)
def test_the_flag_is_found_in_any_spelling(arguments, value):
    assert flag_value(arguments) == value


@pytest.mark.parametrize(
    ("mounts", "path", "found"),
    [
        ([], "/flex", ""),
        ([Mount("/etc", "/etc")], "/flex", ""),
        ([Mount("/flex", "/flex")], "/flex", "/flex"),
        ([Mount("/flex/", "/on/node/")], "/flex", "/on/node"),
        (
            [Mount("/usr/libexec", "/host/libexec", read_only=True)],
            "/usr/libexec/a/b",
            "/host/libexec/a/b",
        ),
        ([Mount("/a", "/x"), Mount("/a/b", "/y")], "/a/b/c", "/y/c"),
        ([Mount("/a", "/x")], "/ab", ""),
        ([Mount("/", "/")], "/flex", "/flex"),
        ([Mount("/flex", "/")], "/flex", ""),
    ],
)
def test_a_mount_tells_where_the_directory_is_on_the_node(mounts, path, found):
    assert host_path(mounts, path) == found


def test_a_mirror_pod_tells_all_of_it():
    pod = MANAGER_PODS.one(
        manifest(
            "--flex-volume-plugin-dir=/flex/",
            mounts=[
                {"name": "certs", "mountPath": "/etc/kubernetes"},
                {"name": "flex", "mountPath": "/flex", "readOnly": True},
                {"name": "scratch", "mountPath": "/tmp"},
            ],
            volumes=[
                {"name": "certs", "hostPath": {"path": "/etc/kubernetes"}},
                {"name": "flex", "hostPath": {"path": "/var/flex"}},
                {"name": "scratch", "emptyDir": {}},
            ],
        )
    )
    assert pod.mounts[1] == Mount("/flex", "/var/flex", read_only=True)
    assert of_pod(pod, Seen()) == ControllerManager(
        "/flex",
        "Pod",
        host_path="/var/flex",
        image="registry.example/kube-controller-manager:v1.36.3",
        flag=True,
    )


def test_without_a_flag_it_looks_into_the_default_which_nobody_mounts():
    found = of_pod(MANAGER_PODS.one(manifest()), Seen())
    assert (found.path, found.host_path, found.flag) == (DEFAULT_PLUGIN_DIR, "", False)


def test_a_part_of_a_volume_is_a_directory_below_it():
    pod = MANAGER_PODS.one(
        manifest(
            mounts=[{"name": "v", "mountPath": "/flex", "subPath": "plugins"}],
            volumes=[{"name": "v", "hostPath": {"path": "/var/lib/"}}],
        )
    )
    assert pod.mounts == (Mount("/flex", "/var/lib/plugins"),)


class Scene:
    def __init__(self, flag="", labels=CONTROL_PLANE):
        self.nodes = {"n1": Node("n1", labels=labels, boot_id="b1"), "n2": Node("n2")}
        self.changed: list[str] = []
        self.managers = Managers(self.nodes, flag, self.changed.append)
        for name in self.nodes:
            self.managers.node_changed(name)

    @property
    def known(self):
        return self.managers.known


def test_a_control_plane_node_of_which_nothing_is_known_is_there_all_the_same():
    assert Scene().known == {"n1": ControllerManager()}
    assert Scene(flag="/flex").known == {"n1": ControllerManager("/flex", "Flag", "/flex")}
    assert Scene(labels={}).known == {}


def test_a_process_on_the_host_sees_what_the_node_has():
    scene = Scene(flag="/flag")
    scene.managers.heard("n1", "b1", Seen("/seen", "--flex-volume-plugin-dir"), 5.0)
    found = scene.known["n1"]
    assert (found.path, found.source, found.host_path, found.flag) == (
        "/seen", "Process", "/seen", True,
    )  # fmt: skip


def test_of_a_process_in_a_container_it_is_not_known_what_it_sees():
    scene = Scene()
    scene.managers.heard("n1", "b1", Seen("/seen", "the default", container=True), 5.0)
    assert scene.known["n1"].host_path == ""


def test_a_container_that_calls_itself_so_makes_no_control_plane_of_a_node():
    scene = Scene(labels={})
    scene.managers.heard("n1", "b1", Seen("/evil", container=True), 5.0)
    assert scene.known == {}
    scene.managers.heard("n1", "b1", Seen("/seen"), 6.0)
    assert scene.known["n1"].path == "/seen"


def test_a_mirror_pod_is_believed_before_its_process():
    scene = Scene()
    scene.managers.heard("n1", "b1", Seen("/seen", container=True), 5.0)
    pod = ManagerPod("kcm-n1", "n1", arguments=(PROGRAM, "--flex-volume-plugin-dir=/pod"))
    scene.managers.pod_changed(None, pod)
    assert (scene.known["n1"].path, scene.known["n1"].source) == ("/pod", "Pod")
    scene.managers.pod_changed(pod, None)
    assert (scene.known["n1"].path, scene.known["n1"].source) == ("/seen", "Process")
    assert scene.changed == ["n1"] * 4


def test_the_pod_of_a_changed_manifest_takes_the_place_of_the_one_that_goes():
    scene = Scene()
    old = ManagerPod("kcm-n1", "n1", arguments=(PROGRAM,))
    new = ManagerPod("kcm-n1", "n1", arguments=(PROGRAM, "--flex-volume-plugin-dir=/new"))
    for change in ((None, old), (old, None), (None, new)):
        scene.managers.pod_changed(*change)
    assert scene.known["n1"].path == "/new"


def test_what_was_said_of_another_boot_or_earlier_does_not_count():
    scene = Scene()
    scene.managers.heard("n1", "b1", Seen("/seen"), 5.0)
    scene.managers.heard("n1", "b0", Seen("/boot"), 9.0)
    scene.managers.heard("n1", "b1", Seen("/older"), 1.0)
    assert scene.known["n1"].path == "/seen"


def test_a_node_that_goes_is_forgotten():
    scene = Scene()
    del scene.nodes["n1"]
    scene.managers.node_changed("n1")
    assert not scene.known


def test_that_nobody_uses_them_is_not_known_before_somebody_did():
    managers = Scene().managers
    said = []
    for change in ("leave", "use", "leave"):
        getattr(managers, change)("san")
        said.append(managers.used)
    assert said == [None, True, False]
