"""Which directory the kubelets of well-known platforms use, told from the Node object alone.

Each row names the place in the platform's own sources or documentation. A platform that does not
move the directory needs no row; one that lets its users move it is only guessed, and what is
guessed is confirmed on the node.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from flexvolume_operator.model.objects import Node

_VAR_LIB: Final = "/var/lib/kubelet/volumeplugins"
_COS: Final = "/home/kubernetes/flexvolume"


class Platform(NamedTuple):
    """One platform: how its nodes are told, their directory, and who says so."""

    name: str
    told_by: str
    is_it: Callable[[Node], bool]
    path: str
    origin: str


def _label(key: str) -> Callable[[Node], bool]:
    return lambda node: key in node.labels


def _version(part: str) -> Callable[[Node], bool]:
    return lambda node: part in node.kubelet_version


def _image(start: str) -> Callable[[Node], bool]:
    return lambda node: node.os_image.startswith(start)


# From the top, the first that fits: managed platforms before the operating systems they run on.
PLATFORMS: Final = (
    Platform(
        "OpenShift 4, OKD",
        "label node.openshift.io/os_id",
        _label("node.openshift.io/os_id"),
        "/etc/kubernetes/kubelet-plugins/volume/exec",
        "openshift/machine-config-operator, templates of kubelet.service",
    ),
    Platform(
        "AKS",
        "label kubernetes.azure.com/cluster",
        _label("kubernetes.azure.com/cluster"),
        "/etc/kubernetes/volumeplugins",
        "Azure/AgentBaker, kubelet.service",
    ),
    Platform(
        "GKE",
        "kubelet version with -gke.",
        _version("-gke."),
        _COS,
        "kubernetes/kubernetes, cluster/gce/config-default.sh",
    ),
    Platform(
        "RKE2",
        "kubelet version with +rke2",
        _version("+rke2"),
        _VAR_LIB,
        "rancher/rke2, pkg/executor/staticpod/staticpod.go",
    ),
    Platform(
        "k0s",
        "kubelet version with +k0s",
        _version("+k0s"),
        "/usr/libexec/k0s/kubelet-plugins/volume/exec",
        "k0sproject/k0s, workerconfig/reconciler.go",
    ),
    Platform(
        "Gardener",
        "label worker.gardener.cloud/pool",
        _label("worker.gardener.cloud/pool"),
        _VAR_LIB,
        "gardener/gardener, kubelet/component.go",
    ),
    Platform(
        "Bottlerocket",
        "OS image Bottlerocket",
        _image("Bottlerocket"),
        "/var/lib/kubelet/plugins/volume/exec",
        "bottlerocket-os/bottlerocket-core-kit, kubelet-config",
    ),
    Platform(
        "Container-Optimized OS (kOps, GCE kube-up)",
        "OS image Container-Optimized OS",
        _image("Container-Optimized OS"),
        _COS,
        "kubernetes/kops, nodeup/pkg/model/kubelet.go",
    ),
    Platform(
        "Flatcar (kOps, Typhoon)",
        "OS image Flatcar",
        _image("Flatcar"),
        _VAR_LIB,
        "kubernetes/kops, nodeup/pkg/model/kubelet.go; poseidon/typhoon",
    ),
    Platform(
        "Fedora CoreOS (Typhoon, Magnum)",
        "OS image Fedora CoreOS",
        _image("Fedora CoreOS"),
        _VAR_LIB,
        "poseidon/typhoon; openstack/magnum",
    ),
)


def platform(node: Node) -> Platform | None:
    """The platform that a node is of; None for those that are not known or move nothing."""
    return next((known for known in PLATFORMS if known.is_it(node)), None)
