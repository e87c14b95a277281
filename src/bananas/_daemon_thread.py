"""Runs a blocking function off the event loop, in a thread that holds up nobody's exit."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import Future
from typing import Callable, TypeVar

__all__ = ["run_in_daemon_thread"]

T = TypeVar("T")


async def run_in_daemon_thread(function: Callable[[], T], name: str) -> T:
    """Return what a function returns, and raise what it raises.

    Cancelling it leaves the function to itself. An executor's threads, unlike this one, are waited
    for when the interpreter ends.

    Args:
        function: What to run; it must not raise StopIteration.
        name: What the thread is called.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            future.set_result(context.run(function))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, name=name, daemon=True).start()
    return await asyncio.wrap_future(future)
