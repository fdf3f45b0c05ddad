"""New versions: a bad one changes nothing on the node, a good one replaces the file in one step."""

from pathlib import Path

import pytest

from tests.support import drivers
from tests.support.aside import Aside
from tests.support.kit import flexdriver, is_stalled

pytestmark = pytest.mark.node


class Reader(Aside):
    """Reads a file over and over; what it saw, and when it was not there."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.seen: set[bytes] = set()
        self.missing = 0
        self.reads = 0
        self._path = path

    def step(self) -> None:
        self.reads += 1
        try:
            self.seen.add(self._path.read_bytes())
        except FileNotFoundError:
            self.missing += 1


@pytest.fixture(scope="module")
def path(kit, image):
    """Version 1, installed."""
    kit.apply(flexdriver("moving", image("moving-1", {"/moving": drivers.good("1")})))
    kit.until_ready("moving")
    yield kit.cluster.node("node-1").path(kit.install("moving")["path"])
    kit.delete("flexdriver", "moving")


def test_a_version_that_fails_leaves_the_old_one_serving(kit, image, path):
    before = kit.install("moving")
    broken = drivers.answering("""echo '{"status":"Failure","message":"new bug"}'""")
    kit.apply(flexdriver("moving", image("moving-2", {"/moving": broken})))
    entry = kit.until_failed("moving")

    assert entry["reason"] == "InitFailed"
    assert "new bug" in entry["message"]
    assert entry["serving"] == before["serving"]
    assert entry["revision"] != before["revision"]
    assert path.read_bytes() == drivers.good("1")
    kit.until_status("moving", is_stalled, "it is Stalled")


def test_a_good_version_replaces_it_in_one_step(kit, image, path):
    reference = image("moving-3", {"/moving": drivers.good("3")})
    with Reader(path) as reader:
        kit.apply(flexdriver("moving", reference))
        kit.until_ready("moving")

    assert path.read_bytes() == drivers.good("3")
    assert reader.missing == 0
    assert reader.seen == {drivers.good("1"), drivers.good("3")}
    assert reader.reads > 100


def test_its_recovery_is_an_event(kit, path):
    told = kit.cluster.kubectl("describe", "flexdriver", "moving").partition("Events:")[2]
    assert "InitFailed" in told
    assert "NodeRecovered" in told
