"""Decides when a connection has been silent for too long."""

from __future__ import annotations

from typing import Optional

__all__ = ["Silence"]

#: Bytes a second, both ways; a connection that is slower counts as silent.
_SLOWEST = 16_000
# How often in its limit a connection is asked how much of a long upload it has written.
_LOOKS = 8


class Silence:
    """The time since the last byte that was read, or the last growth of what was written.

    Each byte makes up for as much time as a byte may take. So a connection that lets a byte
    through now and then is found to be silent, and a long upload or download is not.
    """

    __slots__ = ("_heard", "_limit", "_unsent")

    def __init__(self) -> None:
        self._heard = 0.0
        self._limit = 0.0
        self._unsent = 0

    def begin(self, now: float, limit: float, unsent: int) -> float:
        """Start to count, once commands are handed over; return when to look.

        Args:
            now: The time.
            limit: Seconds after which a silent connection is given up.
            unsent: Bytes that the transport has not written yet.
        """
        self._heard = now
        self._limit = limit
        self._unsent = unsent
        return self._next_look(now) if unsent else now + limit

    def moved(self, count: int, now: float) -> None:
        """Note that so many bytes were read, or written."""
        self._heard = min(now, self._heard + count / _SLOWEST)

    def look(self, now: float, unsent: int) -> Optional[float]:
        """Return when to look again, or None where the connection has been silent too long."""
        if unsent < self._unsent:
            self.moved(self._unsent - unsent, now)
        self._unsent = unsent
        if now >= self._heard + self._limit:
            return None
        return self._next_look(now)

    def _next_look(self, now: float) -> float:
        silent_at = self._heard + self._limit
        return min(silent_at, now + self._limit / _LOOKS) if self._unsent else silent_at
