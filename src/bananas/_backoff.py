"""How long to wait before the next attempt, the longer the more attempts have failed."""

from __future__ import annotations

from typing import Callable

__all__ = ["Backoff"]

_MOST_DOUBLINGS = 10


class Backoff:
    """Doubles the wait with each failure, up to a limit, and shortens it at random.

    Args:
        first: The wait after the first failure, in seconds, at most.
        longest: The longest wait.
        jitter: Returns a random number from 0 to 1; 1 gives the full wait, 0 the half of it.

    Attributes:
        failures: How many there were since the last success.
    """

    __slots__ = ("_first", "_jitter", "_longest", "failures")

    def __init__(self, first: float, longest: float, jitter: Callable[[], float]) -> None:
        self._first = first
        self._longest = longest
        self._jitter = jitter
        self.failures = 0

    def next(self) -> float:
        """Count a failure, and return for how many seconds to wait."""
        longest: float = min(self._longest, self._first * 2**self.failures)
        self.failures = min(self.failures + 1, _MOST_DOUBLINGS)
        return longest * (0.5 + 0.5 * self._jitter())
