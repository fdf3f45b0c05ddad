"""Keyed work with due times."""

import asyncio
import contextlib
import time

import pytest

from flexvolume_operator.schedule import Schedule


class Desk:
    """Does the work of a schedule when the test lets it."""

    def __init__(self, workers: int = 2) -> None:
        self.done: list[str] = []
        self.at_once: dict[str, int] = {}
        self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.answers: list[bool] = []
        self.schedule = Schedule(self.work, workers)

    async def work(self, key: str) -> bool:
        self.at_once[key] = self.at_once.get(key, 0) + 1
        assert self.at_once[key] == 1
        self.most = max(self.most, sum(self.at_once.values()))
        await self.gate.wait()
        self.at_once[key] -= 1
        self.done.append(key)
        return self.answers.pop(0) if self.answers else True


@pytest.fixture
async def desk():
    desk = Desk()
    task = asyncio.create_task(desk.schedule.run())
    yield desk
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_what_is_due_is_done_and_idle_says_so(desk):
    desk.schedule.add("a")
    desk.schedule.add("b")
    await desk.schedule.idle()
    assert sorted(desk.done) == ["a", "b"]


async def test_a_key_asked_for_twice_before_it_is_done_is_done_once(desk):
    desk.schedule.add("a")
    desk.schedule.add("a")
    await desk.schedule.idle()
    assert desk.done == ["a"]


async def test_a_sooner_time_wins_over_a_later_one(desk):
    desk.schedule.add("a", 60)
    desk.schedule.add("a", 0)
    desk.schedule.add("a", 60)
    await asyncio.wait_for(desk.schedule.idle(), 5)
    assert desk.done == ["a"]


async def test_what_lies_in_the_future_does_not_keep_idle_waiting(desk):
    desk.schedule.add("later", 60)
    await asyncio.wait_for(desk.schedule.idle(), 5)
    assert desk.done == []


async def test_a_key_that_comes_due_while_it_is_done_is_done_again_afterwards(desk):
    desk.gate.clear()
    desk.schedule.add("a")
    while not desk.at_once:
        await asyncio.sleep(0)
    desk.schedule.add("a")
    desk.gate.set()
    await asyncio.wait_for(desk.schedule.idle(), 5)
    assert desk.done == ["a", "a"]


async def test_no_more_are_done_at_once_than_there_are_workers(desk):
    desk.gate.clear()
    for number in range(20):
        desk.schedule.add(str(number))
    while len(desk.at_once) < 2:
        await asyncio.sleep(0)
    desk.gate.set()
    await asyncio.wait_for(desk.schedule.idle(), 5)
    assert desk.most == 2
    assert len(desk.done) == 20


async def test_work_that_failed_is_done_again(desk):
    desk.answers = [False]
    desk.schedule.add("a")

    async def twice() -> None:
        while len(desk.done) < 2:
            await asyncio.sleep(0.05)

    await asyncio.wait_for(twice(), 5)
    assert desk.done == ["a", "a"]


async def test_work_that_failed_is_done_again_also_if_it_came_due_meanwhile(desk):
    desk.gate.clear()
    desk.answers = [False]
    desk.schedule.add("a")
    while not desk.at_once:
        await asyncio.sleep(0)
    desk.schedule.add("a")
    await asyncio.sleep(0)
    desk.gate.set()
    async with asyncio.timeout(5):
        while len(desk.done) < 2:
            await asyncio.sleep(0.05)


async def test_what_has_failed_is_left_alone_until_its_pause_is_over(desk):
    desk.answers = [False]
    desk.schedule.add("a")
    await desk.schedule.idle()
    began = time.monotonic()
    while len(desk.done) < 2 and time.monotonic() < began + 5:
        desk.schedule.add("a")
        await asyncio.sleep(0.01)
    assert 0.5 < time.monotonic() - began < 2
    assert not desk.schedule.failures
