"""How the owner of a background task starts it and ends it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from typing import Any, Callable, Coroutine, Optional, TypeVar

import anyio

from ._redis import suppress_pending_warning

__all__ = ["abandon", "cancel_and_wait", "cancel_task", "in_empty_context", "start_task"]

T = TypeVar("T")

_LIMIT = 2.0
_PAUSE = 0.1


def in_empty_context(function: Callable[..., T], *args: object) -> T:
    """Call a function where no context variable is set: what it schedules inherits none."""
    return contextvars.Context().run(function, *args)


def start_task(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], name: str
) -> asyncio.Task[T]:
    """Start a task that inherits no context variables: it serves others than its first caller."""
    return contextvars.Context().run(loop.create_task, work, name=name)


def cancel_task(task: Optional[asyncio.Task[Any]]) -> None:
    """Cancel a task, if there is one, without waiting for its end."""
    if task is None or task.done():
        return
    loop = task.get_loop()
    if loop.is_closed():
        abandon(task)
    elif asyncio._get_running_loop() is loop:
        task.cancel()
    else:
        with contextlib.suppress(RuntimeError):  # it has just ended
            loop.call_soon_threadsafe(task.cancel)


def abandon(task: Optional[asyncio.Task[Any]]) -> None:
    """End a task whose loop is closed, without asyncio's warning that it is pending."""
    if task is not None and not task.done():
        suppress_pending_warning(task)
        work: Any = task.get_coro()
        with contextlib.suppress(Exception):  # there is no loop for it to clean up in
            work.close()


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended, for 2 s at most.

    If the caller is cancelled meanwhile, that is raised after the wait: else the task would outlive
    its owner.
    """
    cancel_task(task)
    loop = asyncio.get_running_loop()
    # The client may be closed in another loop than the one that it was used in.
    if task is asyncio.current_task() or task.get_loop() is not loop:
        return
    cancelled: Optional[asyncio.CancelledError] = None
    until = loop.time() + _LIMIT
    with anyio.CancelScope(shield=True):
        while not task.done() and loop.time() < until:
            try:
                await asyncio.wait([task], timeout=_PAUSE)
            except asyncio.CancelledError as error:
                cancelled = error
            # Below 3.11 a cancellation that comes with the end of a time limit gets lost in it.
            cancel_task(task)
    if cancelled is not None:
        raise cancelled
