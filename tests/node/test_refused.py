"""Drivers that must never be seen by a kubelet, and what people are told instead."""

import pytest

from tests.support import drivers
from tests.support.inotify import Appearances
from tests.support.kit import condition, flexdriver, is_stalled, until

pytestmark = pytest.mark.node

SUCCESS = """echo '{"status":"Success","capabilities":{"attach":false}}'"""
NULL = """echo '{"status":"Success","capabilities":null}'"""
FAILURE = """echo '{"status":"Failure","message":"no route to the filer"}'"""

# name: what the image holds, the reason, and words that its message must have
BROKEN: dict[str, tuple[bytes | None, str, str]] = {
    "chatty": (drivers.answering(f"echo starting up\n{SUCCESS}"), "InitInvalidOutput", "starting"),
    "failing": (drivers.answering(FAILURE), "InitFailed", "no route to the filer"),
    "null": (drivers.answering(NULL), "InitWouldCrashKubelet", "null"),
    "hanging": (drivers.answering("sleep 1000"), "InitTimeout", "2s"),
    "foreign": (drivers.for_another_machine(), "WrongArchitecture", "s390"),
    "orphaned": (b"#!/opt/none/bash\n", "MissingInterpreter", "/opt/none/bash"),
    "absent": (None, "SourceNotFound", "/absent"),
    "unpullable": (None, "ImagePullFailed", "localhost/unpullable:none"),
}


@pytest.fixture(scope="module")
def seen(kit, image):
    """All of them at once, until each is Failed; every name that appeared meanwhile."""
    node = kit.cluster.node("node-1")
    wanted = []
    for name, (content, reason, _) in BROKEN.items():
        files = {"/other": b""} if content is None else {f"/{name}": content}
        reference = f"localhost/{name}:none" if reason == "ImagePullFailed" else image(name, files)
        wanted.append(flexdriver(name, reference, verify={"timeoutSeconds": 2}))
    with Appearances(node.plugin_dir) as appearances:
        kit.apply(*wanted)
        for name in BROKEN:
            kit.until_failed(name, timeout=90)
        # The watch itself works: a driver that is fine does appear.
        kit.apply(flexdriver("fine", image("fine", {"/fine": drivers.good("1")})))
        kit.until_ready("fine")
    yield appearances.names
    kit.delete("flexdriver", "fine", *BROKEN)


def test_what_works_appears_while_the_watch_is_on(seen):
    assert "example.com~fine" in seen


@pytest.mark.parametrize("name", BROKEN)
def test_it_never_appears_in_the_plugin_directory(kit, seen, name):
    assert [found for found in seen if name in found] == []
    assert not (kit.cluster.node("node-1").plugin_dir / f"example.com~{name}").exists()


@pytest.mark.parametrize("name", BROKEN)
def test_the_node_names_the_reason(kit, seen, name):
    _, reason, words = BROKEN[name]
    entry = kit.install(name)
    assert entry["reason"] == reason
    assert words in entry["message"].lower()
    assert "serving" not in entry or entry["serving"] == {}


@pytest.mark.parametrize("name", BROKEN)
def test_the_flexdriver_is_stalled_and_says_where(kit, seen, name):
    _, reason, _ = BROKEN[name]
    status = kit.until_status(name, is_stalled, "it is Stalled")
    assert condition(status, "Ready")["status"] == "False"
    assert condition(status, "Ready")["reason"] == "NodesFailed"
    assert condition(status, "Reconciling")["status"] == "False"
    assert status["failing"] == [
        {"node": "node-1", "reason": reason, "message": kit.install(name)["message"][:512]}
    ]


def test_the_worst_driver_is_the_nodes_problem(kit, seen):
    node = kit.get("flexnode", "node-1")
    assert node["status"]["state"] == node["metadata"]["labels"]["flexvolume.io/state"] == "Failed"
    first, _, rest = node["status"]["problem"].partition(": ")
    assert first in BROKEN
    assert rest.startswith(BROKEN[first][1])


def test_no_file_is_left_beside_the_plugin_directory(kit, seen):
    parent = kit.cluster.node("node-1").plugin_dir.parent

    def stages() -> list[str]:
        return [found.name for found in parent.iterdir() if found.name.startswith(".flexvolume")]

    until(lambda: not stages(), 30, "all stages are gone")
