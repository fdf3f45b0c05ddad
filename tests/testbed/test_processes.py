"""Processes are found by their environment alone."""

import os

import pytest

from testbed import processes


@pytest.fixture
def cluster(tmp_path):
    yield tmp_path
    processes.kill(tmp_path)


def start(cluster, role, script):
    processes.start(cluster, role, ["sh", "-c", script], cluster / "log")


def test_children_belong_to_the_role_of_their_parent_and_end_with_it(cluster):
    start(cluster, "one", "sleep 1000 & sleep 1000 & echo started; wait")
    start(cluster, "two", "exec sleep 1000")
    assert set(processes.running(cluster)) == {"one", "two"}
    processes.kill(cluster, "one")
    assert set(processes.running(cluster)) == {"two"}
    assert processes.has_stopped(cluster, "one")
    assert not processes.has_stopped(cluster, "two")


def test_another_clusters_processes_are_left_alone(cluster):
    other = cluster / "other"
    other.mkdir()
    start(other, "one", "exec sleep 1000")
    processes.kill(cluster)
    assert processes.running(other)
    processes.kill(other)
    assert not processes.running(other)


def test_a_process_is_seen_while_it_replaces_its_program(cluster):
    again = 'n=$((n + 1)); export n again; [ $n -gt 400 ] || exec sh -c "$again"'
    start(cluster, "busy", f"n=0; again='{again}'; {again}")
    looks = [bool(processes.running(cluster).get("busy")) for _ in range(20)]
    assert looks == sorted(looks, reverse=True)


def test_this_program_is_not_part_of_any_cluster(cluster):
    assert processes.CLUSTER not in os.environ
    assert not processes.running(cluster)
