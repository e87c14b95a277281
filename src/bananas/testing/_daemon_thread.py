"""Runs a blocking function off the event loop, in a thread that holds up nobody's exit."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Callable, Optional, Tuple, TypeVar

__all__ = ["run_in_daemon_thread"]

T = TypeVar("T")

_Outcome = Tuple[Optional[T], Optional[BaseException]]


async def run_in_daemon_thread(function: Callable[[], T]) -> T:
    """Return what a function returns, and raise what it raises.

    Cancelling it leaves the function to itself. An executor's threads, unlike this one, are waited
    for when the interpreter ends.
    """
    loop = asyncio.get_running_loop()
    # A pair rather than set_exception(), which refuses StopIteration.
    future: asyncio.Future[_Outcome[T]] = loop.create_future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            outcome: _Outcome[T] = (context.run(function), None)
        except BaseException as error:
            outcome = (None, error)
        try:
            loop.call_soon_threadsafe(_settle, future, outcome)
        except RuntimeError:
            pass  # the loop was closed meanwhile

    threading.Thread(target=work, name="bananas handler", daemon=True).start()
    value, error = await future
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


def _settle(future: asyncio.Future[_Outcome[T]], outcome: _Outcome[T]) -> None:
    if not future.done():
        future.set_result(outcome)
