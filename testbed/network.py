"""The cluster's cables: one bridge on the machine, one network namespace per real node.

Everything is named after the cluster's slot, so taking it away needs no record. No address
is translated and no packet is forwarded by the machine: pods reach each other over the
bridge, node to node, and the API server listens on the Service address itself.
"""

import json
from ipaddress import IPv4Network

from testbed.layout import Layout
from testbed.shell import CommandError, run


def create_bridge(layout: Layout) -> None:
    """The bridge, with the machine's address and the address of the Service `kubernetes`.

    Its hardware address is fixed: otherwise it would change whenever a node is plugged in or
    out, and the other nodes would talk to the old one for up to a minute.
    """
    bridge = layout.bridge
    hardware = f"02:00:0a:{100 + layout.slot:02x}:00:01"
    _ip("link", "add", bridge, "address", hardware, "type", "bridge")
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
    _delete(layout.node_link(index))


def remove(layout: Layout) -> None:
    """Take away the bridge and whatever is plugged into it; routes go with them."""
    for link in _links():
        if link == layout.bridge or link.startswith(f"{layout.bridge}-"):
            _delete(link)


def is_free(layout: Layout) -> bool:
    """Whether nobody on this machine uses this slot's bridge or addresses."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]) or "[]")
    used = (route["dst"] for route in routes if route.get("dst", "default") != "default")
    return layout.bridge not in _links() and not any(
        IPv4Network(destination, strict=False).overlaps(layout.network) for destination in used
    )


def _delete(link: str) -> None:
    """Delete a link if it is there. A cable vanishes by itself when its node has ended."""
    try:
        if link in _links():
            _ip("link", "delete", link)
    except CommandError:
        if link in _links():
            raise


def _links() -> list[str]:
    return [found["ifname"] for found in json.loads(run(["ip", "-json", "link", "show"]))]


def _ip(*arguments: str) -> None:
    run(["ip", *arguments])
