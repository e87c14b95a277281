"""Ends a wait at its limit where anyio can't tell a native cancellation from its own."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import sys
from typing import Any, Iterator, Optional

__all__ = ["CANCELS_ARE_COUNTED", "event_limit"]

#: Whether a task counts its cancellations, so that anyio takes none of them for its own.
CANCELS_ARE_COUNTED = sys.version_info >= (3, 11)


@contextlib.contextmanager
def event_limit(event: asyncio.Future[Any], seconds: Optional[float]) -> Iterator[None]:
    """Resolve an event with ``TimeoutError`` when a time limit is over, and cancel nothing.

    For Python below 3.11: there a native cancellation that comes together with the end of an
    ``anyio.fail_after`` gets lost.

    Args:
        event: What is awaited inside the ``with`` block.
        seconds: The limit; None is no limit.
    """
    loop = event.get_loop()
    timer = None if seconds is None else loop.call_at(loop.time() + seconds, _end, event)
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()


def _end(event: asyncio.Future[Any]) -> None:
    if not event.done():
        event.set_exception(builtins.TimeoutError())
