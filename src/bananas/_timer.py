"""A timer of an event loop, set again and again."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Callable, Optional

__all__ = ["Timer"]


class Timer:
    """Calls a function at one time; setting it again replaces the time.

    Args:
        function: What is called. It inherits no context variables: who has set the timer must not
            be kept alive by it.
    """

    __slots__ = ("_function", "_handle", "_when")

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._handle: Optional[asyncio.Handle] = None
        self._when = 0.0

    def set(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        """Have the function called at this time of the loop; never, where it is infinite."""
        self.cancel()
        if when != float("inf"):
            self._handle = loop.call_at(when, self._call, context=contextvars.Context())
            self._when = when  # a handle of uvloop does not always tell it

    def set_sooner(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        """Have the function called at this time, if it is not called before."""
        if self._handle is None or when < self._when:
            self.set(loop, when)

    def cancel(self) -> None:
        """Call nothing."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _call(self) -> None:
        self._handle = None
        self._function()
