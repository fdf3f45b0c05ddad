"""Keyed work with due times: each key is done by one worker at a time, soonest first."""

import asyncio
import heapq
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

# After the first failure, the second, and so on.
_PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 15.0)


class Schedule:
    """Runs `work(key)` when due, at most `workers` at once and never twice for one key at once.

    `work` returns False to be called again: about a second later, then after ever longer pauses.
    `failures` counts how often that happened to a key since it was last done.
    """

    def __init__(self, work: Callable[[str], Awaitable[bool]], workers: int) -> None:
        self._work = work
        self._workers = workers
        self.failures: Counter[str] = Counter()
        self._not_before: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._busy: set[str] = set()
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, key: str, delay: float = 0.0) -> None:
        """Do the key after `delay` seconds, or sooner if it was to be done sooner already.

        What has failed is not done before its pause is over, however much is asked of it.
        """
        when = max(time.monotonic() + delay, self._not_before.get(key, 0.0))
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
                    # Not wait_for, which in Python 3.11 loses a cancel that comes with the event.
                    async with asyncio.timeout(self._pause()):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def _do(self, key: str) -> None:
        try:
            done = await self._work(key)
        finally:
            self._busy.discard(key)
            self._changed.set()
        # It may have come due anew while it was being done, and have been passed over.
        anew = self._due.pop(key, None)
        if done:
            self.failures.pop(key, None)
            self._not_before.pop(key, None)
        else:
            pause = _PAUSES[min(self.failures[key], len(_PAUSES) - 1)]
            self.failures[key] += 1
            anew = time.monotonic() + pause * random.uniform(0.7, 1.0)  # noqa: S311
            self._not_before[key] = anew
        if anew is not None:
            self.add(key, anew - time.monotonic())

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
