"""Two clusters with a real kubelet each: one that tests work on, one that is left in peace.

The second shows what the operator does when nothing happens, and it takes no time of its own: it
rests while the first is worked on.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from testbed import images
from tests.support import drivers
from tests.support.clusters import prepared, running
from tests.support.kit import Kit, flexdriver


@pytest.fixture(scope="session", autouse=True)
def _images():
    images.build_all()


@pytest.fixture(scope="session")
def kit(_images, resting):
    with running("tests-node") as kit:
        yield prepared(kit)


@pytest.fixture(scope="session")
def image(kit, tmp_path_factory) -> Callable[..., str]:
    """Makes an image of files and loads it into the node; its reference."""
    folder = tmp_path_factory.mktemp("images")

    def load(name: str, files: dict[str, bytes], config: dict[str, Any] | None = None) -> str:
        reference, archive = drivers.archive(folder, name, files, config)
        kit.cluster.load_image(archive)
        return reference

    return load


@dataclass(frozen=True)
class Resting:
    """A cluster in which nothing has been asked for since the moment `since` (epoch seconds)."""

    kit: Kit
    since: float

    def requests(self, user: str) -> list[dict[str, Any]]:
        """The user's requests since then, from the audit log."""
        lines = self.kit.cluster.audit_log.read_text().splitlines()
        entries = (json.loads(line) for line in lines)
        return [
            entry
            for entry in entries
            if entry["user"]["username"] == user and _received(entry) > self.since
        ]


def _received(entry: dict[str, Any]) -> float:
    stamp = entry["requestReceivedTimestamp"].removesuffix("Z")
    whole, _, fraction = stamp.partition(".")
    moment = time.strptime(whole + "+0000", "%Y-%m-%dT%H:%M:%S%z")
    return float(time.mktime(moment)) - time.timezone + float(f"0.{fraction or 0}")


@pytest.fixture(scope="session")
def resting(_images, tmp_path_factory):
    """One driver that works and one that fails, both settled."""
    with running("tests-rest") as kit:
        prepared(kit)
        init = """echo '{"status":"Failure","message":"no storage"}'"""
        folder = tmp_path_factory.mktemp("rest")
        reference, archive = drivers.archive(folder, "broken", {"/broken": drivers.answering(init)})
        kit.cluster.load_image(archive)
        kit.apply(flexdriver("hostfile"), flexdriver("broken", reference))
        kit.until_ready("hostfile")
        kit.until_failed("broken")
        yield Resting(kit, time.time() + 2)
