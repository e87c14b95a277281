"""One span for the life of an iterator over results or changes."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from typing import Any, Callable, Optional

from .. import exceptions as exc
from ..models import JobResult
from .recording import Call

__all__ = ["Iteration", "RecordedBlockingSteps", "RecordedSteps"]


class Iteration:
    """The record of an iterator, from its first step to its end.

    Args:
        start: Begins the span.
    """

    def __init__(self, start: Callable[[], Call]) -> None:
        self._start: Optional[Callable[[], Call]] = start
        self._call: Optional[Call] = None

    def begin(self) -> None:
        """Note that a step is made."""
        start, self._start = self._start, None
        if start is not None:
            self._call = start()

    def gave(self, item: Any) -> None:
        """Note what a step has given: a result, or a change that may have one."""
        call = self._call
        if call is None:
            return
        if isinstance(item, JobResult):
            call.takes += 1
        elif item.result is not None:
            call.ended_as(item.result)

    def failed(self, error: BaseException) -> None:
        """Note that a step has raised something; after most errors an iterator goes on."""
        is_cancelled = isinstance(error, (asyncio.CancelledError, CancelledError))
        if self._call is not None and not is_cancelled:
            self._call.failed(error)
        if isinstance(error, exc.TimeoutError):
            self.end()

    def end(self) -> None:
        """Note that there are no more steps."""
        self._start = None
        call, self._call = self._call, None
        if call is not None:
            if call.has_many:
                call.handled(call.takes)
            call.end()

    def __del__(self) -> None:
        self.end()  # left early and forgotten


class RecordedSteps:
    """The class of an async iterator in front of its own."""

    _record: Iteration

    async def __anext__(self) -> Any:
        own: Any = super()
        self._record.begin()
        try:
            item = await own.__anext__()
        except StopAsyncIteration:
            self._record.end()
            raise
        except BaseException as error:
            self._record.failed(error)
            raise
        self._record.gave(item)
        return item

    async def aclose(self) -> None:
        """End it."""
        own: Any = super()
        try:
            await own.aclose()
        finally:
            self._record.end()


class RecordedBlockingSteps:
    """The class of a blocking iterator in front of its own."""

    _record: Iteration

    def __next__(self) -> Any:
        own: Any = super()
        self._record.begin()
        try:
            item = own.__next__()
        except StopIteration:
            self._record.end()
            raise
        except BaseException as error:
            self._record.failed(error)
            raise
        self._record.gave(item)
        return item

    def _end(self) -> None:
        own: Any = super()
        try:
            own._end()
        finally:
            self._record.end()
