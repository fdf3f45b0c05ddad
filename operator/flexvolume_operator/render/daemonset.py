"""The DaemonSet that installs one driver into one plugin directory, and the hashes that name it.

`revision` stands for what reaches the node, `template` for everything in the pod but its rivals,
`template_hash` for all of it. So a new image rolls out as a new driver, a new installer image or
another way to verify as a replacement of pods, and another FlexDriver's coming or going replaces
no pod that works.
"""

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from flexvolume_operator.model import names
from flexvolume_operator.model.flexdriver import (
    Affinity,
    FlexDriver,
    FlexDriverSpec,
    Placement,
    ResourceRequirements,
)
from flexvolume_operator.model.install import InstallFile, Reference
from flexvolume_operator.render import arguments, security
from flexvolume_operator.render.affinity import on_machines
from flexvolume_operator.render.gate import Place, gate
from flexvolume_operator.render.yaml import render_template

# The driver's own init runs within the limit of `install`; requests stay reserved for as long as
# the pod lives, as a pod asks for the most that any of its init containers does.
INSTALL_RESOURCES = ResourceRequirements(
    requests={"cpu": "10m", "memory": "16Mi"}, limits={"memory": "256Mi"}
)
GUARD_RESOURCES = ResourceRequirements(
    requests={"cpu": "1m", "memory": "8Mi"}, limits={"memory": "32Mi"}
)
# Of an image that runs by itself beside the guard for as long as the pod lives.
ENTRYPOINT_RESOURCES = ResourceRequirements(
    requests={"cpu": "1m", "memory": "8Mi"}, limits={"memory": "256Mi"}
)
# What stands for the content of each key of a ConfigMap or Secret. On a pod template everybody can
# read, so it must be nothing from which a content that is guessed can be recognised.
Contents = Mapping[Reference, str]
NO_CONTENTS: Contents = {}


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


def revision(spec: FlexDriverSpec, contents: Contents = NO_CONTENTS) -> str:
    """Ten hex digits for what reaches the node: another one means another driver to verify."""
    source = {"method": spec.install.method, "source": spec.source}
    files = [_content(file, contents) for file in spec.install.files]
    return _digest([spec.vendor, spec.driver, spec.image, source, *files])


def _content(file: InstallFile, contents: Contents) -> list[str]:
    found = file.reference
    if found is None:
        origin = ["image", file.image.path if file.image is not None else ""]
    else:
        origin = [found.kind, found.name, found.key, contents.get(found, "")]
    return [file.path, file.permissions, *origin]


def render(
    flexdriver: FlexDriver,
    place: Place,
    installer: Installer,
    rivals: Sequence[str] = (),
    contents: Contents = NO_CONTENTS,
) -> Rendered:
    """The DaemonSet of one FlexDriver for one plugin directory.

    `rivals` are the names of the other FlexDrivers with the same vendor and driver.
    """
    spec = flexdriver.spec
    current = revision(spec, contents)
    identity = (flexdriver.name, place.role, place.plugin_dir)
    name, labels = names.daemonset_name(*identity), names.child_labels(*identity)
    placement = _placement(spec, place)
    values = {
        "name": name,
        "names": names,
        "flexdriver": flexdriver,
        "spec": spec,
        "place": place,
        "installer": installer,
        "security": security,
        "arguments": {
            "install": arguments.install(flexdriver, place, current, rivals),
            "guard": arguments.guard(spec, place),
        },
        "files": arguments.FILES,
        "turn": arguments.TURN,
        "references": [
            (number, file.reference)
            for number, file in enumerate(spec.install.files)
            if file.reference is not None
        ],
        "labels": spec.pod_metadata.labels | labels,
        "selector": names.selector_labels(*identity),
        "pod_labels": spec.pod_metadata.labels | labels | {names.LABEL_REVISION: current},
        "node_selector": placement.node_selector | {"kubernetes.io/os": "linux"},
        "affinity": on_machines(placement.affinity, gate(place), spec.requirements.architectures),
        "tolerations": [toleration.wire() for toleration in placement.tolerations],
        "image_pull_secrets": [secret.wire() for secret in spec.image_pull_secrets],
        "selinux_options": spec.pod_security.se_linux_options.wire(),
        "resources": {
            "install": _resources(spec.resources.install, INSTALL_RESOURCES),
            "entrypoint": _resources(spec.resources.install, ENTRYPOINT_RESOURCES),
            "guard": _resources(spec.resources.guard, GUARD_RESOURCES),
        },
    }
    manifest = render_template("daemonset.yaml.j2", values)
    template, template_hash = _stamp(manifest)
    return Rendered(name, manifest, current, template, template_hash)


def _placement(spec: FlexDriverSpec, place: Place) -> Placement:
    """Where pods that use the driver may run says nothing of where controller-managers do."""
    if place.role == names.KUBELET:
        return spec.placement
    return Placement(priority_class_name=spec.placement.priority_class_name, affinity=Affinity())


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
        if command := container.get("command"):
            container["command"] = [a for a in command if not a.startswith(arguments.RIVAL)]
    return bare


def _digest(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:10]
