"""Runs a blocking function in a thread that does not delay the exit of the interpreter."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Callable, TypeVar

__all__ = ["run_in_daemon_thread", "wait_for_daemon_thread"]

T = TypeVar("T")


async def run_in_daemon_thread(function: Callable[[], T], name: str) -> T:
    """Return what a function returns, and raise what it raises.

    Cancelling it leaves the function to itself. An executor's threads, unlike this one, are waited
    for when the interpreter ends.

    Args:
        function: What to run; it must not raise StopIteration.
        name: What the thread is called.
    """
    return await asyncio.wrap_future(_start(function, name))


def wait_for_daemon_thread(function: Callable[[], T], name: str, limit: float) -> T:
    """Do the same where there is no event loop, for ``limit`` seconds at most.

    Raises:
        TimeoutError: The function takes longer; it is left to itself.
        RuntimeError: No thread can be started.
    """
    future = _start(function, name)
    try:
        return future.result(limit)
    except FutureTimeout:
        if future.done():
            raise
        raise TimeoutError(f"{name} took too long") from None


def _start(function: Callable[[], T], name: str) -> Future[T]:
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            future.set_result(context.run(function))
        except BaseException as error:
            future.set_exception(error)

    try:
        threading.Thread(target=work, name=name, daemon=True).start()
    except RuntimeError:
        if threading.main_thread().is_alive():
            raise
        work()  # the interpreter is ending, and starts no thread any more
    return future
