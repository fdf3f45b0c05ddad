"""A real API server with its controllers, and nodes made by kwok; the operator as a process."""

import pytest

from tests.support.clusters import nodeless
from tests.support.operator import Operator


@pytest.fixture(scope="session")
def cluster():
    with nodeless("tests-cluster") as kit:
        yield kit


@pytest.fixture(scope="session")
def process(cluster, tmp_path_factory):
    found = Operator(cluster, tmp_path_factory.mktemp("operator"))
    yield found
    found.kill()


@pytest.fixture
def operator(process):
    """The running operator; a test that stopped it need not start it again."""
    if process._process is None:
        process.start()
    return process
