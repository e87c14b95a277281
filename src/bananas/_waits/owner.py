"""Carries out what the state machine of waits decides: on the pipeline, the listener, one timer."""

from __future__ import annotations

import asyncio
from typing import Any, Callable

from .. import exceptions as exc
from .._pipeline import AutoPipeline
from .._timer import Timer
from .._wire import Keys
from ..models import JobResult
from .core import WaitCore
from .listener import Listener
from .reader import Reader
from .registry import Wait

__all__ = ["Owner"]


class Owner:
    """The effects of the waits' state machine, and the clock of its events.

    Args:
        pipeline: Carries the reads.
        listen: Makes the listener from its callbacks.
        keys: The names of results, documents and the dead letters.
        safety_interval: Seconds between two periodic reads of one result, where they are few.
    """

    def __init__(
        self,
        pipeline: AutoPipeline,
        listen: Callable[..., Listener],
        keys: Keys,
        *,
        safety_interval: float,
    ) -> None:
        core = self.core = WaitCore(self, safety_interval=safety_interval)
        reader = Reader(pipeline, keys, core)
        self.listener: Listener = listen(
            on_confirmed=core.confirmed,
            on_notified=core.notified,
            on_lost=core.lost,
            on_refused=core.refused,
        )
        self._timer = Timer(self._on_time)
        self.subscribe = self.listener.subscribe
        self.unsubscribe = self.listener.unsubscribe
        self.read_results = reader.read_results
        self.read_documents = reader.read_documents
        self.read_dead_letters = reader.read_dead_letters

    def resolve(self, wait: Wait, result: JobResult[Any]) -> None:
        if not wait.event.done():
            wait.event.set_result(result)

    def fail(self, wait: Wait, error: exc.BananasError) -> None:
        if not wait.event.done():
            wait.event.set_exception(error)

    def wake_at(self, when: float) -> None:
        self._timer.set(asyncio.get_running_loop(), when)

    def _on_time(self) -> None:
        self.listener.keep_going()
        self.core.time(asyncio.get_running_loop().time())

    def let_go(self) -> None:
        """Begin to close: all waits end, and so does the listener."""
        self._timer.cancel()
        self.core.closed()
        self.listener.let_go()
