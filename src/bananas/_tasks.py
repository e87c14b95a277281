"""How a background task is ended by the one who owns it."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio

__all__ = ["cancel_and_wait"]

_PATIENCE = 0.1


async def cancel_and_wait(task: asyncio.Task[Any], limit: float = 2.0) -> None:
    """Cancel a task and wait until it has ended, for ``limit`` seconds at most.

    A cancellation of the caller does not cut the wait short: the task would outlive its owner.
    """
    task.cancel()
    # Its loop may have ended, and the task with it, before the client is closed in another one.
    if task.done() or task is asyncio.current_task():
        return
    with anyio.move_on_after(limit, shield=True):
        await asyncio.wait([task], timeout=_PATIENCE)
        while not task.done():
            # Below 3.11 a cancellation that comes with the end of a time limit gets lost in it.
            task.cancel()
            await asyncio.wait([task], timeout=_PATIENCE)
