"""Ends a wait at its limit where anyio can't tell a native cancellation from its own."""

from __future__ import annotations

import asyncio
import builtins
import sys
from types import TracebackType
from typing import Any, Optional, Type

__all__ = ["CANCELS_ARE_COUNTED", "EventLimit"]

#: Whether a task counts its cancellations, so that anyio takes none of them for its own.
CANCELS_ARE_COUNTED = sys.version_info >= (3, 11)


class EventLimit:
    """Resolves an event with ``TimeoutError`` when a time limit is over, and cancels nothing.

    For Python below 3.11: there a native cancellation that comes together with the end of an
    ``anyio.fail_after`` gets lost.

    Args:
        event: What is awaited inside the ``with`` block.
        seconds: The limit; None is no limit.
    """

    __slots__ = ("_event", "_seconds", "_timer")

    def __init__(self, event: asyncio.Future[Any], seconds: Optional[float]) -> None:
        self._event = event
        self._seconds = seconds
        self._timer: Optional[asyncio.TimerHandle] = None

    def __enter__(self) -> None:
        if self._seconds is not None:
            loop = self._event.get_loop()
            self._timer = loop.call_at(loop.time() + self._seconds, _end, self._event)

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _end(event: asyncio.Future[Any]) -> None:
    if not event.done():
        event.set_exception(builtins.TimeoutError())
