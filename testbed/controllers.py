"""What controller-manager and scheduler are told, wherever the former runs."""

from collections.abc import Sequence
from dataclasses import dataclass

CONTROLLER_MANAGER = "kube-controller-manager"
SCHEDULER = "kube-scheduler"

# All of them would take 4 s longer to start.
CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "ephemeral-volume-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "persistentvolume-attach-detach-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
    "taint-eviction-controller",
)


@dataclass(frozen=True)
class Places:
    """Where a component finds its kubeconfig and the cluster's keys, and where it listens."""

    kubeconfig: str
    pki: str
    address: str


def scheduler(places: Places) -> Sequence[str]:
    """The scheduler's flags."""
    return _common(places)


def controller_manager(
    places: Places, plugin_dir: str | None, node_grace: int = 0
) -> Sequence[str]:
    """The controller-manager's flags; without `plugin_dir` it looks in its default directory."""
    pki = places.pki
    grace = [f"--node-monitor-grace-period={node_grace}s", "--node-monitor-period=1s"]
    return [
        *_common(places),
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki}/sa.key",
        f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        *([] if plugin_dir is None else [f"--flex-volume-plugin-dir={plugin_dir}"]),
        f"--controllers={','.join(CONTROLLERS)}",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        *(grace if node_grace else []),
    ]


def _common(places: Places) -> Sequence[str]:
    return [
        f"--kubeconfig={places.kubeconfig}",
        f"--authentication-kubeconfig={places.kubeconfig}",
        "--authentication-skip-lookup=true",
        f"--authorization-kubeconfig={places.kubeconfig}",
        f"--bind-address={places.address}",
        "--leader-elect=false",
    ]
