"""Every name the operator gives away: labels, annotations, children, paths.

They live in objects, on nodes and in other people's queries, so they are made in one place and
chosen to last.
"""

import hashlib
import posixpath
import re
from typing import Literal

GROUP = "flexvolume.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

FINALIZER = f"{GROUP}/cleanup"
FIELD_MANAGER = "flexvolume-operator"
STATUS_FIELD_MANAGER = "flexvolume-operator-status"
# In the installer namespace: what fingerprints of ConfigMaps and Secrets are made with.
FINGERPRINT_KEY = "flexvolume-operator-key"
SERVICE_ACCOUNT = "flexvolume-installer"
# Where an image with method Entrypoint puts its driver, as Kubernetes' example has it.
FLEXMNT = "/flexmnt"
DEFAULT_PLUGIN_DIR = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"

LABEL_APP = "app.kubernetes.io/name"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_DRIVER = f"{GROUP}/driver"
LABEL_ROLE = f"{GROUP}/role"
LABEL_DIRECTORY = f"{GROUP}/directory"
LABEL_REVISION = f"{GROUP}/revision"
LABEL_TEMPLATE = f"{GROUP}/template"
LABEL_STATE = f"{GROUP}/state"
# On Nodes: where drivers go, what the kubelet says of itself, where controller-manager looks.
LABEL_PLUGIN_DIR = f"{GROUP}/plugin-dir"
LABEL_KUBELET_DIR = f"{GROUP}/kubelet-dir"
LABEL_CONTROLLER_MANAGER_DIR = f"{GROUP}/controller-manager-dir"
ANNOTATION_TEMPLATE_HASH = f"{GROUP}/template-hash"
ANNOTATION_ASKED_AGAIN = f"{GROUP}/asked-again"
ANNOTATION_FORCE_PLUGIN_DIR = f"{GROUP}/force-plugin-dir"
# On installer pods: whether, and since when, it is this one's turn to replace a foreign driver.
ANNOTATION_ADOPT = f"{GROUP}/adopt"
ANNOTATION_ADOPT_SINCE = f"{GROUP}/adopt-since"

APP = "flexvolume-installer"
MANAGER = "flexvolume-operator"
INSTALLER_SELECTOR = f"{LABEL_APP}={APP},{LABEL_MANAGED_BY}={MANAGER}"

Role = Literal["kubelet", "controller-manager"]
KUBELET: Role = "kubelet"
CONTROLLER_MANAGER: Role = "controller-manager"
_ROLE_IN_NAMES: dict[Role, str] = {"kubelet": "kubelet", "controller-manager": "kcm"}

Source = Literal["Override", "Pool", "Kubelet", "KubeletProcess", "Flag", "Platform", "Default"]

LABEL_ARCHITECTURE = "kubernetes.io/arch"
# Labels of nodes that some service pretends to be: nothing can be installed there.
VIRTUAL_NODES = (
    ("type", "virtual-kubelet"),
    ("eks.amazonaws.com/compute-type", "fargate"),
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PLAIN_STEP = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?")
_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9_-]+")
_LABEL_VALUE = 63


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


def cleaned_plugin_dir(path: str) -> str:
    """The same spelling of what a kubelet says, which may write a directory as it likes.

    Raises InvalidPluginDir for what no directory of a node is.
    """
    if not path.startswith("/") or _CONTROL.search(path):
        raise InvalidPluginDir("must be an absolute path without control characters")
    normal = posixpath.normpath("/" + path.lstrip("/"))
    if normal == "/":
        raise InvalidPluginDir("must be a directory below /")
    return normal


def directory_hash(plugin_dir: str) -> str:
    """Eight hex digits that stand for a normalised plugin directory in names and labels."""
    return hashlib.sha256(plugin_dir.encode()).hexdigest()[:8]


def directory_label(plugin_dir: str) -> str:
    """The value of a node's label for a normalised plugin directory, readable where it can be.

    "/var/lib/kubelet/volumeplugins" is "var.lib.kubelet.volumeplugins". What does not fit, or would
    read the same as another directory, ends in a hash.
    """
    steps = plugin_dir.strip("/").split("/")
    readable = ".".join(steps)
    if len(readable) <= _LABEL_VALUE and all(map(_PLAIN_STEP.fullmatch, steps)):
        return readable
    digest = directory_hash(plugin_dir)
    legal = ".".join(filter(None, (_NOT_IN_LABELS.sub("", step).strip("-_") for step in steps)))
    shortened = legal[: _LABEL_VALUE - len(digest) - 1].rstrip("-_.")
    return f"{shortened}-{digest}" if shortened else digest


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
