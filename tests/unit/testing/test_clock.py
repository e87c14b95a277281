"""The clocks of the emulators."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime, timedelta, timezone

import pytest

from bananas.testing import ManualClock, SystemClock

START = datetime(2025, 1, 15, 10, 30, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)


def test_a_manual_clock_stands_still() -> None:
    """It tells the time that it was given until it is moved."""
    clock = ManualClock(START)
    assert clock.now() == clock.now() == START
    assert clock.advance(1.5) == clock.now() == START + timedelta(seconds=1.5)
    assert clock.advance(timedelta(hours=1)) == START + timedelta(seconds=3601.5)
    assert repr(clock) == "<ManualClock at 2025-01-15T11:30:01.500000+00:00>"


def test_a_manual_clock_starts_now() -> None:
    """Without a start it begins with the second that it is."""
    before = datetime.now(timezone.utc).replace(microsecond=0)
    assert before <= ManualClock().now() <= datetime.now(timezone.utc)
    assert ManualClock().now().microsecond == 0


def test_a_manual_clock_may_be_moved_to_a_moment() -> None:
    """Forwards only."""
    clock = ManualClock(START)
    assert clock.advance_to(START + SECOND) == clock.now() == START + SECOND
    assert clock.advance_to(START) == START + SECOND
    with pytest.raises(ValueError, match=r"^moment must be an aware datetime$"):
        clock.advance_to(datetime(2025, 1, 15))


def test_what_a_manual_clock_refuses() -> None:
    """It knows its zone and does not go backwards."""
    with pytest.raises(ValueError, match=r"^start must be an aware datetime$"):
        ManualClock(datetime(2025, 1, 15))
    with pytest.raises(ValueError, match=r"^span must be 0 or more, not -1: a clock"):
        ManualClock(START).advance(-1)


async def test_a_fast_clock() -> None:
    """Its time runs as fast as it is told, from the first look on; a sleep is as much shorter."""
    clock = SystemClock(speed=86400)
    before = datetime.now(timezone.utc)
    start = clock.now()
    assert before <= start <= datetime.now(timezone.utc)
    await asyncio.wait_for(clock.sleep_until(start + timedelta(hours=12)), 60)
    assert clock.now() >= start + timedelta(hours=11)  # a sleep is not exact
    for speed in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=r"^speed must be above 0 and finite, not "):
            SystemClock(speed=speed)


async def test_sleepers_wake_when_their_time_has_come() -> None:
    """Each sleeps until the clock has reached its moment, however it was moved there."""
    clock = ManualClock(START)
    woken = []

    async def sleep(seconds: int) -> None:
        await clock.sleep_until(START + seconds * SECOND)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleep(seconds)) for seconds in (3, 1, 2, 0)]
    await tasks[3]
    assert woken == [0]
    clock.advance(1)
    await tasks[1]
    assert woken == [0, 1]
    clock.advance(10)
    await asyncio.gather(*tasks)
    assert sorted(woken) == [0, 1, 2, 3]


async def test_a_moment_that_has_passed_is_not_waited_for() -> None:
    """Sleeping until the past returns at once, for either clock."""
    await ManualClock(START).sleep_until(START - SECOND)
    await SystemClock().sleep_until(START)


async def test_the_clock_may_be_moved_by_another_thread() -> None:
    """A test moves it while the emulators sleep in their own."""
    clock = ManualClock(START)
    sleeper = asyncio.create_task(clock.sleep_until(START + SECOND))
    await asyncio.sleep(0)
    thread = threading.Thread(target=clock.advance, args=(1,))
    thread.start()
    await sleeper
    thread.join(60)


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    """Moving the clock past it wakes nobody."""
    clock = ManualClock(START)
    sleeper = asyncio.create_task(clock.sleep_until(START + SECOND))
    await asyncio.sleep(0)
    sleeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeper
    assert clock._sleepers == []


def test_a_sleeper_may_die_with_its_loop() -> None:
    """A loop that was closed meanwhile stops nobody from moving the clock."""
    clock = ManualClock(START)
    loop = asyncio.new_event_loop()
    sleep = clock.sleep_until(START + SECOND)
    task = loop.create_task(sleep)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert clock.advance(2) == START + 2 * SECOND
    sleep.close()
    assert not task.done()


async def test_the_system_clock_sleeps() -> None:
    """It returns when the moment has come, not before."""
    clock = SystemClock()
    moment = clock.now() + timedelta(seconds=0.02)
    await clock.sleep_until(moment)
    assert clock.now() >= moment - timedelta(milliseconds=5)
