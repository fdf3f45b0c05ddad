"""What it costs to know all FlexNodes: kopf's on.event beside a store of our own.

    scripts/with-env python -m tests.scale.flexnode_watch 5000

Brings up a cluster without nodes, creates that many FlexNodes, and lets each way, in a process of
its own and in turn, take them all in. Prints seconds until the last one is known, CPU seconds and
peak resident memory, imports included. (docs/adr/0003)
"""

import asyncio
import json
import os
import resource
import subprocess
import sys
import time

from testbed import Config
from testbed.api import connect
from tests.support.clusters import running
from tests.support.crds import install_crds
from tests.support.kit import Kit

RUNS = 3


def flexnode_body(number: int) -> dict[str, object]:
    """A FlexNode as three drivers leave it."""
    entry = {
        "role": "kubelet",
        "vendor": "example.com",
        "state": "Installed",
        "revision": "0d4bd19933",
        "image": "registry.example/driver@sha256:" + "e" * 64,
        "sha256": "a" * 64,
        "serving": {"revision": "0d4bd19933", "sha256": "a" * 64},
        "capabilities": {"attach": False, "fsGroup": True},
        "bootID": f"{number:08d}-b15a-432a-a5d3-2b73ed405d8f",
        "lastTransitionTime": "2026-11-22T19:10:09Z",
    }
    directory = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"
    drivers = ("nfs", "cifs", "san")
    return {
        "apiVersion": "flexvolume.io/v1alpha1",
        "kind": "FlexNode",
        "metadata": {"name": f"node-{number:05d}", "labels": {"flexvolume.io/state": "Installed"}},
        "status": {
            "summary": "3/3",
            "state": "Installed",
            "pluginDir": {"path": directory, "source": "Default"},
            "installs": [
                entry | {"driver": name, "name": name, "path": f"{directory}/example.com~{name}"}
                for name in drivers
            ],
        },
    }


async def by_kopf(kubeconfig: str, count: int) -> None:
    """Every event through a handler that keeps the body, as kopf gives it."""
    import kopf  # noqa: PLC0415

    from flexvolume_operator.cluster.client import load_configuration  # noqa: PLC0415

    stop, known, registry = asyncio.Event(), {}, kopf.OperatorRegistry()

    @kopf.on.login(registry=registry, id="login")
    async def login(**_: object) -> kopf.ConnectionInfo:
        found = await load_configuration(kubeconfig)
        return kopf.ConnectionInfo(
            server=found.host,
            ca_path=found.ssl_ca_cert,
            certificate_path=found.cert_file,
            private_key_path=found.key_file,
        )

    @kopf.on.event("flexvolume.io", "v1alpha1", "flexnodes", registry=registry, id="seen")
    async def seen(body: kopf.Body, **_: object) -> None:
        known[body.meta.name] = dict(body)
        if len(known) == count:
            report()
            stop.set()

    await kopf.operator(registry=registry, clusterwide=True, standalone=True, stop_flag=stop)


async def by_store(kubeconfig: str, count: int) -> None:
    """The operator's own store."""
    from flexvolume_operator.cluster.client import Client, load_configuration  # noqa: PLC0415
    from flexvolume_operator.cluster.store import Store  # noqa: PLC0415
    from flexvolume_operator.model.flexnode import FLEXNODES, FlexNode  # noqa: PLC0415

    def changed(_old: FlexNode | None, _new: FlexNode | None) -> None:
        """Nothing to wake here."""

    client = Client(await load_configuration(kubeconfig))
    store = Store(client, "/apis/flexvolume.io/v1alpha1/flexnodes", FLEXNODES, changed)
    task = asyncio.create_task(store.run())
    await store.synced.wait()
    assert len(store.items) == count
    report()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await client.close()


STARTED = time.monotonic()
WAYS = {"kopf on.event": by_kopf, "own store": by_store}


def report() -> None:
    """Print what it took this process, as one JSON object."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "seconds": round(time.monotonic() - STARTED, 1),
        "cpu": round(used.ru_utime + used.ru_stime, 1),
        "peak MiB": used.ru_maxrss // 1024,
    }
    print(json.dumps(figures), flush=True)


def fill(kit: Kit, count: int) -> None:
    """Create the FlexNodes."""
    install_crds(kit)
    with connect(kit.cluster.layout) as api:
        for number in range(count):
            api.request("POST", "/apis/flexvolume.io/v1alpha1/flexnodes", flexnode_body(number))


def main() -> None:
    """Run both ways in turn, or one of them in this process."""
    if len(sys.argv) == 4:
        asyncio.run(WAYS[sys.argv[1]](sys.argv[2], int(sys.argv[3])))
        return
    count = int(sys.argv[1])
    with running("scale", Config(nodes=0)) as kit:
        fill(kit, count)
        print(f"| {count} FlexNodes | seconds | CPU seconds | peak MiB |\n|---|---|---|---|")
        for _ in range(RUNS):
            for way in WAYS:
                command = [sys.executable, "-m", "tests.scale.flexnode_watch", way]
                command += [str(kit.kubeconfig), str(count)]
                done = subprocess.run(command, capture_output=True, check=True, env=os.environ)
                figures = json.loads(done.stdout.splitlines()[-1])
                print(f"| {way} | " + " | ".join(map(str, figures.values())) + " |", flush=True)


if __name__ == "__main__":
    main()
