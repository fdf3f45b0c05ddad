"""What is known of the machines themselves: directories, labels, FlexNodes, controller-managers.

These depend on each other in a ring: what a kubelet says decides the labels of its node and stands
in its FlexNode, from which the next process learns it again. Here the ring is closed.
"""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from functools import partial
from pathlib import Path
from sys import intern
from typing import Any, Final

from msgspec.structs import replace

from flexvolume_operator.assess.foreign import ForeignDrivers
from flexvolume_operator.cluster.client import Client
from flexvolume_operator.cluster.flexnodes import FlexNodes
from flexvolume_operator.cluster.nodelabels import Labels, NodeLabels
from flexvolume_operator.cluster.store import Store
from flexvolume_operator.cluster.tokens import Tokens
from flexvolume_operator.directories.inquiry import Inquiry
from flexvolume_operator.directories.kubelets import Kubelets, Trust
from flexvolume_operator.directories.managers import Managers
from flexvolume_operator.directories.pools import parse_pools
from flexvolume_operator.directories.resolve import Opinions
from flexvolume_operator.model.directory import NodeDirectory, Seen
from flexvolume_operator.model.flexnode import Machine
from flexvolume_operator.model.managerpods import MANAGER_PODS
from flexvolume_operator.model.names import (
    LABEL_CONTROLLER_MANAGER_DIR,
    LABEL_KUBELET_DIR,
    LABEL_PLUGIN_DIR,
    InvalidPluginDir,
    cleaned_plugin_dir,
    directory_label,
)
from flexvolume_operator.model.objects import Node, Pod, Terminated
from flexvolume_operator.model.report import parse_report
from flexvolume_operator.model.starts import KUBELET, SELECTOR, STARTS, Start
from flexvolume_operator.settings import Settings

# Where Events about cluster-scoped objects live.
_EVENTS: Final = "/api/v1/namespaces/default/events"
_SYSTEM_PODS: Final = "/api/v1/namespaces/kube-system/pods"
# As kubeadm and its kin label it, and as kOps does.
_MANAGER_SELECTORS: Final = {
    "controller-managers": "component=kube-controller-manager",
    "controller-managers-kops": "k8s-app=kube-controller-manager",
}
_STARTS: Final = "kubelet-starts"
# Where a controller-manager has no directory of its node.
_NONE: Final = "none"


class Landscape:
    """Open it with `open`. `changed(name)` is called when something else is known of a node.

    `quiet` are the stores that may hear nothing for hours: a watch of Events has no bookmarks.
    """

    quiet = frozenset({_STARTS})

    def __init__(
        self,
        client: Client,
        settings: Settings,
        nodes: Mapping[str, Node],
        kubelets: Kubelets | None,
        changed: Callable[[str], None],
    ) -> None:
        opinions = Opinions(parse_pools(settings.plugin_dir_pools), settings.volume_plugin_dir)
        ask = kubelets.ask if kubelets is not None else None
        self.labels = NodeLabels(client, nodes, self._labels)
        self.inquiry = Inquiry(nodes, opinions, ask, self.labels.changed, self._known_changed)
        self.managers = Managers(nodes, settings.flex_volume_plugin_dir, self._known_changed)
        self.flexnodes = FlexNodes(client, nodes, self._machine, self._emptied)
        self._foreign = ForeignDrivers()
        self._kubelets = kubelets
        self._changed = changed
        self.stores: dict[str, Store[Any]] = {"flexnodes": self.flexnodes.store}
        self._starts = Store(client, _EVENTS, STARTS, self._started, fields=SELECTOR)
        self.stores[_STARTS] = self._starts
        for name, selector in _MANAGER_SELECTORS.items():
            self.stores[name] = Store(
                client, _SYSTEM_PODS, MANAGER_PODS, self.managers.pod_changed, selector=selector
            )

    @classmethod
    def open(
        cls,
        client: Client,
        settings: Settings,
        nodes: Mapping[str, Node],
        changed: Callable[[str], None],
    ) -> "Landscape":
        """With connections to kubelets, if they are to be asked."""
        kubelets = None
        if settings.kubelet_account:
            namespace, _, name = settings.kubelet_account.partition("/")
            file = settings.kubelet_certificate_authority
            authority = Path(file).read_text() if file else client.authority
            trust = Trust(authority, settings.kubelet_require_verified_tls)
            kubelets = Kubelets(trust, Tokens(client, namespace, name))
        return cls(client, settings, nodes, kubelets, changed)

    async def close(self) -> None:
        """Close the connections to kubelets."""
        if self._kubelets is not None:
            await self._kubelets.close()

    def load(self, drivers: set[str]) -> None:
        """Begin with what the API remembers, once the stores are filled."""
        for known in self.flexnodes.store.items.values():
            self.inquiry.load(known.name, known.machine.uid, known.machine.plugin_dir)
            if known.machine.controller_manager is not None:
                self.managers.load(known.name, known.machine.controller_manager)
        self.flexnodes.load(drivers)

    def work(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What has to run for ever."""
        yield self.inquiry.run()
        yield self.flexnodes.run()
        yield self.labels.run()

    def node_changed(self, name: str) -> None:
        """A Node appeared, changed or vanished."""
        self.inquiry.node_changed(name)
        self.managers.node_changed(name)
        self.flexnodes.changed(name)
        self.labels.changed(name)

    def pod_changed(self, old: Pod | None, new: Pod) -> None:
        """An installer pod has changed: it may have seen something on its node."""
        ended = _ended(new)
        if ended is None or (old is not None and _ended(old) == ended):
            return
        report = parse_report(ended.message)
        if report is None:
            return
        if self._foreign.heard(new.node, new.flexdriver, report):
            self.flexnodes.changed(new.node)
        for whose, seen in (
            (self.inquiry, report.kubelet),
            (self.managers, report.controller_manager),
        ):
            # One that tells of no process may not have been able to look.
            if (cleaned := _cleaned(seen)) is not None:
                whose.heard(new.node, report.boot_id, cleaned, ended.finished_at)

    def _started(self, _old: Start | None, new: Start | None) -> None:
        # What is there at first may be an hour old, and was asked about by then.
        if new is not None and new.component == KUBELET and self._starts.synced.is_set():
            self.inquiry.restarted(new.node)

    def _known_changed(self, name: str) -> None:
        self.labels.changed(name)
        self.flexnodes.changed(name)
        self._changed(name)

    def _emptied(self, name: str) -> None:
        """No driver has anything to do with the node any more."""
        self.inquiry.release(name)
        self._foreign.forget(name)
        self.labels.changed(name)

    def _machine(self, node: Node) -> Machine:
        known = self.inquiry.known(node.name) or NodeDirectory()
        manager = self.managers.known.get(node.name)
        foreign = self._foreign.on(node.name, partial(self.flexnodes.has, node.name))
        seen = manager if manager is not None and manager.source else None
        return Machine(node.uid, known, seen, foreign.drivers, foreign.count)

    def _labels(self, node: Node) -> Labels:
        """What our labels of a node have to be; those that are not decided now stay as they are."""
        known, manager = self.inquiry.known(node.name), self.managers.known.get(node.name)
        labels: dict[str, str | None] = {}
        if known is not None and known.path:
            labels[LABEL_PLUGIN_DIR] = directory_label(known.path)
            labels[LABEL_KUBELET_DIR] = directory_label(known.word) if known.word else None
        elif known is None and self.inquiry.is_released(node):
            labels |= {LABEL_PLUGIN_DIR: None, LABEL_KUBELET_DIR: None}
        if manager is not None and self.managers.used is not None:
            path = manager.host_path or manager.path if manager.source else ""
            value = directory_label(path) if path else _NONE
            labels[LABEL_CONTROLLER_MANAGER_DIR] = value if self.managers.used else None
        return labels


def _cleaned(seen: Seen) -> Seen | None:
    """The same with the one spelling of its directory; None without one."""
    try:
        return replace(seen, path=intern(cleaned_plugin_dir(seen.path)))
    except InvalidPluginDir:
        return None


def _ended(pod: Pod) -> Terminated | None:
    """The newest run of install that has ended."""
    state = pod.install.state
    return state if isinstance(state, Terminated) else pod.install.last
