"""The running operator: opens the watches, keeps one task per FlexDriver and wakes it.

Changes are only marked here; what they mean is the reconcilers' business.
"""

import asyncio
import logging
import random
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from aiohttp import web

from flexvolume_operator.cluster import flexdrivers
from flexvolume_operator.cluster.children import Children
from flexvolume_operator.cluster.client import ApiError, Client, Json, load_configuration
from flexvolume_operator.cluster.events import Recorder
from flexvolume_operator.cluster.lease import Lease
from flexvolume_operator.cluster.podindex import PodIndex
from flexvolume_operator.cluster.sources import Sources
from flexvolume_operator.cluster.store import Store, list_whole
from flexvolume_operator.health import Health, serve
from flexvolume_operator.landscape import Landscape
from flexvolume_operator.model.flexdriver import FlexDriver
from flexvolume_operator.model.names import INSTALLER_SELECTOR
from flexvolume_operator.model.objects import DaemonSet, Node, Pod
from flexvolume_operator.model.wire import DAEMONSETS, NODES, PODS
from flexvolume_operator.reconcile import Reconciler
from flexvolume_operator.render.daemonset import Installer
from flexvolume_operator.settings import Settings
from flexvolume_operator.worker import Worker
from flexvolume_operator.world import World

_LEASE: Final = "flexvolume-operator"
# kopf delivers FlexDrivers; this finds what it may have missed, and shows if it has died.
_RESYNC: Final = 60.0
_LOG: Final = logging.getLogger(__name__)


class Controller:
    """Everything that runs, from the first watch to the last connection closed."""

    def __init__(self, settings: Settings, stop: asyncio.Event) -> None:
        self.settings = settings
        self._stop = stop
        self._health = Health()
        self._workers: dict[str, Worker] = {}
        self._versions: dict[str, str] = {}
        self._missed_since: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._web: web.AppRunner | None = None
        self._clients: list[Client] = []
        self._lease: Lease | None = None
        self._landscape: Landscape | None = None
        self._world: World | None = None

    async def start(self) -> None:
        """Wait to be the one that acts, fill the stores, take up every FlexDriver."""
        self._web = await serve(self._health, self.settings.listen)
        configuration = await load_configuration(self.settings.kubeconfig)
        client = Client(configuration)
        self._clients.append(client)
        if self.settings.lease_namespace:
            self._clients.append(Client(configuration))
            namespace, identity = self.settings.lease_namespace, self.settings.identity
            self._lease = Lease(self._clients[-1], namespace, _LEASE, identity)
            # A standby is as ready as it can be; rollouts of the operator wait for that.
            self._health.ready = True
            await self._lease.acquire()
            client.before_write = self._lease.check
            self._spawn(self._lease.keep())
        await self._open(client)
        self._health.ready = True

    async def stop(self) -> None:
        """End all work, then let the next one take over."""
        # kopf may have heard of the end by a signal of its own; its waiter for ours has to end too.
        self._stop.set()
        self._health.ready = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._lease is not None:
            await self._lease.release()
        if self._landscape is not None:
            await self._landscape.close()
        for client in self._clients:
            await client.close()
        if self._web is not None:
            await self._web.cleanup()

    def flexdriver_changed(self, body: Json, *, gone: bool) -> None:
        """A FlexDriver as kopf delivers it: as it is now, or as it last was when it is gone."""
        self._missed_since = None
        known = self._versions.get(body["metadata"]["name"], "0")
        # kopf deals with several objects at once, also with two that had one name after the other.
        if int(body["metadata"]["resourceVersion"]) >= int(known):
            self._take_in(body, gone=gone)

    def _take_in(self, body: Json, *, gone: bool = False) -> None:
        name = body["metadata"]["name"]
        self._versions[name] = body["metadata"]["resourceVersion"]
        if gone:
            self._flexdriver_gone(name)
            return
        worker = self._workers.get(name)
        if worker is None or worker.reconciler.body["metadata"]["uid"] != body["metadata"]["uid"]:
            self._flexdriver_gone(name)
            self._take_up(name, body)
            return
        before, worker.reconciler.body = worker.reconciler.body, body
        if _asked(before) != _asked(body):
            self._wake_all()

    def _flexdriver_gone(self, name: str) -> None:
        worker = self._workers.pop(name, None)
        if worker is None:
            return
        if worker.task is not None:
            worker.task.cancel()
        worker.reconciler.gone()
        self._wake_all()

    def _take_up(self, name: str, body: Json) -> None:
        if self._world is None:
            return
        worker = Worker(Reconciler(name, self._world, body))
        self._workers[name] = worker
        worker.task = self._spawn(worker.run())
        self._wake_all()

    def _wake_one(self, name: str) -> None:
        if (worker := self._workers.get(name)) is not None:
            worker.wake()

    def _wake_all(self) -> None:
        """Rivals come and go with each other."""
        for worker in self._workers.values():
            worker.wake()

    async def _open(self, client: Client) -> None:
        """Open the watches and wait until all that is there is known."""
        namespace = self.settings.installer_namespace
        pods_path = f"/api/v1/namespaces/{namespace}/pods"
        children_path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets"
        index = PodIndex()
        nodes = Store(client, "/api/v1/nodes", NODES, self._node_changed)
        landscape = Landscape.open(client, self.settings, nodes.items, self._wake_for)
        self._landscape = landscape

        def pod_changed(old: Pod | None, new: Pod | None) -> None:
            index.changed(old, new)
            self._pod_changed(old, new)

        pods = Store(client, pods_path, PODS, pod_changed, selector=INSTALLER_SELECTOR)
        children = Store(
            client, children_path, DAEMONSETS, self._child_changed, selector=INSTALLER_SELECTOR
        )
        stores: dict[str, Store[Any]] = {
            "nodes": nodes,
            "pods": pods,
            "daemonsets": children,
            **landscape.stores,
        }
        # First, as what pods tell of a node means nothing without it.
        self._spawn(nodes.run())
        await nodes.synced.wait()
        for store in stores.values():
            if store is not nodes:
                self._spawn(store.run())
        await asyncio.gather(*(store.synced.wait() for store in stores.values()))
        sources = Sources(client, namespace, self._wake_one, self._spawn)
        known = await list_whole(client, flexdrivers.COLLECTION)
        landscape.load({body["metadata"]["name"] for body in known})
        self._world = World(
            client=client,
            installer=Installer(
                namespace, self.settings.installer_image, self.settings.installer_image_pull_policy
            ),
            nodes=nodes.items,
            pods=index,
            daemonsets=children.items,
            children=Children(client, children_path),
            flexnodes=landscape.flexnodes,
            inquiry=landscape.inquiry,
            managers=landscape.managers,
            recorder=Recorder(client),
            sources=sources,
            rivals=self._rivals,
        )
        ages = {n: store.silence for n, store in stores.items() if n not in landscape.quiet}
        self._health.watches = ages | {"flexdrivers": self._lag, "sources": sources.silence}
        for body in known:
            self._take_in(body)
        for work in landscape.work():
            self._spawn(work)
        self._spawn(self._resync(client))

    async def _resync(self, client: Client) -> None:
        """Take in FlexDrivers whose change kopf did not deliver."""
        while True:
            await asyncio.sleep(_RESYNC * random.uniform(0.9, 1.1))  # noqa: S311
            before = dict(self._versions)
            try:
                bodies = await list_whole(client, flexdrivers.COLLECTION)
            except ApiError as error:
                _LOG.warning("FlexDrivers not listed: %s", error)
                continue
            listed = {body["metadata"]["name"]: body for body in bodies}
            for name in before.keys() | listed.keys():
                # What kopf delivered meanwhile may be newer than the list.
                if self._versions.get(name) == before.get(name):
                    self._compare(name, listed.get(name), before.get(name))

    def _compare(self, name: str, listed: Json | None, version: str | None) -> None:
        """Take in what the list shows and kopf did not deliver."""
        if listed is None:
            missed = name in self._workers
            self._versions.pop(name, None)
            self._flexdriver_gone(name)
        else:
            missed = listed["metadata"]["resourceVersion"] != version
            if missed:
                self._take_in(listed)
        if missed and self._missed_since is None:
            self._missed_since = time.monotonic()

    def _lag(self) -> float:
        """Seconds since a change was found that kopf has not delivered, with nothing since."""
        return 0.0 if self._missed_since is None else time.monotonic() - self._missed_since

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        changed = new or old
        if self._landscape is None or changed is None:
            return
        self._landscape.node_changed(changed.name)
        self._wake_for(changed.name)

    def _wake_for(self, node: str) -> None:
        """Something else is known of a node."""
        for worker in self._workers.values():
            worker.wake(node)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        changed = new or old
        if self._landscape is not None and new is not None:
            # First, as it may change where the pod is to be judged.
            self._landscape.pod_changed(old, new)
        if changed is not None and (worker := self._workers.get(changed.flexdriver)):
            worker.wake(changed.node)

    def _child_changed(self, old: DaemonSet | None, new: DaemonSet | None) -> None:
        changed = new or old
        if changed is not None and (worker := self._workers.get(changed.flexdriver)):
            # Its status changes with every pod; what it asks for, when somebody meddles.
            worker.wake(urgent=old is None or new is None or old.generation != new.generation)

    def _rivals(self, flexdriver: FlexDriver) -> Sequence[str]:
        """Names of the other FlexDrivers that name the same vendor and driver."""
        mine = (flexdriver.spec.vendor, flexdriver.spec.driver)
        return sorted(
            name
            for name, worker in self._workers.items()
            if name != flexdriver.name and _driver(worker.reconciler.body) == mine
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run for as long as the process does; what ends with an error takes the process along."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _LOG.critical("a task ended: stopping", exc_info=task.exception())
            self._stop.set()


def _asked(body: Json) -> tuple[object, ...]:
    """What of a FlexDriver somebody can have changed that matters; our own status does not."""
    meta = body["metadata"]
    return (
        meta["generation"],
        meta.get("deletionTimestamp"),
        meta.get("finalizers"),
        meta.get("annotations"),
    )


def _driver(body: Json) -> tuple[str, str]:
    return body["spec"].get("vendor", ""), body["spec"].get("driver", "")
