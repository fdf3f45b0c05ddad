"""Another installer fights for the driver's place: people get to know, and the guard gives way."""

from datetime import UTC, datetime

import pytest

from tests.support import drivers
from tests.support.kit import flexdriver, until

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

# Puts its own file back as soon as there is another one; /run/rival ends it.
RIVAL = """
printf '#!/bin/sh\\n# of somebody else\\n' > "$1/../.theirs" && chmod 755 "$1/../.theirs"
cp "$1/../.theirs" /run/theirs && rm "$1/../.theirs" && touch /run/rival
while [ -e /run/rival ]; do
    cmp -s /run/theirs "$1/fought" || { cp -p /run/theirs "$1/.new" && mv "$1/.new" "$1/fought"; }
    sleep 0.1
done
"""


@pytest.fixture(scope="module")
def fought(kit, image):
    """The driver's directory on the node, and a fight in it."""
    kit.apply(flexdriver("fought", image("fought", {"/fought": drivers.good("1")})))
    kit.until_ready("fought")
    node = kit.cluster.node("node-1")
    inside = kit.install("fought")["path"].rpartition("/")[0]
    detached = 'sh -c "$2" sh "$1" </dev/null >/dev/null 2>&1 &'
    node.exec(["sh", "-c", detached, "sh", inside, RIVAL])
    yield node.path(inside)
    node.exec(["rm", "-f", "/run/rival"])
    kit.delete("flexdriver", "fought")


def test_it_is_told_with_the_times_of_the_last_changes(kit, fought):
    entry = kit.until_failed("fought", timeout=120)
    assert entry["reason"] == "Contested"
    today = datetime.now(UTC).strftime("%Y-%m-%dT")
    assert entry["message"].count(f"content changed at {today}") > 1
    assert entry["repairs"]["count"] < 20


def test_the_driver_is_put_back_once_the_other_is_gone_and_not_sooner_than_in_a_minute(kit, fought):
    assert (fought / "fought").read_bytes() != drivers.good("1")
    kit.cluster.node("node-1").exec(["rm", "/run/rival"])

    def whole() -> bool:
        return (fought / "fought").read_bytes() == drivers.good("1")

    until(whole, 90, "it is put back")
    # Only ten quiet minutes show that the fight is over.
    assert kit.install("fought")["state"] == "Failed"
