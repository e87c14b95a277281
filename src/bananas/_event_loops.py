"""Refuses the surroundings in which an event loop can't run."""

from __future__ import annotations

import asyncio
import sys
from typing import Optional

__all__ = ["refuse_green_threads", "running_loop"]

# What an event loop, or the thread that runs one, stands on.
_GEVENT_PARTS = ("thread", "threading", "socket", "select", "selectors", "ssl")
_EVENTLET_PARTS = ("thread", "socket", "select")


def refuse_green_threads() -> None:
    """Refuse a process in which gevent or eventlet has replaced the standard library's parts.

    Its threads share one thread of the operating system, so that the loop of one seems to run in
    all of them; its selectors and sockets wait for the hub and not for the loop.

    Raises:
        RuntimeError: It is one; the message says what to use instead.
    """
    patcher = _patcher()
    if patcher is not None:
        raise RuntimeError(
            f"bananas needs asyncio, which does not work where {patcher} has patched the standard "
            "library: use real threads (gunicorn's gthread workers, Celery's prefork or threads "
            "pool) or asyncio"
        )


def _patcher() -> Optional[str]:
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and any(map(monkey.is_module_patched, _GEVENT_PARTS)):
        return "gevent"
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None and any(map(patcher.is_monkey_patched, _EVENTLET_PARTS)):
        return "eventlet"
    return None


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the running event loop.

    Raises:
        RuntimeError: There is none, as under trio.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError("AsyncClient needs asyncio; trio is not supported") from None
