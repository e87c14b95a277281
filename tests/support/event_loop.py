"""The event loop that the tests and the programs they start run on."""

from __future__ import annotations

import asyncio
import os

__all__ = ["VARIABLE", "chosen_event_loop", "use_event_loop"]

#: Names the event loop; without it the tests run on asyncio's own.
VARIABLE = "BANANAS_TEST_EVENT_LOOP"


def chosen_event_loop() -> str:
    """Return the name of the event loop that the environment chooses."""
    name = os.environ.get(VARIABLE) or "asyncio"
    if name not in ("asyncio", "uvloop"):
        raise RuntimeError(f"{VARIABLE} must be asyncio or uvloop; got {name!r}")
    return name


def use_event_loop() -> None:
    """Have this process run coroutines on the event loop that the environment chooses."""
    if chosen_event_loop() == "uvloop":
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
