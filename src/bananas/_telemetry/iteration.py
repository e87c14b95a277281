"""One span for the life of an iterator over results or changes."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any, Callable, Optional, Type, TypeVar

from .. import exceptions as exc
from .._in_process import InProcess
from ..models import JobResult
from .recording import Call

__all__ = ["Iteration", "RecordedBlockingSteps", "RecordedSteps"]

Steps = TypeVar("Steps", bound="RecordedSteps")
BlockingSteps = TypeVar("BlockingSteps", bound="RecordedBlockingSteps")


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


class RecordedSteps(InProcess):
    """An async iterator that is recorded.

    Args:
        inner: The iterator.
        record: Its record.
    """

    def __init__(self, inner: Any, record: Iteration) -> None:
        self._inner = inner
        self._record = record

    def __aiter__(self: Steps) -> Steps:
        return self

    async def __anext__(self) -> Any:
        self._record.begin()
        try:
            item = await self._inner.__anext__()
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
        try:
            await self._inner.aclose()
        finally:
            self._record.end()

    async def __aenter__(self: Steps) -> Steps:
        return self

    async def __aexit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.aclose()


class RecordedBlockingSteps(InProcess):
    """A blocking iterator that is recorded.

    Args:
        inner: The iterator.
        record: Its record.
    """

    def __init__(self, inner: Any, record: Iteration) -> None:
        self._inner = inner
        self._record = record

    def __iter__(self: BlockingSteps) -> BlockingSteps:
        return self

    def __next__(self) -> Any:
        self._record.begin()
        try:
            item = next(self._inner)
        except StopIteration:
            self._record.end()
            raise
        except BaseException as error:
            self._record.failed(error)
            raise
        self._record.gave(item)
        return item

    def close(self) -> None:
        """End it."""
        try:
            self._inner.close()
        finally:
            self._record.end()

    def __enter__(self: BlockingSteps) -> BlockingSteps:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()
