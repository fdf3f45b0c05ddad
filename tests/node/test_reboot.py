"""A node loses its power and comes back: every driver works again, whoever comes first.

Three drivers go through one boot. Each `init` can tell the boot by the node's /run, which is empty
after it, and who calls by its own path: the installer stages a driver elsewhere.
"""

import time

import pytest

from tests.support import drivers
from tests.support.kit import flexdriver, until
from tests.support.logs import Logs, kubelet
from tests.support.readers import stop_using, use

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

NODE = "node-1"
UP, VERIFIED = "/run/storage-is-up", "/run/may-be-verified"
DELAY = 20

FAIL = """{ echo '{"status":"Failure","message":"the storage is not up"}'; exit 1; }"""
CONDITIONS = {
    # The pod first: its volume is mounted before the driver has been verified in this boot.
    "podfirst": f"case $0 in *stage*) until [ -e {VERIFIED} ]; do sleep 0.1; done ;; esac",
    # The kubelet first: it has tried the driver, in vain, before the storage is there.
    "kubeletfirst": f"[ -e {UP} ] || {FAIL}",
    # Neither kubelet nor installer has any luck in the first seconds of a boot.
    "slowstart": f"[ $(($(date +%s) - $(stat -c %Y /run/node-is-ready))) -ge {DELAY} ] || {FAIL}",
}


def script(condition: str) -> bytes:
    """A driver that works once this holds."""
    return drivers.good("1").replace(b"init) ", f"init)\n{condition}\n".encode())


class Boot:
    """The node's second boot, from before it until everything is as it was."""

    def __init__(self, kit) -> None:
        self.kit = kit
        self.node = kit.cluster.node(NODE)
        self.before = self.node.boot_id
        self.paths = {name: kit.install(name)["path"] for name in CONDITIONS}

    def begin(self) -> None:
        """Pull the plug, and let the node boot until its kubelet runs."""
        self.node.power_off()
        self.node.boot()
        self.booted = time.monotonic()
        for path in self.paths.values():
            assert self.node.path(path).exists(), "before any kubelet runs"
        self.log = Logs(self.kit, kubelet(NODE))
        self.node.start_kubelet()

    def allow(self, path: str) -> None:
        self.node.exec(["touch", path])

    def until_kubelet_failed(self, driver: str) -> None:
        def failed() -> list[str]:
            return self.log.naming("driver call failed", self.paths[driver])

        until(failed, 30, f"the kubelet tries {driver} in vain")

    def verified(self, driver: str) -> bool:
        """Whether it is, in this boot."""
        entry = self.kit.install(driver, NODE)
        return entry["state"] == "Installed" and entry["bootID"] == self.node.boot_id

    def until_verified(self, driver: str) -> None:
        until(lambda: self.verified(driver), 150, f"{driver} is verified in this boot")


@pytest.fixture(scope="module")
def boot(kit, image):
    node = kit.cluster.node(NODE)
    node.exec(["touch", UP, VERIFIED])
    for name, condition in CONDITIONS.items():
        kit.apply(flexdriver(name, image(name, {f"/{name}": script(condition)})))
    for name in CONDITIONS:
        kit.until_ready(name, timeout=120)
    reads = use(kit, "podfirst", NODE)
    until(reads, 30, "a pod reads its volume")
    found = Boot(kit)
    found.begin()
    yield found
    kit.delete("flexdriver", *CONDITIONS)


def test_it_is_another_boot(boot):
    assert boot.node.boot_id != boot.before


def test_a_pod_has_its_volume_again_before_the_driver_is_verified(kit, boot):
    def restarted() -> bool:
        pod = kit.get("pod", f"podfirst-{NODE}", "default") or {}
        (status,) = pod["status"]["containerStatuses"]
        return status["ready"] and status["restartCount"] == 1

    until(restarted, 60, "the pod runs again")
    assert "example.com~podfirst" in boot.node.exec(["cat", "/proc/mounts"])
    assert not boot.verified("podfirst")
    boot.allow(VERIFIED)
    boot.until_verified("podfirst")
    stop_using(kit, "podfirst", NODE)


def test_a_driver_that_the_kubelet_failed_at_its_start_is_taken_up(kit, boot):
    boot.until_kubelet_failed("kubeletfirst")
    assert not boot.verified("kubeletfirst")
    boot.allow(UP)
    boot.until_verified("kubeletfirst")
    reads = use(kit, "kubeletfirst", NODE)
    assert until(reads, 60, "a pod reads its volume") == "1"
    stop_using(kit, "kubeletfirst", NODE)


def test_a_driver_that_fails_for_a_while_after_the_boot_is_taken_up(kit, boot):
    boot.until_kubelet_failed("slowstart")
    boot.until_verified("slowstart")
    assert time.monotonic() - boot.booted > DELAY
    reads = use(kit, "slowstart", NODE)
    assert until(reads, 60, "a pod reads its volume") == "1"
    stop_using(kit, "slowstart", NODE)
