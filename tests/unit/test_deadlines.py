"""The deadlines of many waits, kept by one task."""

from __future__ import annotations

import asyncio
from typing import AsyncIterator, List

import pytest

from bananas._deadlines import Deadlines
from bananas._waiters import Waiter

SOON = 0.01
#: Far away: a test that waits for it has failed long before.
LATER = 3600.0


class Told:
    """Deadlines, and whom they were reached by, in order."""

    def __init__(self) -> None:
        self.ids: List[str] = []
        self.deadlines = Deadlines(self._reached)

    def _reached(self, waiter: Waiter) -> None:
        self.ids.append(waiter.job_id)
        waiter.future.set_result(None)

    def add(self, job_id: str, seconds: float) -> Waiter:
        loop = asyncio.get_running_loop()
        waiter = Waiter(job_id, loop.create_future(), any_attempt=False)
        self.deadlines.add(waiter, loop.time() + seconds)
        return waiter


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    told = Told()
    yield told
    await told.deadlines.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_each_is_told_in_its_turn(told: Told) -> None:
    """Whatever order they come in, they are told in the order of their deadlines, never early."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    waiters = [told.add(f"{n}", n * SOON) for n in (4, 1, 3, 2)]
    for waiter, n in zip(waiters, (4, 1, 3, 2)):
        waiter.future.add_done_callback(
            lambda _, n=n: loop.time() >= began + n * SOON or told.ids.append("early")  # type: ignore[misc]
        )
    await asyncio.gather(*[waiter.future for waiter in waiters])
    assert told.ids == ["1", "2", "3", "4"]
    assert len(told.deadlines) == 0


async def test_a_nearer_one_wakes_the_sleeper(told: Told) -> None:
    """A deadline that comes before the one that is slept for is kept."""
    told.add("far", LATER)
    await asyncio.sleep(0)  # the task sleeps for it now
    await told.add("near", SOON).future
    assert told.ids == ["near"]
    assert len(told.deadlines) == 1


@pytest.mark.parametrize("seconds", [0.0, -1.0, -LATER])
async def test_one_that_is_over_is_told_at_once(told: Told, seconds: float) -> None:
    """A deadline of now, or before, is reached."""
    await told.add("over", seconds).future
    assert told.ids == ["over"]


async def test_who_is_let_go_is_not_told(told: Told) -> None:
    """A wait that has ended is not told, and the others of its tick are."""
    gone, *others = [told.add(f"{n}", SOON) for n in range(3)]
    told.deadlines.discard(gone)
    told.deadlines.discard(gone)
    await asyncio.gather(*[waiter.future for waiter in others])
    assert "0" not in told.ids
    assert sorted(told.ids) == ["1", "2"]
    for waiter in others:
        told.deadlines.discard(waiter)


async def test_nothing_is_left_of_waits_that_ended(told: Told) -> None:
    """Ten thousand short waits with distant deadlines leave next to nothing behind."""
    for n in range(10_000):
        told.deadlines.discard(told.add(f"{n}", LATER + n))
    assert len(told.deadlines) == 0
    assert len(told.deadlines._ticks) < 200
    await told.add("last", SOON).future
    assert told.ids == ["last"]


async def test_a_crowd_has_one_task(told: Told) -> None:
    """Five thousand deadlines are one task's, and all of them are kept."""
    waiters = [told.add(f"{n}", SOON + n / 1e6) for n in range(5_000)]
    assert len(asyncio.all_tasks()) == 2
    await asyncio.gather(*[waiter.future for waiter in waiters])
    assert sorted(map(int, told.ids)) == list(range(5_000))


async def test_close_without_a_task() -> None:
    """Closing what was never used does nothing, and again."""
    deadlines = Deadlines(lambda waiter: None)
    await deadlines.close()
    await deadlines.close()
