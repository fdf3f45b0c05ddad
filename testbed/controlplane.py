"""etcd, API server, controller-manager and scheduler, as processes of this machine."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import yaml

from testbed import controllers, processes
from testbed.api import connect
from testbed.certificates import Authority
from testbed.controllers import CONTROLLER_MANAGER, SCHEDULER, Places
from testbed.layout import Layout
from testbed.shell import ClusterError, tail, until
from testbed.state import Config

CLIENTS = {
    "admin": ("testbed-admin", ("system:masters",)),
    CONTROLLER_MANAGER: (f"system:{CONTROLLER_MANAGER}", ()),
    SCHEDULER: (f"system:{SCHEDULER}", ()),
    "kwok": ("kwok", ("system:masters",)),
}

# What is up when the API is.
API = ("etcd", "kube-apiserver")

# Answers are logged, not arrivals. Reads of the system's own components would be most of the
# file and tell nothing; requests of ServiceAccounts and people are all there.
AUDIT_POLICY: Mapping[str, object] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted", "Panic"],
    "omitManagedFields": True,
    "rules": [
        {
            "level": "None",
            "users": [
                "system:apiserver",
                "system:kube-controller-manager",
                "system:kube-scheduler",
                "kwok",
            ],
            "verbs": ["get", "list", "watch"],
        },
        {"level": "None", "userGroups": ["system:nodes"], "verbs": ["get", "list", "watch"]},
        {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*"]},
        {"level": "Metadata"},
    ],
}


def create_identities(layout: Layout) -> Authority:
    """Make the authority, the server's certificate and a kubeconfig for each component."""
    authority = Authority.create(layout.pki)
    service = "kubernetes.default.svc"
    authority.issue(
        layout.pki / "apiserver",
        "kube-apiserver",
        names=[
            "localhost",
            "kubernetes",
            "kubernetes.default",
            service,
            f"{service}.cluster.local",
        ],
        addresses=[layout.api_address, layout.gateway],
    )
    authority.issue(layout.pki / "kubelet-client", "kube-apiserver", ["system:masters"])
    for name, (user, groups) in CLIENTS.items():
        authority.issue(layout.pki / name, user, groups)
        authority.kubeconfig(
            kubeconfig(layout, name), layout.name, server(layout), layout.pki / name
        )
    return authority


def server(layout: Layout) -> str:
    """The address of the API server."""
    return f"https://{layout.api_address}:443"


def kubeconfig(layout: Layout, client: str) -> Path:
    """Where the kubeconfig of a component lies; the administrator's is `admin`."""
    return layout.state / f"{client}.kubeconfig"


def start_api(layout: Layout, programs: Path, roles: Collection[str] = API) -> None:
    """Start etcd and the API server, or one of the two; returns at once."""
    (layout.state / "audit-policy.yaml").write_text(yaml.safe_dump(dict(AUDIT_POLICY)))
    if "etcd" in roles:
        _start(layout, programs, "etcd", _etcd(layout))
    if "kube-apiserver" in roles:
        _start(layout, programs, "kube-apiserver", _apiserver(layout))


def start_controllers(layout: Layout, programs: Path, config: Config) -> None:
    """Start controller-manager and scheduler; they need a ready API server."""
    start_controller_manager(layout, programs, config)
    _start(layout, programs, SCHEDULER, controllers.scheduler(_places(layout, SCHEDULER)))


def start_controller_manager(layout: Layout, programs: Path, config: Config) -> None:
    """Start the controller-manager as a process of this machine."""
    own = layout.state / "controller-manager-plugins"
    flexvolume_dir = Path(config.controller_manager_plugin_dir or own)
    flexvolume_dir.mkdir(parents=True, exist_ok=True)
    places = _places(layout, CONTROLLER_MANAGER)
    flags = controllers.controller_manager(places, str(flexvolume_dir), config.node_grace)
    _start(layout, programs, CONTROLLER_MANAGER, flags)


def wait_for_api(layout: Layout) -> None:
    """Return when the API server says it is ready."""

    def ready() -> bool:
        for role in API:
            check(layout, role)
        with connect(layout) as api:
            return api.is_ready()

    try:
        until(ready, 60, "the API server is ready")
    except ClusterError as problem:
        log = layout.logs / "kube-apiserver.log"
        raise ClusterError(f"{problem}\n{log} ends with:\n{tail(log)}") from None


def check(layout: Layout, role: str) -> None:
    """Raise ClusterError with the end of its log if a component does not run."""
    if processes.has_stopped(layout.state, role):
        log = layout.logs / f"{role.replace('/', '-')}.log"
        raise ClusterError(f"{role} has stopped; {log} ends with:\n{tail(log)}")


def _start(layout: Layout, programs: Path, role: str, flags: Sequence[str]) -> None:
    processes.start(layout.state, role, [str(programs / role), *flags], layout.logs / f"{role}.log")


def _etcd(layout: Layout) -> Sequence[str]:
    client, peer = f"http://{layout.loopback}:2379", f"http://{layout.loopback}:2380"
    return [
        "--name=testbed",
        f"--data-dir={layout.state}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=testbed={peer}",
        "--unsafe-no-fsync",
        "--watch-progress-notify-interval=5s",
        "--log-level=warn",
    ]


def _apiserver(layout: Layout) -> Sequence[str]:
    pki = layout.pki
    return [
        f"--etcd-servers=http://{layout.loopback}:2379",
        f"--bind-address={layout.api_address}",
        f"--advertise-address={layout.api_address}",
        "--secure-port=443",
        f"--service-cluster-ip-range={layout.services}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--kubelet-client-certificate={pki}/kubelet-client.crt",
        f"--kubelet-client-key={pki}/kubelet-client.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        f"--audit-policy-file={layout.state}/audit-policy.yaml",
        f"--audit-log-path={layout.logs}/audit.log",
        "--audit-log-maxsize=10000",
        "--profiling=false",
    ]


def _places(layout: Layout, name: str) -> Places:
    return Places(str(kubeconfig(layout, name)), str(layout.pki), layout.loopback)
