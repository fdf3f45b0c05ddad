"""(i): what it costs to ask thousands of kubelets for their directory.

    scripts/with-env python -m tests.scale.asking CA ADDRESS COUNT ours|bare

is one process that asks so many; the benchmark starts it. `bare` is the floor beneath ours: a TLS
connection, a request written by hand and the answer read to its end, as often and as many at once.
"""

import asyncio
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import msgspec

from flexvolume_operator.directories.inquiry import Inquiry
from flexvolume_operator.directories.kubelets import Kubelets, Trust
from flexvolume_operator.directories.resolve import Opinions
from flexvolume_operator.model.objects import Node
from testbed import Config, fakekubelets
from tests.scale import process
from tests.scale.figures import Goal, Row, Section
from tests.scale.fleet import Fleet
from tests.scale.plan import Plan, Tell
from tests.scale.subject import Subject
from tests.support.clusters import helm_install, running
from tests.support.kit import Kit, flexdriver, until

ANSWERED = 'flexvolume_kubelet_lookups_total{result="Answered"}'
AT_ONCE = 24
REST = 60.0

Figures = defaultdict[str, list[float]]


def measure(plan: Plan, tell: Tell) -> list[Section]:
    """The section i."""
    found: Figures = defaultdict(list)
    for run in range(plan.runs):
        tell(f"(i) {plan.most:,} kubelets asked, run {run + 1} of {plan.runs}")
        with ExitStack() as stack:
            kit = stack.enter_context(running("bench-asking", Config(nodes=0)))
            layout = kit.cluster.layout
            fakekubelets.start(layout)
            ca, address = str(layout.pki / "ca.crt"), str(layout.gateway)
            for which in ("bare", "ours"):
                alone(found, which, [ca, address, str(plan.most), which], plan.most)
            helm_install(kit, wait=False)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            operator = Subject(kit, folder)
            stack.callback(operator.kill)
            nodes = Fleet(kit)
            nodes.grow(plan.most)
            operator.start()
            whole(found, kit, operator, plan)
            fakekubelets.forget(layout)
            time.sleep(min(REST, plan.rest))
            asked = fakekubelets.asked(layout).values()
            found["rest"].append(sum(request.count for each in asked for request in each))
    return [Section("i", "Kubelets asked", NOTE, rows(found, plan))]


NOTE = (
    "Each over a TLS connection of its own, 24 at once; all of them are the testbed's, one process "
    "that shares the machine's cores. Alone: nothing but the asking, in a process of its own, "
    "beside the same requests written by hand. In the operator: a FlexDriver is applied among "
    "nodes that nobody has been asked about, which are judged and labelled, too."
)


def rows(found: Figures, plan: Plan) -> list[Row]:
    many = f"{plan.most:,} kubelets"
    rest = f"kubelets asked in {min(REST, plan.rest):.0f} s of rest"
    return [
        Row(f"CPU for each kubelet, alone, of {many}", "ms", found["cpu ours"], Goal("<=", 4)),
        Row(f"CPU for each kubelet, by hand, of {many}", "ms", found["cpu bare"]),
        Row(f"{many}, alone", "s", found["time ours"], Goal("<", 40)),
        Row(f"{many}, by hand", "s", found["time bare"]),
        Row(f"memory beside the nodes, {many}, alone", "MiB", found["memory ours"], Goal("<", 30)),
        Row(f"FlexDriver applied until {many} have answered", "s", found["whole"]),
        Row(f"CPU of the operator meanwhile, {many}", "s", found["whole cpu"]),
        Row(rest, "", found["rest"], Goal("=", 0)),
    ]  # fmt: skip


def alone(found: Figures, which: str, arguments: list[str], count: int) -> None:
    """One process that does nothing else."""
    command = [sys.executable, "-m", "tests.scale.asking", *arguments]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    found[f"cpu {which}"].append(said["cpu"] * 1000 / count)
    found[f"time {which}"].append(said["time"])
    found[f"memory {which}"].append(said["memory"])


def whole(found: Figures, kit: Kit, operator: Subject, plan: Plan) -> None:
    """The operator among nodes of which it knows nothing."""
    used, began = operator.cpu, time.monotonic()
    kit.apply(flexdriver("asking"))
    until(lambda: operator.metric(ANSWERED) == plan.most, 180, "all have answered")
    found["whole"].append(time.monotonic() - began)
    found["whole cpu"].append(operator.cpu - used)


class Given:
    """A token that needs nobody."""

    async def get(self) -> str:
        return "token"

    async def renewed(self) -> str:
        return "token"


async def ours(authority: str, address: str, count: int) -> dict[str, float]:
    """By the operator's own means."""
    nodes = {
        name: Node(name, uid=name, ready=True, address=address, kubelet_port=fakekubelets.PORT)
        for name in (f"node-{number:05d}" for number in range(count))
    }
    done = asyncio.Event()
    left = set(nodes)

    def changed(name: str) -> None:
        left.discard(name)
        if not left:
            done.set()

    kubelets = Kubelets(Trust(authority, required=True), Given())
    inquiry = Inquiry(nodes, Opinions(), kubelets.ask, lambda _: None, changed)
    asking = asyncio.create_task(inquiry.run())
    meter = Meter()
    for node in nodes.values():
        inquiry.of(node)
    await done.wait()
    used = meter.read()
    asking.cancel()
    await kubelets.close()
    assert all(inquiry.of(node).source == "Kubelet" for node in nodes.values())
    return used


async def bare(authority: str, address: str, count: int) -> dict[str, float]:
    """As little as can be done."""
    context = ssl.create_default_context(cadata=authority)
    request = f"GET /configz HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer token\r\n"
    request += "Connection: close\r\n\r\n"
    queue = iter(range(count))
    found = []

    async def work() -> None:
        for _ in queue:
            reader, writer = await asyncio.open_connection(address, fakekubelets.PORT, ssl=context)
            writer.write(request.encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]
            found.append(msgspec.json.decode(await reader.readexactly(int(length))))
            writer.close()

    meter = Meter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    used = meter.read()
    assert len(found) == count
    return used


class Meter:
    """Seconds, CPU seconds, and MiB at most beyond those at its start."""

    def __init__(self) -> None:
        self._memory = process.memory(os.getpid(), "VmRSS")
        self._cpu, self._began = time.process_time(), time.monotonic()

    def read(self) -> dict[str, float]:
        return {
            "cpu": time.process_time() - self._cpu,
            "time": time.monotonic() - self._began,
            "memory": process.memory(os.getpid(), "VmHWM") - self._memory,
        }


if __name__ == "__main__":
    file, host, number, way = sys.argv[1:]
    run = {"ours": ours, "bare": bare}[way]
    print(json.dumps(asyncio.run(run(Path(file).read_text(), host, int(number)))))
