"""Real Kubernetes on one machine, for tests, benchmarks and the demo."""

from testbed.cluster import Cluster
from testbed.nodes import Node
from testbed.shell import ClusterError
from testbed.state import Config

__all__ = ["Cluster", "ClusterError", "Config", "Node"]
