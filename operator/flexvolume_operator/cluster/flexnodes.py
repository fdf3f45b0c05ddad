"""The one writer of FlexNodes: merges what each FlexDriver's reconciler says of a node.

Two appliers of one object would delete each other's entries, and a write per step of an
installation would be ten times the writes that matter. So entries are collected here; final
states are written at once, passing ones only when they last.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from flexvolume_operator.cluster.client import ApiError, Client
from flexvolume_operator.cluster.store import Store
from flexvolume_operator.model.flexnode import (
    FLEXNODES,
    FlexNode,
    Install,
    Key,
    LeftBehind,
    Machine,
    State,
    flexnode,
)
from flexvolume_operator.model.names import API_VERSION, FIELD_MANAGER, Role
from flexvolume_operator.model.objects import Node
from flexvolume_operator.model.reasons import Reason
from flexvolume_operator.model.times import rfc3339
from flexvolume_operator.schedule import Schedule

_PATH: Final = f"/apis/{API_VERSION}/flexnodes"
_WRITERS: Final = 32
# What is written there is put right after so long when it has become a passing state.
_PASSING: Final = 5.0
# A driver that is not named there yet is named after so long while it is under way. A healthy
# installation is over by then, and costs one write.
_NEW: Final = 60.0
# A FlexNode that differs may be an echo of our own last write but one.
_FOREIGN: Final = 1.0
_LOG: Final = logging.getLogger(__name__)


class FlexNodes:
    """What each node has of each driver, kept equal to the FlexNodes in the API.

    `nodes` is the live store of Nodes; `machine` gives what is known of a node itself;
    `emptied(name)` is called when no driver has anything to do with a node any more.
    """

    def __init__(
        self,
        client: Client,
        nodes: Mapping[str, Node],
        machine: Callable[[Node], Machine],
        emptied: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.store: Store[FlexNode] = Store(client, _PATH, FLEXNODES, self._seen)
        self._client = client
        self._nodes = nodes
        self._machine = machine
        self._emptied = emptied
        self._entries: dict[str, dict[Key, Install]] = {}
        self._left: dict[str, dict[Key, LeftBehind]] = {}
        self._schedule = Schedule(self._write, _WRITERS)

    def load(self, drivers: set[str]) -> None:
        """Begin with what the API remembers, without entries of FlexDrivers that are gone."""
        for name, known in self.store.items.items():
            node = self._nodes.get(name)
            # One that was made anew under the same name has nothing of what its namesake had.
            same = node is not None and node.uid == known.machine.uid
            kept = [i for i in known.installs if same and i.driver in drivers]
            left = [f for f in known.left_behind if same and f.driver in drivers]
            self._entries[name] = {install.key: install for install in kept}
            if left:
                self._left[name] = {file.key: file for file in left}
            self._schedule.add(name)

    def entry(self, node: str, key: Key) -> Install | None:
        """The latest entry of a driver on a node."""
        return self._entries.get(node, {}).get(key)

    def put(self, node: str, install: Install) -> None:
        """Take in a driver's entry; it is the only one of this driver in this role."""
        entries = self._entries.setdefault(node, {})
        if entries.get(install.key) == install:
            return
        for key in [k for k in entries if k[:2] == install.key[:2] and k != install.key]:
            self._leave(node, entries.pop(key))
        entries[install.key] = install
        self._left.get(node, {}).pop(install.key, None)
        self._schedule.add(node, self._patience(node, install))

    def drop(self, node: str, driver: str, role: Role | None = None) -> None:
        """The driver has nothing to do with the node any more, or not in this role."""
        entries, left = self._entries.get(node, {}), self._left.get(node, {})
        keys = [key for key in entries if key[0] == driver and role in (None, key[1])]
        gone = [entries.pop(key) for key in keys]
        if any(key[0] == driver for key in entries):
            for old in gone:
                self._leave(node, old)
        else:
            for key in [key for key in left if key[0] == driver]:
                del left[key]
        if gone:
            self._schedule.add(node)
        if not entries:
            self._left.pop(node, None)
            self._emptied(node)

    def _leave(self, node: str, old: Install) -> None:
        """Remember the file of an entry that goes, if there is one."""
        if old.path and old.serving.sha256:
            self._left.setdefault(node, {})[old.key] = LeftBehind(
                driver=old.driver,
                role=old.role,
                path=old.path,
                revision=old.serving.revision,
                sha256=old.serving.sha256,
                since=rfc3339(time.time()),
            )

    def has(self, node: str, driver: str) -> bool:
        """Whether the driver has an entry on the node."""
        return any(key[0] == driver for key in self._entries.get(node, ()))

    def holding(self, driver: str, role: Role | None = None) -> list[str]:
        """Nodes that have an entry of the driver, or one in this role."""
        return [
            node
            for node, entries in self._entries.items()
            if any(k[0] == driver and role in (None, k[1]) for k in entries)
        ]

    def changed(self, name: str) -> None:
        """A Node appeared, changed or vanished, or something else is known of it now."""
        if name not in self._nodes:
            self._entries.pop(name, None)
            self._left.pop(name, None)
        wanted, known = self._wanted(name), self.store.items.get(name)
        if wanted is not None and known is not None and wanted.machine.uid != known.machine.uid:
            self._left.pop(name, None)
        if wanted is not None and (known is None or wanted.machine != known.machine):
            self._schedule.add(name, max(_PASSING, self._untold(name)))

    async def flushed(self, driver: str) -> None:
        """Wait until everything due is written; raises when the API server would not take it."""
        await self._schedule.idle()
        failing = [name for name in self._schedule.failures if self._concerns(name, driver)]
        if failing:
            raise ApiError(0, "NotWritten", f"{len(failing)} FlexNodes, one is {min(failing)}")

    def _concerns(self, name: str, driver: str) -> bool:
        """Whether the driver has an entry in a FlexNode, or had one."""
        known = self.store.items.get(name)
        return self.has(name, driver) or (
            known is not None and any(i.driver == driver for i in known.installs)
        )

    async def run(self) -> None:
        """Write for ever."""
        await self._schedule.run()

    def _seen(self, _old: FlexNode | None, new: FlexNode | None) -> None:
        name = new.name if new else _old.name if _old else ""
        entries = self._entries.get(name)
        if entries is None or new == self._wanted(name):
            return
        self._schedule.add(name, max(_FOREIGN, self._untold(name)))

    def _untold(self, name: str) -> float:
        """How soon to write what is known here and not there: as the most urgent entry asks."""
        known = self.store.items.get(name)
        told = known.installs if known is not None else ()
        entries = self._entries.get(name, {}).values()
        return min((self._patience(name, i) for i in entries if i not in told), default=0.0)

    def _patience(self, name: str, install: Install) -> float:
        """How long an entry may wait to be written, as it may be another one by then."""
        # For its turn it may wait for hours.
        if install.state is not State.PENDING or install.reason == Reason.WAITING_FOR_ADOPTION:
            return 0.0
        known = self.store.items.get(name)
        told = known is not None and any(i.key == install.key for i in known.installs)
        return _PASSING if told else _NEW

    def _wanted(self, name: str) -> FlexNode | None:
        """The FlexNode as it has to be; None when there is to be none."""
        node, entries = self._nodes.get(name), self._entries.get(name)
        if node is None or not entries:
            return None
        left = self._left.get(name, {}).values()
        return flexnode(name, self._machine(node), entries.values(), left)

    async def _write(self, name: str) -> bool:
        node, entries = self._nodes.get(name), self._entries.get(name)
        if node is None or entries is None:
            return True
        known = self.store.items.get(name)
        path = f"{_PATH}/{name}"
        try:
            if not entries:
                if known is not None:
                    await self._client.delete(path)
                # Only now, so that a delete that failed is tried again; it may be filled meanwhile.
                if not entries:
                    self._entries.pop(name, None)
                return True
            wanted = self._wanted(name)
            if wanted is not None and wanted != known:
                await self._client.apply(path, wanted.manifest(), manager=FIELD_MANAGER)
        except ApiError as error:
            _LOG.warning("FlexNode %s not written: %s", name, error)
            return False
        return True
