"""The async iterator over the results of many jobs."""

from __future__ import annotations

import asyncio
import builtins
import functools
import weakref
from collections import deque
from types import TracebackType
from typing import Any, Deque, Dict, List, Optional, Sequence, Type

import anyio

from . import exceptions as exc
from ._in_process import InProcess
from ._surroundings import running_loop
from ._waiters import Waiter
from ._watch import Watch
from .models import JobResult

__all__ = ["AsCompleted"]


class AsCompleted(InProcess):
    """Gives the results of many jobs in the order in which the jobs end.

    Made by ``AsyncClient.as_completed``. A plain class: no cancel scope stays open between two
    steps, so that the loop's body may do what it likes.
    """

    def __init__(
        self, watch: Watch, job_ids: Sequence[str], timeout: Optional[float], *, any_attempt: bool
    ) -> None:
        self._watch = watch
        self._job_ids = job_ids
        self._timeout = timeout
        self._any_attempt = any_attempt
        self._deadline: Optional[float] = None
        self._pending: Optional[Dict[str, Waiter]] = None
        self._done: Deque[Waiter] = deque()
        self._wake: Optional[asyncio.Future[None]] = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        if len(set(job_ids)) < len(job_ids):
            raise ValueError("job_ids must name each job once")

    def __aiter__(self) -> AsCompleted:
        return self

    async def __anext__(self) -> JobResult[Any]:
        if self._pending is None:
            self._start()
        if not self._done and not self._pending:
            raise StopAsyncIteration
        if not self._done:
            await self._wait()
        waiter = self._done.popleft()
        try:
            found: JobResult[Any] = waiter.future.result()
            return found
        finally:
            self._watch.unregister(waiter)

    async def aclose(self) -> None:
        """End the waits that are left."""
        _let_go(self._watch, self._left())
        self._pending = {}
        self._done.clear()

    def __del__(self) -> None:
        # Left early and forgotten, maybe by another thread, or after the loop has ended.
        left = self._left()
        if left and self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(_let_go, self._watch, left)
            except RuntimeError:
                pass

    async def __aenter__(self) -> AsCompleted:
        return self

    async def __aexit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.aclose()

    def _left(self) -> List[Waiter]:
        return [*(self._pending or {}).values(), *self._done]

    def _start(self) -> None:
        loop = self._loop = running_loop()
        # The waits must not keep alive an iterator that everybody else has forgotten.
        myself = weakref.ref(self)
        if self._timeout is not None:
            self._deadline = loop.time() + self._timeout
        self._pending = {}
        for job_id in self._job_ids:
            waiter = self._watch.register(job_id, any_attempt=self._any_attempt)
            self._pending[job_id] = waiter
            waiter.future.add_done_callback(functools.partial(_noted, myself, waiter))

    def _note(self, waiter: Waiter) -> None:
        if self._pending and self._pending.pop(waiter.job_id, None) is not None:
            self._done.append(waiter)
            if self._wake is not None and not self._wake.done():
                self._wake.set_result(None)

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._wake = loop.create_future()
        left = None if self._deadline is None else max(0.0, self._deadline - loop.time())
        try:
            with anyio.fail_after(left):
                await self._wake
        except builtins.TimeoutError:
            if self._done:
                return
            missing = tuple(self._pending or ())
            await self.aclose()
            raise exc.TimeoutError(
                f"{len(missing)} of {len(self._job_ids)} jobs have no final result "
                f"within {self._timeout:g} s",
                job_ids=missing,
            ) from None
        finally:
            self._wake = None


def _noted(
    reference: weakref.ReferenceType[AsCompleted], waiter: Waiter, _: asyncio.Future[Any]
) -> None:
    results = reference()
    if results is not None:
        results._note(waiter)


def _let_go(watch: Watch, waiters: Sequence[Waiter]) -> None:
    for waiter in waiters:
        watch.unregister(waiter)
