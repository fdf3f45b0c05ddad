"""Where the API has the kinds that tests ask for: to start kubectl costs a hundred times more."""

from collections.abc import Mapping
from typing import Any

_GROUPS = {
    "configmaps": "/api/v1",
    "daemonsets": "/apis/apps/v1",
    "deployments": "/apis/apps/v1",
    "events": "/api/v1",
    "flexdrivers": "/apis/flexvolume.io/v1alpha1",
    "flexnodes": "/apis/flexvolume.io/v1alpha1",
    "leases": "/apis/coordination.k8s.io/v1",
    "mutatingadmissionpolicies": "/apis/admissionregistration.k8s.io/v1",
    "mutatingadmissionpolicybindings": "/apis/admissionregistration.k8s.io/v1",
    "namespaces": "/api/v1",
    "nodes": "/api/v1",
    "persistentvolumeclaims": "/api/v1",
    "persistentvolumes": "/api/v1",
    "pods": "/api/v1",
    "priorityclasses": "/apis/scheduling.k8s.io/v1",
    "resourcequotas": "/api/v1",
    "secrets": "/api/v1",
    "serviceaccounts": "/api/v1",
    "validatingadmissionpolicies": "/apis/admissionregistration.k8s.io/v1",
    "validatingadmissionpolicybindings": "/apis/admissionregistration.k8s.io/v1",
}
_OF_THE_CLUSTER = {
    "flexdrivers",
    "flexnodes",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
    "namespaces",
    "nodes",
    "persistentvolumes",
    "priorityclasses",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
}


def collection(kind: str, namespace: str = "") -> str:
    """The path of all objects of a kind, in one namespace or in all of them."""
    plural = kind if kind in _GROUPS else _plural(kind.lower())
    return _path(_GROUPS[plural], plural, namespace)


def place(body: Mapping[str, Any]) -> str:
    """The path of the object that a manifest describes."""
    version, meta = body["apiVersion"], body["metadata"]
    group = f"/apis/{version}" if "/" in version else f"/api/{version}"
    plural = _plural(body["kind"].lower())
    return f"{_path(group, plural, meta.get('namespace', 'default'))}/{meta['name']}"


def _path(group: str, plural: str, namespace: str) -> str:
    if plural in _OF_THE_CLUSTER or not namespace:
        return f"{group}/{plural}"
    return f"{group}/namespaces/{namespace}/{plural}"


def _plural(kind: str) -> str:
    if kind.endswith("y"):
        return f"{kind[:-1]}ies"
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"
