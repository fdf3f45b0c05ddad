"""Decides which plugin directory a node has: sources in order, and the first that knows wins.

The kubelet looks into one directory, which differs from platform to platform, and a wrong one is
the commonest reason for a driver that is "installed" and never found. So the source goes with the
path wherever it is shown, and nothing is decided before the kubelet had its chance to answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from flexvolume_operator.directories.platforms import platform
from flexvolume_operator.directories.pools import Pool, pool
from flexvolume_operator.model.directory import NodeDirectory
from flexvolume_operator.model.names import DEFAULT_PLUGIN_DIR, Source
from flexvolume_operator.model.objects import Node


@dataclass(frozen=True, slots=True)
class Opinions:
    """What the administrator says: the pool table and the flag, normalised or empty."""

    pools: Sequence[Pool] = ()
    flag: str = ""


def resolve(node: Node, known: NodeDirectory, opinions: Opinions, *, over: bool) -> NodeDirectory:
    """What is known of a node, with the path and source that follow from it.

    `over`: the kubelet has been asked, or need not be. Until then there is no path.
    """
    if not over:
        return replace(known, path="", source="")
    path, source = _decide(node, known, opinions)
    return replace(known, path=path, source=source)


def _decide(node: Node, known: NodeDirectory, opinions: Opinions) -> tuple[str, Source]:
    if (row := pool(opinions.pools, node.labels)) is not None:
        return row.path, "Pool"
    if known.kubelet.path:
        return known.kubelet.path, "Kubelet"
    if known.process.path:
        return known.process.path, "KubeletProcess"
    return guess(node, opinions.flag)


def guess(node: Node | None, flag: str) -> tuple[str, Source]:
    """The directory where the kubelet says nothing, or is not asked as there is no node yet."""
    if flag:
        return flag, "Flag"
    if node is not None and (found := platform(node)) is not None:
        return found.path, "Platform"
    return DEFAULT_PLUGIN_DIR, "Default"
