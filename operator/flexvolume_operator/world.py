"""What all reconcilers share: live views of the cluster, and the ways to change it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flexvolume_operator.cluster.children import Children
from flexvolume_operator.cluster.client import Client
from flexvolume_operator.cluster.events import Recorder
from flexvolume_operator.cluster.flexnodes import FlexNodes
from flexvolume_operator.cluster.podindex import PodIndex
from flexvolume_operator.cluster.sources import Sources
from flexvolume_operator.directories.inquiry import Inquiry
from flexvolume_operator.directories.managers import Managers
from flexvolume_operator.model.flexdriver import FlexDriver
from flexvolume_operator.model.objects import DaemonSet, Node
from flexvolume_operator.render.daemonset import Installer


@dataclass(frozen=True, slots=True)
class World:
    """`rivals` names the other live FlexDrivers with the same vendor and driver."""

    client: Client
    installer: Installer
    nodes: Mapping[str, Node]
    pods: PodIndex
    daemonsets: Mapping[str, DaemonSet]
    children: Children
    flexnodes: FlexNodes
    inquiry: Inquiry
    managers: Managers
    recorder: Recorder
    sources: Sources
    rivals: Callable[[FlexDriver], Sequence[str]]
