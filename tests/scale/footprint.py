"""(d) (e): memory and CPU of the operator with thousands of nodes, and its start among them."""

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.scale.figures import Goal, Row, Section
from tests.scale.fleet import Fleet
from tests.scale.plan import Plan, Tell
from tests.scale.subject import Subject
from tests.support.clusters import nodeless
from tests.support.kit import Kit, flexdriver, until

DRIVERS = ("one", "two", "three")
SETTLE = 20.0
MEMORY = {1000: 130, 5000: 170}

Figures = defaultdict[str, list[float]]


def measure(plan: Plan, tell: Tell) -> list[Section]:
    """The sections d and e."""
    used: list[Row] = []
    starts: list[Row] = []
    for size in (plan.many, plan.most):
        found: Figures = defaultdict(list)
        for run in range(plan.runs):
            tell(f"(d) {size:,} nodes with {len(DRIVERS)} drivers, run {run + 1} of {plan.runs}")
            with fleet(size) as (kit, operator, nodes):
                install(kit, operator, nodes, found)
                operator.stop()
                restart(operator, size, found)
        used += footprint(size, found)
        goal = Goal("<", 10) if size == plan.most else None
        what = f"exec until all is known, {size:,} nodes with {len(DRIVERS)} drivers"
        starts.append(Row(what, "s", found["start"], goal))
    return [
        Section("d", "Memory and CPU", NOTE, used),
        Section(
            "e",
            "A start",
            "The operator is started where (d) left off, the Lease is free. All is known when its "
            "metrics show every driver installed on every node; imports are included.",
            starts,
        ),
    ]


NOTE = (
    f"{len(DRIVERS)} FlexDrivers on each of the nodes, whose objects have the size of real ones. "
    "Each run is a cluster of its own without kubelets and controllers: pods are created Ready, in "
    "two writes each, as fast as the API server takes them. The operator is a process of its own, "
    f"with its ServiceAccount's rights; it has settled {SETTLE:.0f} s after the last FlexDriver is "
    "Ready."
)


@contextmanager
def fleet(size: int) -> Iterator[tuple[Kit, Subject, Fleet]]:
    """A cluster with so many nodes, and the operator, which does not run yet."""
    with ExitStack() as stack:
        kit = stack.enter_context(nodeless("bench-large"))
        operator = Subject(kit, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.callback(operator.kill)
        nodes = Fleet(kit)
        nodes.grow(size)
        yield kit, operator, nodes


def populate(kit: Kit, nodes: Fleet) -> None:
    """Install one driver after the other on all nodes."""
    for driver in DRIVERS:
        kit.apply(flexdriver(driver))
        nodes.install(driver)
        kit.until_ready(driver, timeout=120)


def install(kit: Kit, operator: Subject, nodes: Fleet, found: Figures) -> None:
    """One process, from its start among nodes without drivers until all is quiet."""
    operator.start()
    populate(kit, nodes)
    time.sleep(SETTLE)
    found["peak"].append(operator.peak)
    found["settled"].append(operator.resident)
    found["cpu"].append(operator.cpu)


def restart(operator: Subject, size: int, found: Figures) -> None:
    """Another one, among nodes that have them."""
    began = time.monotonic()
    operator.spawn()
    until(lambda: operator.knows(DRIVERS, size), 120, "all is known")
    found["start"].append(time.monotonic() - began)
    time.sleep(SETTLE)
    found["peak again"].append(operator.peak)
    found["settled again"].append(operator.resident)
    found["cpu again"].append(operator.cpu)
    operator.stop()


def footprint(size: int, found: Figures) -> list[Row]:
    """The rows of (d) for one number of nodes."""
    of = f"{size:,} nodes"
    limit = Goal("<=", MEMORY[size]) if size in MEMORY else None
    return [
        Row(f"peak memory, installation, {of}", "MiB", found["peak"], limit),
        Row(f"peak memory, start with all in place, {of}", "MiB", found["peak again"], limit),
        Row(f"settled memory after the installation, {of}", "MiB", found["settled"]),
        Row(f"settled memory after the start, {of}", "MiB", found["settled again"]),
        Row(f"CPU of the installation, start included, {of}", "s", found["cpu"]),
        Row(f"CPU of the start with all in place, {of}", "s", found["cpu again"]),
    ]
