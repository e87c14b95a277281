"""The clocks of the emulators: the system's, or one that a test moves."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime, timedelta
from typing import List, Optional, Protocol, Tuple

from .._types import Seconds
from .._wire import utcnow

__all__ = ["Clock", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """What the emulators know of time."""

    def now(self) -> datetime:
        """Return the current time, aware."""

    async def sleep_until(self, moment: datetime) -> None:
        """Return once ``now()`` has reached a moment; at once when it has already."""


class SystemClock:
    """The time of this machine."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return utcnow()

    async def sleep_until(self, moment: datetime) -> None:
        """Return once ``now()`` has reached a moment; at once when it has already."""
        await asyncio.sleep(max(0.0, (moment - utcnow()).total_seconds()))


class ManualClock:
    """A time that stands still until the test moves it, from any thread.

    Args:
        start: An aware datetime; by default the time of this machine, in whole seconds, as the
            scheduler counts them.
    """

    def __init__(self, start: Optional[datetime] = None) -> None:
        if start is not None and start.utcoffset() is None:
            raise ValueError("start must be an aware datetime")
        self._now = utcnow().replace(microsecond=0) if start is None else start
        self._lock = threading.Lock()
        self._sleepers: List[Tuple[datetime, asyncio.AbstractEventLoop, asyncio.Event]] = []

    def __repr__(self) -> str:
        return f"<ManualClock at {self._now.isoformat()}>"

    def now(self) -> datetime:
        """Return the time that the test has set."""
        return self._now

    def advance(self, span: Seconds) -> datetime:
        """Move the clock forwards and wake whoever sleeps until then.

        Args:
            span: Seconds or a timedelta, 0 or more.

        Returns:
            The new time.
        """
        delta = span if isinstance(span, timedelta) else timedelta(seconds=span)
        if delta < timedelta(0):
            raise ValueError(f"span must be 0 or more, not {span!s}: a clock goes forwards")
        with self._lock:
            return self._move_to(self._now + delta)

    def advance_to(self, moment: datetime) -> datetime:
        """Move the clock forwards to a moment; one that has passed changes nothing.

        Args:
            moment: An aware datetime.

        Returns:
            The new time.
        """
        if moment.utcoffset() is None:
            raise ValueError("moment must be an aware datetime")
        with self._lock:
            return self._move_to(max(self._now, moment))

    def _move_to(self, now: datetime) -> datetime:
        self._now = now
        woken = [sleeper for sleeper in self._sleepers if sleeper[0] <= now]
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > now]
        for _, loop, event in woken:
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:
                pass  # its loop was closed, and the sleeper with it
        return now

    async def sleep_until(self, moment: datetime) -> None:
        """Return once the test has moved the clock to a moment, or beyond it."""
        event = asyncio.Event()
        sleeper = (moment, asyncio.get_running_loop(), event)
        with self._lock:
            if moment <= self._now:
                return
            self._sleepers.append(sleeper)
        try:
            await event.wait()
        finally:
            with self._lock:
                if sleeper in self._sleepers:
                    self._sleepers.remove(sleeper)
