"""The cluster's cables: one bridge on the machine, one network namespace per real node.

Everything is named after the cluster's slot, so taking it away needs no record. No address
is translated and no packet is forwarded by the machine: pods reach each other over the
bridge, node to node, and the API server listens on the Service address itself.
"""

import json
from ipaddress import IPv4Network

from testbed.layout import MAX_NODES, Layout
from testbed.shell import run


def create_bridge(layout: Layout) -> None:
    """The bridge, with the machine's address and the address of the Service `kubernetes`."""
    bridge = layout.bridge
    _ip("link", "add", bridge, "type", "bridge")
    _ip("address", "add", f"{layout.gateway}/24", "dev", bridge)
    _ip("address", "add", f"{layout.api_address}/32", "dev", bridge)
    _ip("link", "set", bridge, "up")


def plug(layout: Layout, index: int, init: int) -> None:
    """Connect the network namespace of process `init`, the index-th node, to the bridge."""
    link, address = layout.node_link(index), layout.node_address(index)
    _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(init))
    _ip("link", "set", link, "master", layout.bridge, "up")
    _ip("route", "replace", str(layout.node_pods(index)), "via", str(address), "dev", layout.bridge)


def inside_script(layout: Layout, index: int, nodes: int) -> str:
    """The shell commands that set up the node's end, run in its namespaces."""
    others = "".join(
        f"ip route add {layout.node_pods(other)} via {layout.node_address(other)}\n"
        for other in range(1, nodes + 1)
        if other != index
    )
    return (
        "set -e\nip link set lo up\n"
        f"ip address add {layout.node_address(index)}/24 dev eth0\nip link set eth0 up\n"
        f"ip route add default via {layout.gateway}\n{others}"
        "echo 1 > /proc/sys/net/ipv4/ip_forward\n"
    )


def unplug(layout: Layout, index: int) -> None:
    """Take the machine's end of a node's cable away; the other end goes with it."""
    if _exists(layout.node_link(index)):
        _ip("link", "delete", layout.node_link(index))


def remove(layout: Layout) -> None:
    """Take away the bridge and whatever is plugged into it; routes go with them."""
    for index in range(1, MAX_NODES + 1):
        unplug(layout, index)
    if _exists(layout.bridge):
        _ip("link", "delete", layout.bridge)


def is_free(layout: Layout) -> bool:
    """Whether nobody on this machine uses this slot's bridge or addresses."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]) or "[]")
    used = (route["dst"] for route in routes if route.get("dst", "default") != "default")
    return not _exists(layout.bridge) and not any(
        IPv4Network(destination, strict=False).overlaps(layout.network) for destination in used
    )


def _exists(link: str) -> bool:
    links = json.loads(run(["ip", "-json", "link", "show"]))
    return any(found["ifname"] == link for found in links)


def _ip(*arguments: str) -> None:
    run(["ip", *arguments])
