"""Waiting for what happens elsewhere, by looking again and again."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Callable, Coroutine

from tests.behaviour.broker import Broker

__all__ = ["subscribed", "until"]

_PATIENCE = 20.0


async def until(condition: Callable[[], object], what: str) -> None:
    """Look every few milliseconds until a condition holds.

    Raises:
        AssertionError: It does not, however long one looks.
    """
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        await asyncio.sleep(0.002)


async def subscribed(
    broker: Broker, job_id: str, wait: Coroutine[Any, Any, Any]
) -> asyncio.Task[Any]:
    """Start a wait, and return it once it listens for its job."""
    task = asyncio.ensure_future(wait)
    await until(lambda: task.done() or broker.subscribers(job_id), f"somebody awaits {job_id}")
    return task
