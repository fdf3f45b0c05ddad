"""Helpers and configuration beside the driver: there before it, kept, changed, and taken away."""

import json
import stat

import pytest

from tests.support import drivers
from tests.support.kit import INSTALLERS, condition, flexdriver, is_stalled, until
from tests.support.readers import stop_using, use

pytestmark = pytest.mark.node

NAME, SECRET = "helped", "correct-horse-battery"
# Its init needs both files, so it can only be proven where they lie beside it.
DRIVER = b"""#!/bin/sh
here=$(dirname "$0")
case $1 in
init) "$here/helper" && grep -q host= "$here/settings" && grep -q horse "$here/password" &&
    echo '{"status":"Success","capabilities":{"attach":false}}' ;;
mount) mkdir -p "$2" && mount -t tmpfs tmpfs "$2" && cp "$here/settings" "$2/version" &&
    echo '{"status":"Success"}' ;;
unmount) umount "$2" && echo '{"status":"Success"}' ;;
*) echo '{"status":"Not supported"}' ;;
esac
"""
HELPER = b"#!/bin/sh\nexit 0\n"
FILES = [
    {"path": "helper", "mode": "0755", "image": {"path": "/usr/bin/helper"}},
    {"path": "settings", "mode": "0640", "configMapKeyRef": {"name": NAME, "key": "a.conf"}},
    {"path": "password", "secretKeyRef": {"name": NAME, "key": "password"}},
]


def source(kind, key, value):
    """A ConfigMap or Secret of the installer namespace."""
    metadata = {"name": NAME, "namespace": INSTALLERS}
    field = "data" if kind == "ConfigMap" else "stringData"
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, field: {key: value}}


@pytest.fixture(scope="module")
def driver(kit, image):
    """The FlexDriver's body; its Secret does not exist yet."""
    reference = image(NAME, {f"/{NAME}": DRIVER, "/usr/bin/helper": HELPER})
    kit.apply(source("ConfigMap", "a.conf", "host=one\n"))
    body = flexdriver(NAME, reference, install={"files": FILES})
    kit.apply(body)
    yield body
    kit.delete("flexdriver", NAME)
    kit.delete("configmap", NAME, namespace=INSTALLERS)
    kit.delete("secret", NAME, namespace=INSTALLERS)


@pytest.fixture(scope="module")
def stalled(kit, driver):
    return kit.until_status(NAME, is_stalled, "it is Stalled")


@pytest.fixture(scope="module")
def folder(kit, stalled):
    """The driver's directory once the Secret has come."""
    kit.apply(source("Secret", "password", SECRET))
    kit.until_ready(NAME)
    return kit.cluster.node("node-1").path(kit.install(NAME)["path"]).parent


def names(folder):
    return sorted(found.name for found in folder.iterdir())


def test_a_missing_secret_is_named_with_its_field(kit, stalled):
    ready = condition(stalled, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "SourceMissing")
    for words in ("spec.install.files[2].secretKeyRef", f"{INSTALLERS}/{NAME}"):
        assert words in ready["message"]
    assert kit.list("daemonsets", f"flexvolume.io/driver={NAME}", INSTALLERS) == []


def test_they_lie_beside_the_driver_as_they_were_asked_for(folder):
    assert names(folder) == [".flexvolume.json", "helped", "helper", "password", "settings"]
    found = {name: (folder / name).stat() for name in names(folder)}
    modes = {name: stat.S_IMODE(status.st_mode) for name, status in found.items()}
    assert (modes["helper"], modes["settings"], modes["password"]) == (0o755, 0o640, 0o600)
    assert all((status.st_uid, status.st_gid) == (0, 0) for status in found.values())
    assert (folder / "helper").read_bytes() == HELPER
    assert (folder / "settings").read_text() == "host=one\n"
    assert (folder / "password").read_text() == SECRET


def test_a_pod_uses_the_volume(kit, folder):
    reads = use(kit, NAME, "node-1")
    assert until(reads, 60, "the pod runs") == "host=one"
    stop_using(kit, NAME, "node-1")


def test_the_secret_is_nowhere_but_in_its_file(kit, folder):
    told = [
        kit.kubectl("get", kind, "--all-namespaces", "--output=json").stdout
        for kind in ("flexdrivers", "flexnodes", "daemonsets", "pods", "events")
    ]
    pods = kit.list("pods", namespace=INSTALLERS)
    for pod in pods:
        arguments = ("--all-containers", f"--namespace={INSTALLERS}", pod["metadata"]["name"])
        told.append(kit.kubectl("logs", *arguments).stdout)
    told.append(kit.kubectl("logs", "--namespace=flexvolume-system", "--selector=app").stdout)
    assert [text for text in told if SECRET in text] == []
    assert "--file=0600,password," in json.dumps(pods)


@pytest.mark.parametrize("name", ["helper", "settings", "password"])
def test_what_somebody_does_to_them_is_repaired(folder, name):
    path = folder / name
    content, mode = path.read_bytes(), path.stat().st_mode

    def right():
        try:
            return path.read_bytes() == content and path.stat().st_mode == mode
        except FileNotFoundError:
            return False

    for harm in (path.unlink, lambda: path.write_bytes(b"x"), lambda: path.chmod(0o666)):
        harm()
        until(right, 2, f"{name} is put right")


def test_a_changed_config_map_is_a_new_revision_by_itself(kit, folder):
    before, inode = kit.install(NAME), (folder / NAME).stat().st_ino
    kit.apply(source("ConfigMap", "a.conf", "host=two\n"))

    def changed():
        entry = kit.install(NAME)
        return entry["state"] == "Installed" and entry["revision"] != before["revision"]

    until(changed, 60, "the new revision is installed")
    assert (folder / "settings").read_text() == "host=two\n"
    assert (folder / NAME).stat().st_ino == inode
    reads = use(kit, NAME, "node-1")
    assert until(reads, 60, "the pod runs") == "host=two"
    stop_using(kit, NAME, "node-1")


def test_a_file_that_left_the_list_is_removed(kit, driver, folder, image):
    simple = image(f"{NAME}-alone", {f"/{NAME}": drivers.good("3")})
    (folder / "notes").write_text("a person's own")
    kit.apply(driver | {"spec": driver["spec"] | {"image": simple, "install": {"files": []}}})
    kit.until_ready(NAME)
    assert names(folder) == [".flexvolume.json", "helped", "notes"]
    (folder / "notes").unlink()
