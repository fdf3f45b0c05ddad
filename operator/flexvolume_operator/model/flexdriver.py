"""A FlexDriver as the operator reads it.

The schema in crds/ is what users meet; these models follow it field by field, with the same
defaults, because `render -f FILE` reads files that no API server has seen.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from flexvolume_operator.model import names
from flexvolume_operator.model.fields import SUBDOMAIN, Model, matching
from flexvolume_operator.model.install import (
    Install,
    InstallFile,
    Reference,
    Requirements,
    Verify,
)

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")
DriverName = Annotated[
    str,
    matching(
        re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"),
        "must be 1 to 63 of A-Z a-z 0-9 . _ - and begin and end with a letter or digit",
    ),
]


def _vendor(value: str) -> str:
    if len(value) > 253 or not SUBDOMAIN.fullmatch(value):
        raise ValueError("must be a DNS-1123 subdomain in lower case, for example example.com")
    if value == "kubernetes.io" or value.endswith(".kubernetes.io"):
        raise ValueError("kubernetes.io is reserved for Kubernetes itself; use your own domain")
    return value


def _plugin_dir(value: str) -> str:
    return names.normalise_plugin_dir(value) if value else ""


def _image(value: str) -> str:
    if not value or _BLANK.search(value):
        raise ValueError(
            "must name an image, such as registry.example/nfs-flex:1.4, without blanks"
        )
    return value


def _quantity(value: object) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


Quantities = dict[str, Annotated[str, BeforeValidator(_quantity)]]


class LocalObjectReference(Model):
    """Name of a Secret in the installer namespace."""

    name: Annotated[str, Field(min_length=1)]


class ControllerManagerSpec(Model):
    """Whether and where the driver is installed for kube-controller-manager, too."""

    policy: Literal["Auto", "Always", "Never"] = "Auto"
    plugin_dir: Annotated[str, AfterValidator(_plugin_dir)] = ""


class Requirement(Model):
    """One node selector requirement; `operator` is In, NotIn, Exists, DoesNotExist, Gt or Lt."""

    key: str
    operator: str
    values: list[str] | None = None


class NodeSelectorTerm(Model):
    """Requirements that must all hold; a term without any matches no node."""

    match_expressions: list[Requirement] | None = None
    match_fields: list[Requirement] | None = None


class NodeSelector(Model):
    """Terms of which one must hold."""

    node_selector_terms: list[NodeSelectorTerm]


class NodeAffinity(Model):
    """Node affinity; what is only preferred does not matter to a DaemonSet and passes through."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: list[dict[str, Any]] | None = None


class Affinity(Model):
    """Pod affinities are the scheduler's business and pass through as they are."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: dict[str, Any] | None = None
    pod_anti_affinity: dict[str, Any] | None = None


class Toleration(Model):
    """As in a pod; an empty operator means Equal, an empty effect means all."""

    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None
    toleration_seconds: StrictInt | None = None


class Placement(Model):
    """Which nodes get the driver."""

    node_selector: dict[str, str] = {}
    affinity: Affinity = Affinity()
    tolerations: list[Toleration] = [Toleration(operator="Exists")]
    priority_class_name: str = "system-node-critical"


class PodMetadata(Model):
    """Extra labels and annotations for the installer pods."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class SELinuxOptions(Model):
    """As in a pod; without the type spc_t an SELinux host denies the write."""

    level: str | None = None
    role: str | None = None
    type: str | None = None
    user: str | None = None


class PodSecurity(Model):
    """What a platform may need changed in the pods' security context."""

    se_linux_options: SELinuxOptions = SELinuxOptions(type="spc_t")


class ResourceRequirements(Model):
    """As in a container, without claims."""

    requests: Quantities = {}
    limits: Quantities = {}


class Resources(Model):
    """Resources per container; an empty one means the operator's small defaults."""

    install: ResourceRequirements = ResourceRequirements()
    guard: ResourceRequirements = ResourceRequirements()


class FlexDriverSpec(Model):
    """The spec of a FlexDriver with every default filled in."""

    vendor: Annotated[str, AfterValidator(_vendor)]
    driver: DriverName
    image: Annotated[str, AfterValidator(_image)]
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: list[LocalObjectReference] = []
    install: Install = Install()
    adoption_policy: Literal["IfIdentical", "Always", "Never"] = "IfIdentical"
    dry_run: StrictBool = False
    requirements: Requirements = Requirements()
    plugin_dir: Annotated[str, AfterValidator(_plugin_dir)] = ""
    controller_manager: ControllerManagerSpec = ControllerManagerSpec()
    verify: Verify = Verify()
    placement: Placement = Placement()
    pod_metadata: PodMetadata = PodMetadata()
    pod_security: PodSecurity = PodSecurity()
    resources: Resources = Resources()
    suspend: StrictBool = False

    @property
    def source(self) -> str:
        """Where install finds the driver; by default by its own name in the image's root."""
        if self.install.method == "Entrypoint":
            return f"{names.FLEXMNT}/{self.vendor}~{self.driver}/{self.driver}"
        return self.install.source or f"/{self.driver}"

    @property
    def references(self) -> dict[str, Reference]:
        """The keys of ConfigMaps and Secrets that its files are of, by the field that says so."""
        found = (_reference(number, file) for number, file in enumerate(self.install.files))
        return dict(pair for pair in found if pair is not None)

    @property
    def driver_name(self) -> str:
        """`<vendor>/<driver>`, as a pod's volume names it; equal ones are rivals on a node."""
        return f"{self.vendor}/{self.driver}"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the operator needs of an object's metadata, readable even when its spec is not."""

    name: str
    uid: str
    generation: int
    deletion_timestamp: str
    finalizers: tuple[str, ...]
    annotations: Mapping[str, str]

    @property
    def deleting(self) -> bool:
        """True once somebody has deleted the object."""
        return bool(self.deletion_timestamp)


@dataclass(frozen=True, slots=True)
class FlexDriver:
    """One FlexDriver with a valid spec."""

    metadata: Metadata
    spec: FlexDriverSpec

    @property
    def name(self) -> str:
        """The object's name, which is also its label value on children."""
        return self.metadata.name

    @property
    def uid(self) -> str:
        """The object's uid; another one after delete and re-create."""
        return self.metadata.uid

    @property
    def driver_name(self) -> str:
        """See FlexDriverSpec.driver_name."""
        return self.spec.driver_name

    @property
    def force(self) -> bool:
        """Whether its directory is insisted on where the kubelet has another one."""
        return names.ANNOTATION_FORCE_PLUGIN_DIR in self.metadata.annotations


class InvalidFlexDriver(ValueError):
    """A FlexDriver that cannot be meant: which field, what it says, what is right."""

    def __init__(self, field: str, value: object, right: str) -> None:
        super().__init__(f"{field}: {_shown(value)}: {right}")
        self.field, self.value, self.right = field, value, right


def parse_metadata(body: Mapping[str, Any]) -> Metadata:
    """The metadata of any object, as read from the API or from a file."""
    metadata: Mapping[str, Any] = body.get("metadata") or {}
    return Metadata(
        name=metadata.get("name", ""),
        uid=metadata.get("uid", ""),
        generation=metadata.get("generation", 0),
        deletion_timestamp=metadata.get("deletionTimestamp") or "",
        finalizers=tuple(metadata.get("finalizers") or ()),
        annotations=dict(metadata.get("annotations") or {}),
    )


def parse_flexdriver(body: Mapping[str, Any]) -> FlexDriver:
    """A FlexDriver from its body. Raises InvalidFlexDriver for the first thing that is wrong."""
    for field, right in (("apiVersion", names.API_VERSION), ("kind", "FlexDriver")):
        if body.get(field) != right:
            raise InvalidFlexDriver(field, body.get(field), f"must be {right}")
    metadata = parse_metadata(body)
    if not _NAME.fullmatch(metadata.name):
        right = "must be 1 to 40 of a-z 0-9 - and begin and end with a letter or digit"
        raise InvalidFlexDriver("metadata.name", metadata.name, right)
    try:
        spec = FlexDriverSpec.model_validate(body.get("spec"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidFlexDriver(_path(first["loc"]), first["input"], _right(first["msg"])) from None
    for field, value, right in _contradictions(spec):
        raise InvalidFlexDriver(f"spec.{field}", value, right)
    return FlexDriver(metadata, spec)


def _reference(number: int, file: InstallFile) -> tuple[str, Reference] | None:
    reference = file.reference
    if reference is None:
        return None
    kind = "configMapKeyRef" if reference.kind == "ConfigMap" else "secretKeyRef"
    return f"spec.install.files[{number}].{kind}", reference


def _contradictions(spec: FlexDriverSpec) -> Iterator[tuple[str, object, str]]:
    """Values that are right by themselves and not together: field, value, what is right."""
    yield from _of_install(spec)
    if spec.verify.policy == "Skip":
        yield from _of_skip(spec)


def _of_install(spec: FlexDriverSpec) -> Iterator[tuple[str, object, str]]:
    install, seen = spec.install, {spec.driver}
    entrypoint = install.method == "Entrypoint"
    if entrypoint and install.source is not None:
        yield "install.source", install.source, _NO_SOURCE
    for number, file in enumerate(install.files):
        field = f"install.files[{number}]"
        if file.path in seen:
            yield f"{field}.path", file.path, _ANOTHER_NAME
        if entrypoint and file.image is not None:
            yield f"{field}.image", file.image.path, _NOT_WITH_ENTRYPOINT
        seen.add(file.path)


def _of_skip(spec: FlexDriverSpec) -> Iterator[tuple[str, object, str]]:
    if spec.dry_run:
        yield "dryRun", True, f"must be false {_WITH_SKIP}"
    if spec.adoption_policy == "Always":
        yield "adoptionPolicy", "Always", f"must be IfIdentical or Never {_WITH_SKIP}"
    for name in ("commands", "kernel_modules", "paths"):
        if value := getattr(spec.requirements, name):
            yield f"requirements.{to_camel(name)}", value, f"must be empty {_WITH_SKIP}"


_ANOTHER_NAME = "must be another name than the driver's own and those of the other files"
_NOT_WITH_ENTRYPOINT = (
    "is a source for method Copy only: with Entrypoint take files from a configMapKeyRef or a "
    "secretKeyRef"
)
_NO_SOURCE = (
    "must be left out with method Entrypoint: there the image itself copies its driver to "
    "/flexmnt/<vendor>~<driver>/<driver>"
)
_WITH_SKIP = (
    "with verify.policy Skip, as only the plugin directory of the node is visible then; use "
    "Enforce or Warn"
)


def _path(location: tuple[int | str, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "spec" + "".join(steps)


def _right(message: str) -> str:
    if message.startswith("Extra inputs"):
        return "this operator knows no such field"
    text = message.removeprefix("Value error, ").replace("Input should", "should")
    return text[:1].lower() + text[1:]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."
