"""Policies that clusters have: what refuses pods, and what rewrites pods and DaemonSets."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

from testbed import ClusterError
from tests.support.kit import INSTALLERS, Kit, Object, until
from tests.support.paths import collection

MIRROR = "mirror.example/"
LABEL = {"policy.example/seen": "yes"}
TOLERATION = {"key": "policy.example/mirrored", "operator": "Exists"}


class Refusal(NamedTuple):
    """While `cause` is entered pods are refused, until the function that it yields is called.

    `spec` is what a FlexDriver has to say to be refused, `words` how the server's text begins.
    """

    cause: Callable[[Kit], AbstractContextManager[Callable[[], None]]]
    words: str
    remedy: str
    spec: Mapping[str, Any]


@contextmanager
def _pod_security(kit: Kit) -> Iterator[Callable[[], None]]:
    def enforce(level: str) -> None:
        label = f"pod-security.kubernetes.io/enforce={level}"
        kit.cluster.kubectl("label", "namespace", INSTALLERS, label, "--overwrite")

    enforce("baseline")
    try:
        yield lambda: enforce("privileged")
    finally:
        enforce("privileged")


@contextmanager
def _quota(kit: Kit) -> Iterator[Callable[[], None]]:
    def counted() -> bool:
        found = kit.get("resourcequota", "none", INSTALLERS) or {}
        return "hard" in found.get("status", {})

    def forget() -> None:
        kit.delete("resourcequota", "none", namespace=INSTALLERS)

    meta = {"name": "none", "namespace": INSTALLERS}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta}
    try:
        kit.apply(quota | {"spec": {"hard": {"pods": "0"}}})
        until(counted, 20, "the quota holds, which it does not before it has counted")
        yield forget
    finally:
        forget()


@contextmanager
def _priority_class(kit: Kit) -> Iterator[Callable[[], None]]:
    meta = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
    try:
        yield lambda: kit.apply(meta | {"metadata": {"name": "nowhere"}, "value": 1000})
    finally:
        kit.delete("priorityclass", "nowhere")


REFUSALS = {
    "Pod Security": Refusal(
        _pod_security,
        'violates PodSecurity "baseline:latest": ',
        f"label namespace {INSTALLERS} with pod-security.kubernetes.io/enforce=privileged",
        {},
    ),
    "ResourceQuota": Refusal(
        _quota,
        "exceeded quota: none, requested: pods=1, ",
        f"raise or delete that ResourceQuota in namespace {INSTALLERS}",
        {},
    ),
    "priority class": Refusal(
        _priority_class,
        "no PriorityClass with name nowhere was found",
        "create it, or set spec.placement.priorityClassName to one that exists",
        {"placement": {"priorityClassName": "nowhere"}},
    ),
}

_GROUP = "admissionregistration.k8s.io/v1"


def _matching(group: str, resource: str, *operations: str) -> Object:
    version = "v1alpha1" if group == "flexvolume.io" else "v1"
    rule = {"apiGroups": [group], "apiVersions": [version], "resources": [resource]}
    return {"resourceRules": [rule | {"operations": operations}]}


@contextmanager
def refusing_flexnodes(kit: Kit) -> Iterator[None]:
    """No FlexNode can be made or changed."""
    spec = {
        "matchConstraints": _matching("flexvolume.io", "flexnodes", "CREATE", "UPDATE"),
        "validations": [{"expression": "false", "message": "no FlexNodes here"}],
    }
    with _policy(
        kit, "ValidatingAdmissionPolicy", "no-flexnodes", spec, validationActions=["Deny"]
    ):
        probe = {
            "apiVersion": "flexvolume.io/v1alpha1",
            "kind": "FlexNode",
            "metadata": {"name": "probe"},
        }
        until(lambda: not _tried(kit, probe), 20, "the policy holds")
        yield


class Kind(NamedTuple):
    """What is rewritten: its API group, resource and operations, and where its pod's spec is."""

    group: str
    resource: str
    operations: tuple[str, ...]
    path: tuple[str, ...]

    @property
    def images(self) -> str:
        """CEL: the object with other images, and with a label on it and on its pods."""
        found, made = ".".join(("object", *self.path)), ".".join(("Object", *self.path))
        lists = (
            f"{name}: {found}.{name}.map(c, {made}.{name}{{name: c.name, "
            f'image: c.image.replace("localhost/", "{MIRROR}")}})'
            for name in ("initContainers", "containers")
        )
        text = f"{made}{{{', '.join(lists)}}}"
        for depth in reversed(range(len(self.path))):
            parent = ".".join(("Object", *self.path[:depth]))
            labels = f"metadata: {parent}.metadata{{labels: {json.dumps(LABEL)}}}, "
            has_metadata = self.path[depth] == "spec"
            text = f"{parent}{{{labels if has_metadata else ''}{self.path[depth]}: {text}}}"
        return text

    @property
    def toleration(self) -> str:
        """CEL: a JSON patch with one toleration more, once."""
        found, made = ".".join(("object", *self.path)), ".".join(("Object", *self.path))
        key = TOLERATION["key"]
        return (
            f'{found}.tolerations.exists(t, has(t.key) && t.key == "{key}") ? [] : '
            f'[JSONPatch{{op: "add", path: "/{"/".join(self.path)}/tolerations/-", '
            f'value: {made}.tolerations{{key: "{key}", operator: "Exists"}}}}]'
        )


REWRITTEN = {
    "DaemonSet": Kind("apps", "daemonsets", ("CREATE", "UPDATE"), ("spec", "template", "spec")),
    "Pod": Kind("", "pods", ("CREATE",), ("spec",)),
}


@contextmanager
def rewriting(kit: Kit, kind: str, driver: str) -> Iterator[None]:
    """Give the driver's DaemonSet, or its pods, other images, a label and a toleration."""
    what = REWRITTEN[kind]
    chosen = {"objectSelector": {"matchLabels": {"flexvolume.io/driver": driver}}}
    spec = {
        "matchConstraints": _matching(what.group, what.resource, *what.operations) | chosen,
        "failurePolicy": "Fail",
        "reinvocationPolicy": "IfNeeded",
        "mutations": [
            {
                "patchType": "ApplyConfiguration",
                "applyConfiguration": {"expression": what.images},
            },
            {"patchType": "JSONPatch", "jsonPatch": {"expression": what.toleration}},
        ],
    }
    with _policy(kit, "MutatingAdmissionPolicy", driver, spec):
        probe = _probe(kind, driver)
        until(lambda: MIRROR in _tried(kit, probe), 20, f"{kind}s are rewritten")
        yield


def _probe(kind: str, driver: str) -> Object:
    """A DaemonSet or pod of the driver, as far as the policy looks at it."""
    meta = {"name": "probe", "namespace": INSTALLERS, "labels": {"flexvolume.io/driver": driver}}
    container = {"name": "a", "image": "localhost/a:b"}
    pod = {
        "containers": [container],
        "initContainers": [container | {"name": "b"}],
        "tolerations": [{"operator": "Exists"}],
    }
    template = {"metadata": {"labels": meta["labels"]}, "spec": pod}
    daemonset = {"selector": {"matchLabels": meta["labels"]}, "template": template}
    spec, version = (pod, "v1") if kind == "Pod" else (daemonset, "apps/v1")
    return {"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec}


@contextmanager
def _policy(kit: Kit, kind: str, name: str, spec: Object, **binding: Any) -> Iterator[None]:
    head = {"apiVersion": _GROUP, "metadata": {"name": name}}
    try:
        kit.apply(
            head | {"kind": kind, "spec": spec},
            head | {"kind": f"{kind}Binding", "spec": {"policyName": name, **binding}},
        )
        yield
    finally:
        kit.delete(f"{kind}Binding", name)
        kit.delete(kind, name)


def _tried(kit: Kit, body: Object) -> str:
    """What would be stored of the object; empty when it is refused."""
    where = collection(body["kind"], body["metadata"].get("namespace", ""))
    try:
        return json.dumps(kit.request("POST", f"{where}?dryRun=All", body))
    except ClusterError:
        return ""
