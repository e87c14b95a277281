"""The clocks of the emulators: the system's, or one that a test moves."""

from __future__ import annotations

import asyncio
import math
import threading
from datetime import datetime, timedelta
from typing import List, Optional, Protocol, Tuple

from .._types import Seconds
from .._wire import utcnow

__all__ = ["Clock", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """The clock of the emulators."""

    def now(self) -> datetime:
        """Return the current time, aware."""

    async def sleep_until(self, moment: datetime) -> None:
        """Return when ``now()`` reaches a moment, or at once if the moment is past."""


class SystemClock:
    """The time of this machine, or a faster clock that begins at this time.

    Args:
        speed: How many seconds pass in one second of this machine. With 100, a retry that is due
            after 2 s takes 20 ms.
    """

    def __init__(self, speed: float = 1) -> None:
        if not 0 < speed < math.inf:
            raise ValueError(f"speed must be above 0 and finite, not {speed!r}")
        self._speed = speed
        self._start: Optional[datetime] = None

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        now = utcnow()
        if self._speed == 1:
            return now
        if self._start is None:
            self._start = now
        return self._start + (now - self._start) * self._speed

    async def sleep_until(self, moment: datetime) -> None:
        """Return when ``now()`` reaches a moment, or at once if the moment is past."""
        left = (moment - self.now()).total_seconds() / self._speed
        await asyncio.sleep(max(0.0, left))


class ManualClock:
    """A clock that moves only when the test moves it, from any thread.

    Args:
        start: An aware datetime. The default is the time of this machine, in whole seconds.
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
        """Move the clock forwards, and wake everything that sleeps until then.

        Args:
            span: Seconds or a timedelta, 0 or more.

        Returns:
            The new time.
        """
        delta = span if isinstance(span, timedelta) else timedelta(seconds=span)
        if delta < timedelta(0):
            raise ValueError(f"span must be 0 or more, not {span!s}: a clock only moves forward")
        with self._lock:
            return self._move_to(self._now + delta)

    def advance_to(self, moment: datetime) -> datetime:
        """Move the clock forwards to a moment; a moment in the past changes nothing.

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
        """Return when the test has moved the clock to a moment, or past it."""
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
