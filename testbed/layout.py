"""Where a cluster lives: every address, link name and path follows from its name and slot.

Two clusters never share an address, because each owns one /16 and one loopback address.
That is why nothing here chooses ports: everybody uses the usual ones.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

SLOTS = 100
MAX_NODES = 64


def state_root() -> Path:
    """The folder with one sub-folder per cluster."""
    return Path(os.environ.get("FLEXVOLUME_STATE", "/var/tmp/flexvolume-testbed")).resolve()


def cache_root() -> Path:
    """The folder of what outlives clusters: built programs and images."""
    fallback = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("FLEXVOLUME_CACHE", f"{fallback}/flexvolume-operator")).resolve()


def preferred_slots(name: str) -> Iterator[int]:
    """All slots, beginning with the one that the cluster's name suggests."""
    first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    return ((first + offset) % SLOTS for offset in range(SLOTS))


@dataclass(frozen=True)
class Layout:
    """The places of one cluster. `slot` is 0..99."""

    name: str
    slot: int

    @property
    def state(self) -> Path:
        return state_root() / self.name

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def network(self) -> IPv4Network:
        """The /16 that holds nodes (x.0), real pods (x.1-x.64), fake pods and Services."""
        return IPv4Network(f"10.{100 + self.slot}.0.0/16")

    @property
    def gateway(self) -> IPv4Address:
        """The machine's own address on the bridge."""
        return self.network[1]

    @property
    def services(self) -> IPv4Network:
        return IPv4Network(f"10.{100 + self.slot}.240.0/20")

    @property
    def api_address(self) -> IPv4Address:
        """The address of the Service `kubernetes`.

        It is an address of the bridge and the API server listens on it, so pods and the
        machine reach it without any translation rule.
        """
        return self.services[1]

    @property
    def fake_pods(self) -> IPv4Network:
        return IPv4Network(f"10.{100 + self.slot}.128.0/18")

    def node_address(self, index: int) -> IPv4Address:
        """The address of the index-th real node, counted from 1."""
        return self.network[10 + index]

    def node_pods(self, index: int) -> IPv4Network:
        return IPv4Network(f"10.{100 + self.slot}.{index}.0/24")

    @property
    def loopback(self) -> str:
        """Where etcd, controller-manager and scheduler listen; all of 127/8 is the machine's."""
        return f"127.77.{self.slot}.1"

    @property
    def bridge(self) -> str:
        return f"fvtb{self.slot}"

    def node_link(self, index: int) -> str:
        """The machine's end of the cable to a node."""
        return f"{self.bridge}-{index}"

    def cgroup(self, node: str) -> str:
        return f"flexvolume-testbed-{self.name}-{node}"
