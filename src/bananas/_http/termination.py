"""Learns of the end of a server before it waits for its open connections."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from types import FrameType
from typing import Any, Callable, Iterator, List, Optional, Tuple

__all__ = ["call_on_termination"]

_SIGNALS: Tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def call_on_termination(callback: Callable[[], None]) -> Iterator[None]:
    """Have a function called on the running loop when the process is told to end.

    What the server itself does on the signal is done as ever. Where the server has no handler of
    its own, or doesn't run in the main thread, nothing is called.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    replaced: List[Tuple[int, Any, Any]] = []
    for number in _SIGNALS:
        before = signal.getsignal(number)
        if callable(before) and before is not signal.default_int_handler:
            handler = _handler(loop, callback, before)
            signal.signal(number, handler)
            replaced.append((number, handler, before))
    try:
        yield
    finally:
        for number, handler, before in replaced:
            if signal.getsignal(number) is handler:
                signal.signal(number, before)


def _handler(
    loop: asyncio.AbstractEventLoop, callback: Callable[[], None], before: Callable[..., Any]
) -> Callable[[int, Optional[FrameType]], Any]:
    def handle(number: int, frame: Optional[FrameType]) -> Any:
        if not loop.is_closed():
            loop.call_soon_threadsafe(callback)
        return before(number, frame)

    return handle
