"""Learns of the end of a server before it waits for its open connections."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from types import FrameType
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

__all__ = ["call_on_termination", "until_termination"]

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


@contextlib.contextmanager
def until_termination() -> Iterator[asyncio.Future[None]]:
    """Give what is done when the process is told to end, for a server that has no lifespan.

    All who use it at a time share it, in each event loop: the signals are watched once.
    """
    loop = asyncio.get_running_loop()
    watch = _watches.get(loop)
    if watch is None:
        watch = _watches[loop] = _Watch(loop)
    with watch:
        yield watch.told


class _Watch:
    """Watches the signals for as long as anybody wants to know.

    Args:
        loop: The loop of those who do.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.told: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._users = 0
        self._signals = contextlib.ExitStack()

    def __enter__(self) -> None:
        if not self._users:
            self._signals.enter_context(call_on_termination(self._tell))
        self._users += 1

    def __exit__(self, *_: object) -> None:
        self._users -= 1
        if not self._users:
            del _watches[self._loop]
            self._signals.close()

    def _tell(self) -> None:
        if not self.told.done():
            self.told.set_result(None)


_watches: Dict[asyncio.AbstractEventLoop, _Watch] = {}


def _handler(
    loop: asyncio.AbstractEventLoop, callback: Callable[[], None], before: Callable[..., Any]
) -> Callable[[int, Optional[FrameType]], Any]:
    def handle(number: int, frame: Optional[FrameType]) -> Any:
        if not loop.is_closed():
            loop.call_soon_threadsafe(callback)
        return before(number, frame)

    return handle
