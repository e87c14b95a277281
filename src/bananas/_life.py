"""What a client and its parts share, and no task refers to: it notices that all are forgotten."""

from __future__ import annotations

import asyncio
import os
import sys
import warnings
from typing import List

from ._pipeline import AutoPipeline
from ._tasks import in_empty_context
from ._waits import Waits

__all__ = ["Life", "warn_unclosed"]


# What a forked child inherits must never be collected there: closing an inherited loop or
# transport takes the parent's sockets off the epoll that both processes share.
_inherited: List[object] = []


class Life:
    """The life of a client, which ends with ``close()``, or when everybody has forgotten it.

    Tasks and timers refer to the pipeline and the waits, so that these never end by themselves.

    Args:
        name: What the client is called in a warning.
        pipeline: What is to be closed.
        waits: The same.
    """

    _is_closed = True  # until it is made: an interrupt may come before

    def __init__(self, name: str, pipeline: AutoPipeline, waits: Waits) -> None:
        self.name = name
        self._pipeline = pipeline
        self._waits = waits
        self._is_closed = False

    async def close(self) -> None:
        """Close both connections; a cancellation does not keep any task running."""
        self._is_closed = True
        self._let_go()
        try:
            await self._waits.close()
        finally:
            await self._pipeline.close()

    def _let_go(self) -> None:
        self._waits.let_go()
        self._pipeline.let_go()

    def __del__(self) -> None:
        if self._is_closed:
            return
        pipeline, waits = self._pipeline, self._waits
        loop = pipeline.loop
        if loop is None:
            return
        if pipeline.process != os.getpid():
            _inherited.append((pipeline, waits))
            return
        if sys.is_finalizing():
            _abandon(pipeline, waits)
            return
        _forget(loop, pipeline, waits)
        warn_unclosed(self.name)


def warn_unclosed(name: str) -> None:
    """Warn that a client was forgotten without ``close()``."""
    warnings.warn(
        f"unclosed client {name}: close() it, or use it in a with statement",
        ResourceWarning,
        stacklevel=3,
    )


def _forget(loop: asyncio.AbstractEventLoop, pipeline: AutoPipeline, waits: Waits) -> None:
    """Let go of what a client leaves, from whichever thread, in the middle of whatever it does."""
    if not loop.is_closed():
        try:
            in_empty_context(loop.call_soon_threadsafe, _let_go, pipeline, waits)
        except RuntimeError:
            pass  # it has just been closed
        if loop.is_running():
            return
        waits.shut_down()
        pipeline.shut_down()
    if loop.is_closed():
        _abandon(pipeline, waits)


def _let_go(pipeline: AutoPipeline, waits: Waits) -> None:
    waits.let_go()
    pipeline.let_go()


def _abandon(pipeline: AutoPipeline, waits: Waits) -> None:
    waits.abandon()
    pipeline.abandon()
