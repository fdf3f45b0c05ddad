"""Drivers that need more than our container has, and nodes that lack what a driver needs."""

import pytest

from tests.support import drivers
from tests.support.kit import flexdriver, until
from tests.support.readers import stop_using, use

pytestmark = pytest.mark.node

# It mounts in its init, which a container without SYS_ADMIN may not and a kubelet may.
MOUNTING = drivers.good("1").replace(
    b"init) ",
    b"""init) mkdir -p /run/tried
    mount -t tmpfs tmpfs /run/tried 2>/dev/null && umount /run/tried || {
    echo '{"status":"Failure","message":"cannot mount"}'; exit 1; }
    """,
)
HUNGRY = drivers.answering("x=x; while :; do x=$x$x; done")

# name: what its spec adds, the reason, and words that its message must have
LACKING = {
    "nocommand": ({"commands": ["sh", "no-such-tool"]}, "MissingHostCommand", "no-such-tool"),
    "nomodule": ({"kernelModules": ["no_such_module"]}, "MissingKernelModule", "no_such_module"),
    "nopath": ({"paths": ["/run/no-such.sock"]}, "MissingHostPath", "/run/no-such.sock"),
}


@pytest.fixture(scope="module")
def applied(kit, image):
    """All of them at once."""
    good = image("fitting", {f"/{name}": drivers.good("1") for name in (*LACKING, "fitting")})
    mounting = image(
        "mounting", {f"/{name}": MOUNTING for name in ("enforced", "warned", "privileged")}
    )
    found = {name: flexdriver(name, good, requirements=LACKING[name][0]) for name in LACKING}
    met = {"commands": ["sh", "mount"], "paths": ["/etc"], "architectures": ["amd64", "arm64"]}
    found["fitting"] = flexdriver("fitting", good, requirements=met)
    found["elsewhere"] = flexdriver(
        "elsewhere", good, install={"source": "/fitting"}, requirements={"architectures": ["s390x"]}
    )
    found["enforced"] = flexdriver("enforced", mounting)
    found["warned"] = flexdriver("warned", mounting, verify={"policy": "Warn"})
    found["privileged"] = flexdriver("privileged", mounting, verify={"context": "HostPrivileged"})
    found["hungry"] = flexdriver(
        "hungry",
        image("hungry", {"/hungry": HUNGRY}),
        resources={"install": {"limits": {"memory": "32Mi"}}},
    )
    kit.apply(*found.values())
    yield found
    kit.delete("flexdriver", *found)


@pytest.mark.parametrize("name", LACKING)
def test_what_a_node_lacks_is_named(kit, applied, name):
    _, reason, words = LACKING[name]
    entry = kit.until_failed(name)
    assert entry["reason"] == reason
    assert words in entry["message"]


def test_a_node_that_has_it_all_gets_the_driver(kit, applied):
    kit.until_ready("fitting")


def test_another_architecture_is_unsupported_and_not_failed(kit, applied):
    def unsupported():
        entry = kit.install("elsewhere")
        return entry if entry.get("state") == "Unsupported" else None

    entry = until(unsupported, 60, "it is Unsupported")
    assert entry["reason"] == "UnsupportedArchitecture"
    kit.until_ready("elsewhere")


def test_an_init_that_may_not_mount_fails_by_default(kit, applied):
    entry = kit.until_failed("enforced")
    assert entry["reason"] == "InitFailed"
    assert "cannot mount" in entry["message"]


def test_with_policy_warn_it_is_published_with_a_warning(kit, applied):
    kit.until_ready("warned")
    (warning,) = (w for w in kit.install("warned")["warnings"] if w["reason"] == "Unverified")
    assert "cannot mount" in warning["message"]
    reads = use(kit, "warned", "node-1")
    assert until(reads, 60, "the pod runs") == "1"
    stop_using(kit, "warned", "node-1")


def test_in_a_privileged_container_it_is_verified(kit, applied):
    kit.until_ready("privileged")
    assert [w["reason"] for w in kit.install("privileged").get("warnings", ())] == []


def test_an_init_beyond_our_own_limit_is_told_so(kit, applied):
    entry = kit.until_failed("hungry")
    assert entry["reason"] == "InitOOMKilled"
    assert "spec.resources.install" in entry["message"] or "memory" in entry["message"]
