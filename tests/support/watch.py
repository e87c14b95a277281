"""Waiting, from threads and from coroutines, for state that another thread changes."""

from __future__ import annotations

import asyncio
import threading
from typing import Callable, Optional, Set

__all__ = ["Signal", "Watch"]

WAIT_S = 30.0


class Watch:
    """Wakes whoever waits for a condition, each time `changed` is called."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._wakers: Set[Callable[[], object]] = set()

    def changed(self) -> None:
        """Have every waiter look again; callable from any thread."""
        with self._changed:
            self._changed.notify_all()
            for wake in self._wakers:
                wake()

    def wait(
        self, condition: Callable[[], bool], timeout: float = WAIT_S, what: str = "a condition"
    ) -> None:
        """Block until `condition()` holds.

        Raises:
            TimeoutError: It did not within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise TimeoutError(f"waited {timeout} s in vain for {what}")

    async def wait_async(
        self,
        condition: Callable[[], bool],
        timeout: Optional[float] = WAIT_S,
        what: str = "a condition",
    ) -> None:
        """Wait like `wait` without blocking the running loop; None is no limit."""
        loop = asyncio.get_running_loop()
        event = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(event.set)

        with self._changed:
            self._wakers.add(wake)
        try:
            await asyncio.wait_for(_until(condition, event), timeout)
        except asyncio.TimeoutError:
            raise TimeoutError(f"waited {timeout} s in vain for {what}") from None
        finally:
            with self._changed:
                self._wakers.discard(wake)


async def _until(condition: Callable[[], bool], event: asyncio.Event) -> None:
    while not condition():
        await event.wait()
        event.clear()


class Signal:
    """An event that threads and coroutines of any loop set and wait for."""

    def __init__(self) -> None:
        self._watch = Watch()
        self._set = False

    def set(self) -> None:
        """Release everyone who waits, now and later."""
        self._set = True
        self._watch.changed()

    def is_set(self) -> bool:
        """Tell whether `set` was called."""
        return self._set

    def wait(self, timeout: float = WAIT_S) -> None:
        """Block until it is set; `TimeoutError` after `timeout` seconds."""
        self._watch.wait(self.is_set, timeout, "a signal")

    async def wait_async(self, timeout: Optional[float] = WAIT_S) -> None:
        """Wait like `wait` without blocking the running loop; None is no limit."""
        await self._watch.wait_async(self.is_set, timeout, "a signal")
