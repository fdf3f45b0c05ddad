"""A real API server with its controllers, and nodes made by kwok; the operator as a process."""

import pytest

from testbed import Config
from tests.support.clusters import helm_install, running
from tests.support.operator import Operator


@pytest.fixture(scope="session")
def cluster():
    """No real node, so the operator's own pod stays pending and the tests' process acts."""
    with running("tests-cluster", Config(nodes=0)) as kit:
        helm_install(kit, wait=False)
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
