"""Closes the connections of a client, also of one that is garbage collected without ``close()``."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import warnings
from typing import Optional, Protocol, Sequence

from ._background_tasks import in_empty_context
from ._fork_safety import OwnProcess, keep_forever

__all__ = ["Life", "warn_unclosed"]


class Ends(Protocol):
    """A part of a client that has connections."""

    def let_go(self) -> None:
        """Begin to close: nothing new is taken, and what is under way fails."""

    async def close(self) -> None:
        """Close, and fail what is under way."""

    def shut_down(self) -> None:
        """End the connections on whichever thread; their loop does not run."""

    def abandon(self) -> None:
        """End all where the loop is closed."""


class Pipeline(Ends, Protocol):
    """The part that knows where the client has been used."""

    loop: Optional[asyncio.AbstractEventLoop]
    process: Optional[OwnProcess]


class Life:
    """The life of a client, which ends with ``close()``, or when nobody refers to it any more.

    Client, queue and iterators refer to it; tasks and timers refer only to the parts. So it is
    garbage collected although those still run.

    Args:
        name: What the client is called in a warning.
        pipeline: What is to be closed, after all others.
        others: What else is to be closed, in this order.
    """

    _is_closed = True  # until it is made: an interrupt may come before

    def __init__(self, name: str, pipeline: Pipeline, *others: Ends) -> None:
        self.name = name
        self._pipeline = pipeline
        self._parts: Sequence[Ends] = (*others, pipeline)
        self._is_closed = False

    async def close(self) -> None:
        """Close all connections; a cancellation does not keep any task running."""
        self._is_closed = True
        _let_go(self._parts)
        async with contextlib.AsyncExitStack() as stack:
            for part in reversed(self._parts):
                stack.push_async_callback(part.close)

    def __del__(self) -> None:
        if self._is_closed:
            return
        parts, loop = self._parts, self._pipeline.loop
        if loop is None:
            return
        process = self._pipeline.process
        if process is None or not process.is_current():
            keep_forever(parts)
            return
        if sys.is_finalizing():
            _abandon(parts)
            return
        _forget(loop, parts)
        warn_unclosed(self.name)


def warn_unclosed(name: str) -> None:
    """Warn that a client was forgotten without ``close()``."""
    warnings.warn(
        f"unclosed client {name}: close() it, or use it in a with statement",
        ResourceWarning,
        stacklevel=3,
    )


def _forget(loop: asyncio.AbstractEventLoop, parts: Sequence[Ends]) -> None:
    """Close what a forgotten client leaves; the garbage collector may run in any thread."""
    if not loop.is_closed():
        try:
            in_empty_context(loop.call_soon_threadsafe, _let_go, parts)
        except RuntimeError:
            pass  # it has just been closed
        if loop.is_running():
            return
        for part in parts:
            part.shut_down()
    if loop.is_closed():
        _abandon(parts)


def _let_go(parts: Sequence[Ends]) -> None:
    for part in parts:
        part.let_go()


def _abandon(parts: Sequence[Ends]) -> None:
    for part in parts:
        part.abandon()
