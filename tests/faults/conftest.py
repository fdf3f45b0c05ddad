"""A real control plane that things happen to, and the operator as a process behind a proxy.

`--long` asks for all repetitions and full durations; `--seed` for the random choices of a run.
"""

import random

import pytest

from tests.support.clusters import nodeless
from tests.support.kit import flexdriver
from tests.support.operator import Operator
from tests.support.proxy import Proxy
from tests.support.scene import look, until_right
from tests.support.supervisor import Supervisor

NODES = 24


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="all repetitions and full durations")
    parser.addoption("--seed", type=int, default=None, help="repeat the random choices of a run")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.seed is None:
        config.option.seed = random.randrange(1_000_000)


def pytest_report_header(config: pytest.Config) -> str:
    return f"random choices: --seed={config.option.seed}"


@pytest.fixture(scope="session")
def long(request):
    """Whether there is time for all repetitions and full durations."""
    return request.config.option.long


@pytest.fixture
def rng(request):
    """Each test has a sequence of its own, so that one test alone can be repeated."""
    return random.Random(f"{request.config.option.seed} {request.node.nodeid}")


@pytest.fixture(scope="session")
def cluster():
    with nodeless("tests-faults") as kit:
        kit.cluster.fake_nodes(NODES)
        until_right(kit, set())
        yield kit


@pytest.fixture(scope="module")
def proxy(cluster, tmp_path_factory):
    with Proxy(cluster.cluster.layout, tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def supervisor(cluster, proxy, tmp_path_factory):
    """The operator, reaching the API server through the proxy, and started again if it ends."""
    operator = Operator(cluster, tmp_path_factory.mktemp("operator"), server=proxy.url)
    with Supervisor(operator) as supervisor:
        yield supervisor


@pytest.fixture
def steady(cluster, supervisor):
    """A FlexDriver that is Ready and that nobody touches; there is no other."""
    return only(cluster, flexdriver("steady"))


def only(cluster, *flexdrivers):
    """Have these FlexDrivers and no others; the scene once all is right."""
    names = {body["metadata"]["name"] for body in flexdrivers}
    if others := look(cluster).flexdrivers.keys() - names:
        cluster.delete("flexdriver", *others)
    if flexdrivers:
        cluster.apply(*flexdrivers)
    return until_right(cluster, names)
