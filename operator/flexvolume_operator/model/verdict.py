"""What was asked of a node, what is seen of it, and what follows.

These values pass between assessment, rollout and the writers of FlexNode and FlexDriver.
"""

from dataclasses import dataclass
from enum import Enum

from msgspec import Struct

from flexvolume_operator.model import names
from flexvolume_operator.model.directory import Aim
from flexvolume_operator.model.flexdriver import FlexDriver
from flexvolume_operator.model.flexnode import Install, State
from flexvolume_operator.model.names import Role
from flexvolume_operator.model.objects import Node, Pod
from flexvolume_operator.model.reasons import Reason


@dataclass(frozen=True, slots=True)
class Target:
    """What one DaemonSet (`child`) is to bring about on its nodes.

    `path` is the driver's executable, `namespace` that of the installer pods. Of a node whose
    directory is not known yet, child, directory, path and hashes are empty.
    """

    flexdriver: str
    role: Role
    child: str
    vendor: str
    driver: str
    plugin_dir: str
    path: str
    revision: str
    template: str
    template_hash: str
    timeout_seconds: int
    namespace: str
    suspended: bool = False
    deleting: bool = False
    dry_run: bool = False


def target(
    flexdriver: FlexDriver,
    role: Role,
    plugin_dir: str,
    *,
    revision: str,
    namespace: str,
    child: str = "",
    template: str = "",
    template_hash: str = "",
) -> Target:
    """The target of a FlexDriver in one directory, with the hashes of its rendered DaemonSet."""
    spec = flexdriver.spec
    return Target(
        flexdriver=flexdriver.name,
        role=role,
        child=child,
        vendor=spec.vendor,
        driver=spec.driver,
        plugin_dir=plugin_dir,
        path=names.driver_path(plugin_dir, spec.vendor, spec.driver) if plugin_dir else "",
        revision=revision,
        template=template,
        template_hash=template_hash,
        timeout_seconds=spec.verify.timeout_seconds,
        namespace=namespace,
        suspended=spec.suspend,
        deleting=flexdriver.metadata.deleting,
        dry_run=spec.dry_run,
    )


@dataclass(frozen=True, slots=True)
class Match:
    """Whether a placement means a node at all, and if so, why it cannot have the driver."""

    matched: bool
    unsupported: Reason | None = None


_NO_AIM = Aim()


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen of one matched node for one target. Times in epoch seconds.

    `missing_since` is when it was first seen that there is no pod, 0.0 while there is one.
    `rejected` is the text of the DaemonSet's FailedCreate event, `warning` that of the pod's newest
    Warning event; both are empty until `Verdict.needs` has asked for them.
    """

    node: Node
    match: Match
    pod: Pod | None
    previous: Install | None
    now: float
    aim: Aim = _NO_AIM
    missing_since: float = 0.0
    rejected: str = ""
    warning: str = ""


class Needs(Enum):
    """What has to be asked of the API before the next verdict can be a better one."""

    NOTHING = 0
    DAEMONSET_EVENTS = 1
    POD_EVENTS = 2


class Verdict(Struct, frozen=True):
    """What is true of one node for one target, in a directory that is known or not (`aim`).

    `install` is the entry for its FlexNode. `settled`: it rests on what the present pod has said,
    not on what was true before it. `recheck_at`: epoch seconds at which time alone may change it.
    `waits`: for its turn to replace a foreign driver. `row` names the row of the decision table
    that hit. `node_uid`: of two nodes with one name, one after the other, neither is judged by what
    was true of the other.
    """

    target: Target
    aim: Aim
    install: Install
    row: str
    node_ready: bool
    node_uid: str = ""
    pod: Pod | None = None
    settled: bool = False
    waits: bool = False
    recheck_at: float | None = None
    needs: Needs = Needs.NOTHING

    @property
    def state(self) -> State:
        """The entry's state."""
        return self.install.state

    @property
    def updated(self) -> bool:
        """The node has what is wanted; between two pods it counts by its state alone."""
        if self.pod is None:
            wanted = State.WOULD_INSTALL if self.target.dry_run else State.INSTALLED
            return self.state is wanted
        return self.pod.template == self.target.template
