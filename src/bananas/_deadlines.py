"""The deadlines of all waits: one anyio.fail_after, for the soonest of them."""

from __future__ import annotations

import asyncio
import builtins
import heapq
from typing import Callable, Dict, List, Optional, Set

import anyio

from ._tasks import abandon, cancel_and_wait, cancel_task, start_task
from ._waiters import Waiter

__all__ = ["Deadlines"]

# A deadline is rounded up to the next tick; those of one tick share a set and a wake-up.
_TICKS_PER_SECOND = 256
_NEVER = 1 << 62


class Deadlines:
    """Tells when the time of a wait is over, at most a 256th of a second late.

    A time limit of its own would be more than half of what an idle wait costs in memory, and a
    timer for each of fifty thousand waits.

    Args:
        on_reached: Called with a waiter whose deadline is over.
    """

    def __init__(self, on_reached: Callable[[Waiter], None]) -> None:
        self._on_reached = on_reached
        self._waiters: Dict[int, Set[Waiter]] = {}
        self._ticks: List[int] = []  # a heap; those whose waiters are gone stay for a while
        self._asleep_until = _NEVER
        self._nearer: Optional[asyncio.Future[None]] = None
        self._task: Optional[asyncio.Task[None]] = None
        self._closed = False

    def __len__(self) -> int:
        return sum(map(len, self._waiters.values()))

    def add(self, waiter: Waiter, when: float) -> None:
        """Take a deadline in, in the time of the running loop."""
        tick = waiter.tick = int(when * _TICKS_PER_SECOND) + 1
        waiters = self._waiters.get(tick)
        if waiters is not None:
            waiters.add(waiter)
            return
        self._waiters[tick] = {waiter}
        if len(self._ticks) > 2 * len(self._waiters) + 100:
            self._ticks = list(self._waiters)
            heapq.heapify(self._ticks)
        else:
            heapq.heappush(self._ticks, tick)
        if tick < self._asleep_until or self._is_ended:
            self._wake()

    def discard(self, waiter: Waiter) -> None:
        """Let go of a deadline, if it is still to come."""
        tick, waiter.tick = waiter.tick, None
        if tick is not None:
            waiters = self._waiters[tick]
            waiters.remove(waiter)
            if not waiters:
                del self._waiters[tick]

    def let_go(self) -> None:
        """Begin to close: the task that sleeps ends."""
        self._closed = True
        cancel_task(self._task)

    def abandon(self) -> None:
        """End the task, whose loop is closed."""
        self._closed = True
        abandon(self._task)

    async def close(self) -> None:
        """End the task that sleeps until the soonest deadline."""
        self.let_go()
        task, self._task = self._task, None
        if task is not None:
            await cancel_and_wait(task)

    def revive(self) -> None:
        """Start the task again where somebody has cancelled it, and deadlines are left."""
        if self._waiters and self._is_ended:
            self._wake()

    @property
    def _is_ended(self) -> bool:
        return self._task is None or self._task.done()

    def _wake(self) -> None:
        if self._is_ended:
            loop = asyncio.get_running_loop()
            self._task = start_task(loop, self._run(), "bananas deadlines")
        elif self._nearer is not None and not self._nearer.done():
            self._nearer.set_result(None)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._closed:
            self._nearer = loop.create_future()
            self._asleep_until = self._soonest()
            left: Optional[float] = None
            if self._asleep_until != _NEVER:
                left = self._asleep_until / _TICKS_PER_SECOND - loop.time()
            try:
                with anyio.fail_after(left):
                    await self._nearer
            except builtins.TimeoutError:
                self._reach(loop.time())

    def _soonest(self) -> int:
        ticks = self._ticks
        while ticks and ticks[0] not in self._waiters:
            heapq.heappop(ticks)
        return ticks[0] if ticks else _NEVER

    def _reach(self, now: float) -> None:
        while self._soonest() <= now * _TICKS_PER_SECOND:
            for waiter in self._waiters.pop(heapq.heappop(self._ticks)):
                waiter.tick = None
                self._on_reached(waiter)
