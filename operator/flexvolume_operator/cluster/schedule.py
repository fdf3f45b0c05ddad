"""Keyed work with due times: each key is done by one worker at a time, soonest first."""

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable
from typing import Final

_RETRY: Final = 1.0


class Schedule:
    """Runs `work(key)` when due, at most `workers` at once and never twice for one key at once.

    `work` returns False to be called again a second later.
    """

    def __init__(self, work: Callable[[str], Awaitable[bool]], workers: int) -> None:
        self._work = work
        self._workers = workers
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._busy: set[str] = set()
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, key: str, delay: float = 0.0) -> None:
        """Do the key after `delay` seconds, or sooner if it was to be done sooner already."""
        when = time.monotonic() + delay
        if when >= self._due.get(key, float("inf")):
            return
        self._due[key] = when
        heapq.heappush(self._heap, (when, key))
        if delay <= 0:
            self._idle.clear()
        self._changed.set()

    async def idle(self) -> None:
        """Wait until nothing is overdue or being done."""
        await self._idle.wait()

    async def run(self) -> None:
        """Work for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                while len(self._busy) < self._workers and (key := self._pop()) is not None:
                    self._busy.add(key)
                    group.create_task(self._do(key))
                if not self._busy and not self._overdue():
                    self._idle.set()
                try:
                    await asyncio.wait_for(self._changed.wait(), self._pause())
                except TimeoutError:
                    continue

    async def _do(self, key: str) -> None:
        try:
            done = await self._work(key)
        finally:
            self._busy.discard(key)
            self._changed.set()
        if not done:
            self.add(key, _RETRY)
        elif key in self._due:
            # It came due anew while it was being done, and was passed over.
            heapq.heappush(self._heap, (self._due[key], key))

    def _pop(self) -> str | None:
        """The next key that is due and free; entries overtaken by sooner ones are dropped."""
        now = time.monotonic()
        while self._heap and self._heap[0][0] <= now:
            when, key = heapq.heappop(self._heap)
            if self._due.get(key) == when and key not in self._busy:
                del self._due[key]
                return key
        return None

    def _overdue(self) -> bool:
        return bool(self._heap) and self._heap[0][0] <= time.monotonic()

    def _pause(self) -> float | None:
        if len(self._busy) >= self._workers or not self._heap:
            return None
        return max(0.0, self._heap[0][0] - time.monotonic())
