"""Threads and coroutines wait for what another thread does."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.support import Signal
from tests.support.watch import Watch


def test_a_thread_waits_for_a_signal() -> None:
    """`wait` returns once another thread sets the signal, and at once from then on."""
    signal = Signal()
    setter = threading.Thread(target=signal.set)
    setter.start()
    signal.wait()
    setter.join(60)
    signal.wait(timeout=0)
    assert signal.is_set()


async def test_a_coroutine_waits_for_a_signal() -> None:
    """`wait_async` returns once another thread sets the signal, without blocking its loop."""
    signal = Signal()
    waiter = asyncio.ensure_future(signal.wait_async())
    await asyncio.sleep(0)
    setter = threading.Thread(target=signal.set)
    setter.start()
    await waiter
    setter.join(60)
    assert signal.is_set()


def test_a_wait_in_vain_says_for_what() -> None:
    """A time-out is an error that names the limit and the condition."""
    with pytest.raises(TimeoutError, match=r"waited 0.01 s in vain for rain"):
        Watch().wait(lambda: False, 0.01, "rain")


async def test_an_asynchronous_wait_in_vain_says_for_what() -> None:
    """A time-out of a coroutine is the same error."""
    with pytest.raises(TimeoutError, match=r"waited 0.01 s in vain for rain"):
        await Watch().wait_async(lambda: False, 0.01, "rain")


async def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    """A change after the wait was cancelled wakes nobody."""
    watch = Watch()
    waiter = asyncio.ensure_future(watch.wait_async(lambda: False, None))
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    watch.changed()
    assert not watch._wakers
