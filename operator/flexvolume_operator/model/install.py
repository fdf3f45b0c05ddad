"""How a driver comes out of its image, what lies beside it, and what it needs of a node."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from flexvolume_operator.model.fields import CONTROL, SUBDOMAIN, Model, PathInImage, matching

SourceKind = Literal["ConfigMap", "Secret"]

FileName = Annotated[
    str,
    matching(
        re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}"),
        "must be a plain file name such as nfs.conf: letters, digits, '-', '_' and '.', not "
        "starting with '-' or '.'",
    ),
]
Mode = Annotated[
    str,
    matching(
        re.compile(r"0[0-7]{3}"),
        'must be four octal digits, at most 0777, in quotes, such as "0755"',
    ),
]
Key = Annotated[
    str,
    matching(
        re.compile(r"[-._A-Za-z0-9]{1,253}"),
        "must be a key such as nfs.conf: letters, digits, '-', '_' and '.'",
    ),
]
Command = Annotated[
    str,
    matching(
        re.compile(r"[^/\s\x00-\x1f\x7f-\x9f]+"),
        "must be a name such as mount.nfs, without '/' and spaces; for a file at a fixed place "
        "use requirements.paths",
    ),
]
KernelModule = Annotated[
    str,
    matching(
        re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}"),
        "must be a name as lsmod shows it, such as dm_multipath: letters, digits, '-' and '_'",
    ),
]


@dataclass(frozen=True, slots=True)
class Reference:
    """A key of a ConfigMap or Secret in the installer namespace."""

    kind: SourceKind
    name: str
    key: str


def _object(value: str) -> str:
    if len(value) > 253 or not SUBDOMAIN.fullmatch(value):
        raise ValueError(
            "must be the name of an object in the installer namespace: lower-case letters, digits, "
            "'-' and '.'"
        )
    return value


def _on_node(value: str) -> str:
    if not value.startswith("/") or CONTROL.search(value):
        raise ValueError(
            "must be an absolute path of the node such as /etc/multipath.conf, without control "
            "characters"
        )
    return value


class ImageFile(Model):
    """A file of the driver's image."""

    path: PathInImage


class KeyRef(Model):
    """A key of an object in the installer namespace."""

    name: Annotated[str, AfterValidator(_object)]
    key: Key


class InstallFile(Model):
    """A file that lies beside the driver, from exactly one source."""

    path: FileName
    mode: Mode | None = None
    image: ImageFile | None = None
    config_map_key_ref: KeyRef | None = None
    secret_key_ref: KeyRef | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "InstallFile":
        sources = (self.image, self.config_map_key_ref, self.secret_key_ref)
        if sum(source is not None for source in sources) != 1:
            raise ValueError("must have exactly one of image, configMapKeyRef and secretKeyRef")
        return self

    @property
    def permissions(self) -> str:
        """Its mode; what comes from a Secret is nobody else's to read."""
        return self.mode or ("0600" if self.secret_key_ref is not None else "0755")

    @property
    def reference(self) -> Reference | None:
        """Where its content is kept in the cluster; None for a file of the image."""
        if self.config_map_key_ref is not None:
            ref = self.config_map_key_ref
            return Reference("ConfigMap", ref.name, ref.key)
        if self.secret_key_ref is not None:
            return Reference("Secret", self.secret_key_ref.name, self.secret_key_ref.key)
        return None


class Install(Model):
    """How the driver comes out of its image: an empty source is the driver's own name."""

    method: Literal["Copy", "Entrypoint"] = "Copy"
    source: PathInImage | None = None
    files: list[InstallFile] = []


class Verify(Model):
    """How the driver is asked to prove itself before the kubelet can see it."""

    policy: Literal["Enforce", "Warn", "Skip"] = "Enforce"
    context: Literal["Host", "HostPrivileged"] = "Host"
    timeout_seconds: Annotated[int, Field(strict=True, ge=1, le=300)] = 30


Architecture = Literal["386", "amd64", "arm", "arm64", "loong64", "ppc64le", "riscv64", "s390x"]


class Requirements(Model):
    """What must be there on a node for the driver to be of use."""

    commands: list[Command] = []
    kernel_modules: list[KernelModule] = []
    paths: list[Annotated[str, AfterValidator(_on_node)]] = []
    architectures: list[Architecture] = []
