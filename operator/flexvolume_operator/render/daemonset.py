"""The DaemonSet that installs one driver into one plugin directory, and the hashes that name it.

`revision` stands for the driver's content, `template` for everything in the pod but its rivals,
`template_hash` for all of it. So a new image rolls out as a new driver, a new installer image as a
replacement of pods, and another FlexDriver's coming or going replaces no pod that works.
"""

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from flexvolume_operator.model import names
from flexvolume_operator.model.flexdriver import FlexDriver, FlexDriverSpec, ResourceRequirements
from flexvolume_operator.model.names import PluginDir
from flexvolume_operator.render.affinity import on_machines
from flexvolume_operator.render.yaml import render_template

# The driver's own init runs within the limit of `install`; requests stay reserved for as long as
# the pod lives, as a pod asks for the most that any of its init containers does.
INSTALL_RESOURCES = ResourceRequirements(
    requests={"cpu": "10m", "memory": "16Mi"}, limits={"memory": "256Mi"}
)
GUARD_RESOURCES = ResourceRequirements(
    requests={"cpu": "1m", "memory": "8Mi"}, limits={"memory": "32Mi"}
)
_RIVAL = "--rival="


@dataclass(frozen=True, slots=True)
class Installer:
    """What the operator's settings say about installer pods."""

    namespace: str
    image: str
    pull_policy: str = "IfNotPresent"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A DaemonSet's manifest and its hashes, ten hex digits each."""

    name: str
    manifest: dict[str, Any]
    revision: str
    template: str
    template_hash: str


def revision(spec: FlexDriverSpec) -> str:
    """Ten hex digits for what reaches the node: another one means another driver to verify."""
    return _digest(
        [spec.vendor, spec.driver, spec.image, spec.install.wire() | {"source": spec.source}]
    )


def render(
    flexdriver: FlexDriver, plugin_dir: PluginDir, installer: Installer, rivals: Sequence[str] = ()
) -> Rendered:
    """The DaemonSet of one FlexDriver for one plugin directory.

    `rivals` are the names of the other FlexDrivers with the same vendor and driver.
    """
    spec = flexdriver.spec
    current = revision(spec)
    identity = (flexdriver.name, names.KUBELET, plugin_dir.path)
    name, labels = names.daemonset_name(*identity), names.child_labels(*identity)
    values = {
        "name": name,
        "names": names,
        "flexdriver": flexdriver,
        "spec": spec,
        "plugin_dir": plugin_dir.path,
        "installer": installer,
        "rivals": sorted(rivals),
        "revision": current,
        "labels": spec.pod_metadata.labels | labels,
        "selector": names.selector_labels(*identity),
        "pod_labels": spec.pod_metadata.labels | labels | {names.LABEL_REVISION: current},
        "node_selector": spec.placement.node_selector | {"kubernetes.io/os": "linux"},
        "affinity": on_machines(spec.placement.affinity),
        "tolerations": [toleration.wire() for toleration in spec.placement.tolerations],
        "image_pull_secrets": [secret.wire() for secret in spec.image_pull_secrets],
        "selinux_options": spec.pod_security.se_linux_options.wire(),
        "install_resources": _resources(spec.resources.install, INSTALL_RESOURCES),
        "guard_resources": _resources(spec.resources.guard, GUARD_RESOURCES),
    }
    manifest = render_template("daemonset.yaml.j2", values)
    template, template_hash = _stamp(manifest)
    return Rendered(name, manifest, current, template, template_hash)


def render_daemonset(
    flexdriver: FlexDriver, plugin_dir: PluginDir, installer: Installer, rivals: Sequence[str] = ()
) -> dict[str, Any]:
    """The manifest alone."""
    return render(flexdriver, plugin_dir, installer, rivals).manifest


def _resources(wanted: ResourceRequirements, default: ResourceRequirements) -> dict[str, Any]:
    """All of the user's or all of ours: mixed, a limit could lie below a request."""
    chosen = wanted if wanted.requests or wanted.limits else default
    return {key: value for key, value in chosen.wire().items() if value}


def _stamp(manifest: dict[str, Any]) -> tuple[str, str]:
    """Write the hashes of the pod template into it, which no template can do by itself."""
    pod = manifest["spec"]["template"]
    template = _digest(_without_rivals(pod))
    template_hash = _digest(pod)
    pod["metadata"]["labels"][names.LABEL_TEMPLATE] = template
    for metadata in (manifest["metadata"], pod["metadata"]):
        metadata["annotations"][names.ANNOTATION_TEMPLATE_HASH] = template_hash
    return template, template_hash


def _without_rivals(pod: dict[str, Any]) -> dict[str, Any]:
    bare = copy.deepcopy(pod)
    for container in bare["spec"]["initContainers"]:
        container["command"] = [a for a in container["command"] if not a.startswith(_RIVAL)]
    return bare


def _digest(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:10]
