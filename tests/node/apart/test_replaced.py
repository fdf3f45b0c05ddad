"""The plugin directory itself is replaced on a node, and the guard's mount does not follow."""

import time

import pytest

from testbed import processes
from testbed.controllers import CONTROLLER_MANAGER
from tests.support import drivers, rendering
from tests.support.kit import until
from tests.support.readers import stop_using, use
from tests.support.removing import PLUGINS, remove

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

NODE = "node-1"
DRIVER = "restored"
LIMIT = 15.0

MOUNT, UNMOUNT = f'mount -t tmpfs -o mode=755 tmpfs "{PLUGINS}"', f'umount "{PLUGINS}"'

# What is done before and after the driver is installed, and whether the kubelet, too, has to be
# started anew to look there.
WAYS = {
    "removed": (
        "true", f'until rm -r "{PLUGINS}"; do :; done 2>/dev/null; mkdir -p "{PLUGINS}"', False
    ),
    "renamed": (
        "true", f'mv "{PLUGINS}" "{PLUGINS}.old"; mkdir "{PLUGINS}"; rm -r "{PLUGINS}.old"', True
    ),
    "mounted over": ("true", MOUNT, True),
    "unmounted": (MOUNT, UNMOUNT, True),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def controller_manager(alone):
    """Its directory is the node's, so that it is deaf afterwards, too."""
    yield
    processes.kill(alone.cluster.layout.state, CONTROLLER_MANAGER)
    alone.cluster.controller_manager_process()


@pytest.fixture(scope="module")
def manifest(alone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("driver")
    return rendering.render(alone, folder, DRIVER, drivers.good("1"))


@pytest.mark.parametrize("way", WAYS)
def test_the_driver_is_where_the_kubelet_looks_within_15_s(alone, manifest, way):
    before, command, deaf = WAYS[way]
    node = alone.cluster.node(NODE)
    node.exec(["sh", "-c", before])
    rendering.install(alone, DRIVER, manifest)
    began = time.monotonic()
    node.exec(["sh", "-c", command])
    path = node.path(f"{PLUGINS}/example.com~{DRIVER}/{DRIVER}")
    until(lambda: path.exists() and path.read_bytes() == drivers.good("1"), LIMIT, "it is there")
    assert time.monotonic() - began < LIMIT
    if deaf:
        node.stop_kubelet()
        node.start_kubelet()
    reads = use(alone, DRIVER, NODE)
    assert until(reads, 60, "a pod reads its volume") == "1"
    stop_using(alone, DRIVER, NODE)
    rendering.withdraw(alone, DRIVER)
    assert remove(alone, DRIVER, "none")["result"] == "Removed"
    if way == "mounted over":
        node.exec(["sh", "-c", UNMOUNT])
        assert remove(alone, DRIVER, "none")["result"] == "Removed"
        node.stop_kubelet()
        node.start_kubelet()
