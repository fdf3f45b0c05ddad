"""What a real node's programs are told: kubelet, containerd and CNI settings, all pure text."""

import json
from collections.abc import Mapping

from testbed.layout import Layout
from testbed.plugindir import HOME, PluginDir
from testbed.state import Config

PAUSE = "localhost/pause:testbed"
SOCKET = "/run/containerd/containerd.sock"
MANIFESTS = "/etc/kubernetes/manifests"
KIND = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}

# The values that the kubelet wants to find; see node_start.sh.
KERNEL_SETTINGS = {
    "overcommit_memory": "1",
    "panic_on_oom": "0",
    "panic": "10",
    "panic_on_oops": "1",
    "root_maxkeys": "1000000",
    "root_maxbytes": "25000000",
}

# restrict_oom_score_adj: containers get no better score than their parent may give, so that
# this works for a root without CAP_SYS_RESOURCE, too.
CONTAINERD = f"""\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.tracing",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "/usr/sbin/runc"
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/var/lib/containerd/cni"
    max_conf_num = 1
"""


def cni(layout: Layout, index: int) -> str:
    """The pod network of the index-th node: a bridge inside the node, routed, not masqueraded.

    Addresses in use are kept where a power-off forgets them, as the pods are gone, too.
    """
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": "/run/cni",
            "ranges": [[{"subnet": str(layout.node_pods(index))}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}, indent=2)


def kubelet(
    layout: Layout, config: Config, node: str, index: int, directory: PluginDir
) -> Mapping[str, object]:
    """The KubeletConfiguration of a node."""
    return {
        **KIND,
        "address": str(layout.node_address(index)),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{HOME}/pki/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{HOME}/pki/kubelet.crt",
        "tlsPrivateKeyFile": f"{HOME}/pki/kubelet.key",
        "staticPodPath": MANIFESTS,
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup(node)}",
        "failCgroupV1": False,
        "failSwapOn": False,
        # A root without CAP_SYS_RESOURCE can neither lower the score nor raise the limit.
        "oomScoreAdj": 0,
        "maxOpenFiles": 20000,
        "makeIPTablesUtilChains": False,
        "resolvConf": "",
        # There is no DNS server; a look-up is refused at once and pods get no warning event.
        "clusterDNS": ["127.0.0.1"],
        "clusterDomain": "cluster.local",
        "serializeImagePulls": False,
        "maxPods": 200,
        # What production systems run with; it tells which volume plugins are loaded.
        "logging": {"verbosity": 2},
        # Images come from the machine and cannot be pulled again; a full disk of the machine
        # must not evict anybody's pods.
        "imageGCHighThresholdPercent": 100,
        "imageMinimumGCAge": "24h",
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
        },
        **({"volumePluginDir": directory.in_file} if directory.in_file else {}),
        # A sign of life is given four times in this time.
        **({"nodeLeaseDurationSeconds": config.node_grace} if config.node_grace else {}),
    }


def drop_in(directory: PluginDir) -> Mapping[str, object]:
    """What the file in --config-dir holds."""
    return {**KIND, "volumePluginDir": directory.in_drop_in}


def kubelet_flags(layout: Layout, node: str, index: int, directory: PluginDir) -> list[str]:
    """The kubelet's command line."""
    return [
        f"--config={HOME}/config.yaml",
        f"--kubeconfig={HOME}/kubeconfig",
        f"--hostname-override={node}",
        f"--node-ip={layout.node_address(index)}",
        *directory.flags,
    ]
