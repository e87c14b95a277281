"""When the state machine is to be woken: for silence, the next attempt, and the requests."""

from __future__ import annotations

from typing import Callable, Optional

from .backoff import Backoff
from .effects import Effects
from .silence import Silence

__all__ = ["NEVER", "Schedule"]

NEVER = float("inf")

_FIRST_BACKOFF = 0.02
_LONGEST_BACKOFF = 0.5
# A batch of fewer bytes than this is not asked for how much of it is written.
_LONG_UPLOAD = 1 << 16


class Schedule:
    """Keeps one timer for all that has a time.

    Args:
        effects: Sets the timer, and tells how much is not written yet.
        connect_timeout: Who waits for a connection sees an attempt in half of it at the latest.
        jitter: Returns a number from 0 to 1, by chance.

    Attributes:
        retry_at: When the next connection attempt is due.
        wake_at: What the timer is set to.
    """

    def __init__(
        self, effects: Effects, connect_timeout: float, jitter: Callable[[], float]
    ) -> None:
        self._effects = effects
        longest = min(_LONGEST_BACKOFF, connect_timeout / 2)
        self._backoff = Backoff(_FIRST_BACKOFF, longest, jitter)
        self._silence = Silence()
        self._look_at = NEVER
        self.wake_at = NEVER
        self.retry_at = NEVER

    def wake(self, when: float) -> None:
        """Wake the state machine at this time, or before."""
        if when < self.wake_at:
            self.wake_at = when
            self._effects.wake_at(when)

    def woken(self, *times: Optional[float]) -> None:
        """Set the timer again, for the soonest of these times and of our own."""
        self.wake_at = NEVER
        soonest = min([self._look_at, self.retry_at, *(when for when in times if when is not None)])
        self.wake(soonest)

    # -- silence ---------------------------------------------------------------------------------

    def sent(self, now: float, limit: float, size: int) -> None:
        """Begin to count how long the connection is silent.

        Args:
            now: The time.
            limit: Seconds after which it has been silent for too long.
            size: How many bytes were handed over, roughly.
        """
        unsent = self._effects.unsent() if size > _LONG_UPLOAD else 0
        self._look_at = self._silence.begin(now, limit, unsent)
        self.wake(self._look_at)

    def moved(self, count: int, now: float) -> None:
        """Note that some bytes were read, and more are to come."""
        self._silence.moved(count, now)

    def answered(self) -> None:
        """Nothing is on its way any more."""
        self._look_at = NEVER

    def is_silent(self, now: float) -> bool:
        """Whether the connection has been silent for too long."""
        if now < self._look_at:
            return False
        look_at = self._silence.look(now, self._effects.unsent())
        self._look_at = NEVER if look_at is None else look_at
        return look_at is None

    # -- attempts --------------------------------------------------------------------------------

    def back_off(self, now: float) -> None:
        """Set the time of the next attempt."""
        self.retry_at = now + self._backoff.next()
        self.wake(self.retry_at)

    def may_retry_at_once(self) -> bool:
        """Whether nothing has failed since the last success; counts as a failure."""
        first = not self._backoff.failures
        if first:
            self._backoff.failures = 1
        return first

    def succeeded(self) -> None:
        """Begin with short waits again."""
        self._backoff.failures = 0
