"""At rest the operator writes nothing but its Lease: every other write costs all who watch."""

import time

import pytest

from tests.support.kit import until

pytestmark = pytest.mark.node

REST = 120.0
OPERATOR = "system:serviceaccount:flexvolume-system:flexvolume-operator"
WRITES = {"create", "update", "patch", "delete", "deletecollection"}


@pytest.mark.timeout(200)
def test_two_minutes_of_rest_are_silent_but_for_the_lease(resting):
    until(lambda: time.time() - resting.since >= REST, REST + 5, "two minutes have passed")
    requests = resting.requests(OPERATOR)
    writes = [request for request in requests if request["verb"] in WRITES]

    assert {(w["verb"], w["objectRef"]["resource"]) for w in writes} == {("update", "leases")}
    # One every two seconds, for as long as it has been.
    assert len(writes) >= REST / 4
    # Reads: each watch is opened anew every few minutes, and FlexDrivers are listed once a minute.
    reads = len(requests) - len(writes)
    assert reads < (time.time() - resting.since) / 10


def test_the_states_have_not_moved(resting):
    states = {name: resting.kit.install(name)["state"] for name in ("hostfile", "broken")}
    assert states == {"hostfile": "Installed", "broken": "Failed"}
