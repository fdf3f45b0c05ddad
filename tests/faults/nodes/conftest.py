"""Three real nodes, one driver that is Ready on all of them, and the operator with a standby.

Both are on the first two nodes, so that one node is without: its image is by far the biggest.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from testbed import Config, images
from tests.faults.nodes.history import History
from tests.faults.nodes.machines import Stock
from tests.support.clusters import helm_install, running
from tests.support.kit import flexdriver
from tests.support.scene import until_right

# A node is noticed to be dead after so many seconds; with --long after Kubernetes' own 50.
GRACE = 8


@pytest.fixture(scope="session")
def kit(long):
    images.build_all()
    with running("tests-faults-nodes", Config(nodes=3, node_grace=0 if long else GRACE)) as kit:
        yield kit


@pytest.fixture(scope="session")
def stock(kit, tmp_path_factory):
    found = Stock(kit, tmp_path_factory.mktemp("images"))
    for image in (images.INSTALLER, images.BUSYBOX):
        found.add(images.find(image))
    return found


@pytest.fixture(scope="session")
def installed(kit, stock):
    homes = kit.cluster.nodes[:2]
    kit.cluster.kubectl("label", "node", *(node.name for node in homes), "operator=yes")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda node: node.load(images.find(images.OPERATOR)), homes))
    helm_install(kit, "replicas=2", "nodeSelector.operator=yes")
    kit.apply(flexdriver("steady", stock.driver("steady", "1")))
    kit.until_ready("steady")


@pytest.fixture(scope="module")
def steady(kit, installed):
    """The name of a driver that is Ready on all nodes, as everything else is."""
    until_right(kit, {"steady"}, timeout=90)
    kit.cluster.kubectl(
        "rollout", "status", "deployment/flexvolume-operator",
        "--namespace=flexvolume-system", "--timeout=90s",
    )  # fmt: skip
    return "steady"


@pytest.fixture(scope="module")
def history(kit, steady):
    with History(kit) as found:
        yield found
