"""Which foreign drivers a node has, when several dry runs tell of it."""

import pytest

from flexvolume_operator.assess.foreign import NOBODY, ForeignDrivers, Found
from flexvolume_operator.model.report import Foreign, Report

OLD = Foreign("example.com/old", "a" * 64, "InitTimeout")
NFS = Foreign("example.com/nfs", "b" * 64, "Success")


def report(*drivers, count=0):
    return Report(
        v=1, component="install", result="WouldInstall", foreign=drivers, foreign_count=count
    )


@pytest.fixture
def found():
    return ForeignDrivers()


def anybody(_driver):
    return True


def test_they_are_those_of_the_last_dry_run(found):
    assert found.heard("n1", "nfs", report(NFS, OLD))
    assert not found.heard("n1", "nfs", report(NFS, OLD))
    assert found.on("n1", anybody) == Found((NFS, OLD), 2)
    assert found.heard("n1", "nfs", report(OLD))
    assert found.on("n1", anybody) == Found((OLD,), 1)
    assert found.on("n2", anybody) == NOBODY


def test_only_the_first_are_listed_but_all_are_counted(found):
    found.heard("n1", "nfs", report(NFS, count=30))
    assert found.on("n1", anybody) == Found((NFS,), 30)


def test_a_run_that_is_none_ends_it(found):
    assert not found.heard("n1", "nfs", report())
    found.heard("n1", "nfs", report(OLD))
    assert found.heard("n1", "nfs", report())
    assert found.on("n1", anybody) == NOBODY


def test_the_lists_of_two_dry_runs_are_one(found):
    found.heard("n1", "nfs", report(OLD, count=9))
    found.heard("n1", "san", report(NFS, OLD))
    assert found.on("n1", anybody) == Found((NFS, OLD), 9)
    assert found.on("n1", lambda driver: driver == "nfs") == Found((OLD,), 9)


def test_a_node_is_forgotten(found):
    found.heard("n1", "nfs", report(OLD))
    found.forget("n1")
    assert found.on("n1", anybody) == NOBODY


def test_equal_lists_are_kept_once(found):
    for node in ("n1", "n2"):
        found.heard(node, "nfs", report(Foreign("example.com/x", "c" * 64, "Success")))
    assert found.on("n1", anybody).drivers is found.on("n2", anybody).drivers
