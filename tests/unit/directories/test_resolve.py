"""Which source of a node's directory wins, and what is a guess."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flexvolume_operator.directories.platforms import PLATFORMS
from flexvolume_operator.directories.pools import parse_pools
from flexvolume_operator.directories.resolve import Opinions, resolve
from flexvolume_operator.model.directory import Asked, NodeDirectory, Seen, aim
from flexvolume_operator.model.names import DEFAULT_PLUGIN_DIR
from flexvolume_operator.model.objects import Node

NODE = Node("n1", labels={"pool": "a"}, kubelet_version="v1.36.3")
RKE2 = replace(NODE, kubelet_version="v1.36.3+rke2r1")
POOL = parse_pools('[{"selector": {"matchLabels": {"pool": "a"}}, "path": "/pool/"}]')
ASKED, SEEN = Asked("/asked", "Verified"), Seen("/seen", "--volume-plugin-dir")
REFUSED = Asked(reason="Forbidden", message="403")


@pytest.mark.parametrize(
    ("node", "pools", "flag", "asked", "seen", "expected"),
    [
        (RKE2, POOL, "/flag", ASKED, SEEN, ("/pool", "Pool")),
        (RKE2, (), "/flag", ASKED, SEEN, ("/asked", "Kubelet")),
        (RKE2, (), "/flag", REFUSED, SEEN, ("/seen", "KubeletProcess")),
        (RKE2, (), "/flag", REFUSED, Seen(), ("/flag", "Flag")),
        (RKE2, (), "", REFUSED, Seen(), ("/var/lib/kubelet/volumeplugins", "Platform")),
        (NODE, (), "", REFUSED, Seen(), (DEFAULT_PLUGIN_DIR, "Default")),
    ],
)
def test_the_first_source_that_knows_wins(node, pools, flag, asked, seen, expected):
    known = NodeDirectory(kubelet=asked, process=seen)
    found = resolve(node, known, Opinions(pools, flag), over=True)
    assert (found.path, found.source) == expected
    assert found.guessed == (found.source in {"Flag", "Platform", "Default"})


def test_before_the_kubelet_had_its_chance_there_is_no_directory():
    found = resolve(NODE, NodeDirectory(process=SEEN), Opinions(POOL, "/flag"), over=False)
    assert (found.path, found.source) == ("", "")
    assert aim(found, "", force=False).doubt == "Unknown"
    assert aim(found, "/set", force=False).doubt == "Unknown"


@pytest.mark.parametrize(
    ("known", "override", "force", "path", "doubt"),
    [
        (NodeDirectory("/k", "Kubelet", kubelet=Asked("/k")), "", False, "/k", ""),
        (NodeDirectory("/k", "Kubelet", kubelet=Asked("/k")), "/k", False, "/k", ""),
        (NodeDirectory("/k", "Kubelet", kubelet=Asked("/k")), "/o", False, "/o", "Mismatch"),
        (NodeDirectory("/k", "Kubelet", kubelet=Asked("/k")), "/o", True, "/o", ""),
        (NodeDirectory("/p", "Pool", process=Seen("/k")), "", False, "/p", "Mismatch"),
        (NodeDirectory("/p", "Pool", process=Seen("/k")), "", True, "/p", ""),
        (NodeDirectory("/d", "Default"), "/o", False, "/o", ""),
        (NodeDirectory(), "/o", True, "/o", ""),
    ],
)
def test_what_somebody_set_is_held_against_the_kubelets_own_word(
    known, override, force, path, doubt
):
    found = aim(known, override, force=force)
    assert (found.path, found.doubt) == (path, doubt)


PLATFORM_NODES: dict[str, dict[str, Any]] = {
    "OpenShift 4, OKD": {
        "labels": {"node.openshift.io/os_id": "rhcos"},
        "os_image": "Fedora CoreOS",
    },
    "AKS": {"labels": {"kubernetes.azure.com/cluster": "mc"}},
    "GKE": {"kubelet_version": "v1.35.1-gke.100"},
    "RKE2": {"kubelet_version": "v1.36.3+rke2r1"},
    "k0s": {"kubelet_version": "v1.36.3+k0s"},
    "Gardener": {"labels": {"worker.gardener.cloud/pool": "p"}, "os_image": "Flatcar"},
    "Bottlerocket": {"os_image": "Bottlerocket OS 1.30.0 (aws-k8s-1.33)"},
    "Container-Optimized OS (kOps, GCE kube-up)": {
        "os_image": "Container-Optimized OS from Google"
    },
    "Flatcar (kOps, Typhoon)": {"os_image": "Flatcar Container Linux by Kinvolk 4081.2.0"},
    "Fedora CoreOS (Typhoon, Magnum)": {"os_image": "Fedora CoreOS 41.20250105"},
}


def test_each_platform_is_told_by_its_node():
    assert PLATFORM_NODES.keys() == {platform.name for platform in PLATFORMS}
    for platform in PLATFORMS:
        node = Node("n1", **PLATFORM_NODES[platform.name])
        found = resolve(node, NodeDirectory(), Opinions(), over=True)
        assert (found.path, found.source) == (platform.path, "Platform")
        assert platform.origin


@given(
    st.sampled_from(["v1.36.3", "v1.36.3+k3s1", ""]), st.sampled_from(["Debian GNU/Linux 12", ""])
)
def test_what_is_not_in_the_table_has_the_default(version, image):
    node = Node("n1", kubelet_version=version, os_image=image)
    assert resolve(node, NodeDirectory(), Opinions(), over=True).source == "Default"
