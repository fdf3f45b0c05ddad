"""Every name the operator gives away: labels, annotations, children, paths.

They live in objects, on nodes and in other people's queries, so they are made in one place and
chosen to last.
"""

import hashlib
import posixpath
import re
from dataclasses import dataclass
from typing import Literal

GROUP = "flexvolume.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

FINALIZER = f"{GROUP}/cleanup"
FIELD_MANAGER = "flexvolume-operator"
STATUS_FIELD_MANAGER = "flexvolume-operator-status"
SERVICE_ACCOUNT = "flexvolume-installer"
DEFAULT_PLUGIN_DIR = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"

LABEL_APP = "app.kubernetes.io/name"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_DRIVER = f"{GROUP}/driver"
LABEL_ROLE = f"{GROUP}/role"
LABEL_DIRECTORY = f"{GROUP}/directory"
LABEL_REVISION = f"{GROUP}/revision"
LABEL_TEMPLATE = f"{GROUP}/template"
LABEL_STATE = f"{GROUP}/state"
ANNOTATION_TEMPLATE_HASH = f"{GROUP}/template-hash"
ANNOTATION_ASKED_AGAIN = f"{GROUP}/asked-again"

APP = "flexvolume-installer"
MANAGER = "flexvolume-operator"
INSTALLER_SELECTOR = f"{LABEL_APP}={APP},{LABEL_MANAGED_BY}={MANAGER}"

Role = Literal["kubelet", "controller-manager"]
KUBELET: Role = "kubelet"
_ROLE_IN_NAMES: dict[Role, str] = {"kubelet": "kubelet", "controller-manager": "kcm"}

Source = Literal["Override", "Flag", "Default"]

# Labels of nodes that some service pretends to be: nothing can be installed there.
VIRTUAL_NODES = (
    ("type", "virtual-kubelet"),
    ("eks.amazonaws.com/compute-type", "fargate"),
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class PluginDir:
    """A normalised plugin directory and where it is known from."""

    path: str
    source: Source


class InvalidPluginDir(ValueError):
    """Says what is right for a plugin directory."""


def normalise_plugin_dir(path: str) -> str:
    """The one spelling of a plugin directory, so that equal directories have equal hashes.

    Raises InvalidPluginDir.
    """
    if not path.startswith("/") or _CONTROL.search(path):
        raise InvalidPluginDir("must be an absolute path without control characters")
    if "~" in path or "//" in path or {".", ".."} & set(path.split("/")):
        raise InvalidPluginDir("must not contain '.' or '..' as a step, nor '~' or '//'")
    normal = posixpath.normpath(path)
    if normal == "/":
        raise InvalidPluginDir("must be a directory below /")
    return normal


def directory_hash(plugin_dir: str) -> str:
    """Eight hex digits that stand for a normalised plugin directory in names and labels."""
    return hashlib.sha256(plugin_dir.encode()).hexdigest()[:8]


def daemonset_name(flexdriver: str, role: Role, plugin_dir: str) -> str:
    """`<flexdriver>-<role>-<directory>`: at most 57 characters, as pods add a suffix of 6."""
    return f"{flexdriver}-{_ROLE_IN_NAMES[role]}-{directory_hash(plugin_dir)}"


def selector_labels(flexdriver: str, role: Role, plugin_dir: str) -> dict[str, str]:
    """The labels that a DaemonSet selects its pods by; immutable once created."""
    return {
        LABEL_DRIVER: flexdriver,
        LABEL_ROLE: role,
        LABEL_DIRECTORY: directory_hash(plugin_dir),
    }


def child_labels(flexdriver: str, role: Role, plugin_dir: str) -> dict[str, str]:
    """The labels on every child and on its pods."""
    own = {LABEL_APP: APP, LABEL_MANAGED_BY: MANAGER}
    return own | selector_labels(flexdriver, role, plugin_dir)


def driver_dir(plugin_dir: str, vendor: str, driver: str) -> str:
    """The directory that the kubelet looks into for one driver."""
    return f"{plugin_dir}/{vendor}~{driver}"


def driver_path(plugin_dir: str, vendor: str, driver: str) -> str:
    """The executable that the kubelet calls for one driver."""
    return f"{driver_dir(plugin_dir, vendor, driver)}/{driver}"


def plugin_dir_of(path: str) -> str:
    """The plugin directory that a driver path (see `driver_path`) lies in."""
    return path.rsplit("/", 2)[0]
