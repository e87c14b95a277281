"""The async iterator over the results of many jobs."""

from __future__ import annotations

import asyncio
import builtins
import copy
import functools
import weakref
from collections import deque
from types import TracebackType
from typing import Any, Deque, Dict, List, Optional, Sequence, Set, Type

import anyio

from . import exceptions as exc
from ._in_process import InProcess
from ._lookup import final_result
from ._surroundings import running_loop
from ._waiters import Waiter
from ._watch import Watch, is_short
from ._whereabouts import Known, locate
from .location import JobPlace
from .models import JobResult

__all__ = ["AsCompleted"]


class AsCompleted(InProcess):
    """Gives the results of many jobs in the order in which the jobs end.

    Made by ``AsyncClient.as_completed``. Any number of consumers may share one: each result goes to
    one of them, and all of them end. A plain class: no cancel scope stays open between two steps,
    so that the loop's body may do what it likes.
    """

    def __init__(
        self,
        watch: Watch,
        job_ids: Sequence[str],
        timeout: Optional[float],
        *,
        any_attempt: bool,
        life: object = None,
    ) -> None:
        self._life = life
        self._watch = watch
        self._job_ids = job_ids
        self._timeout = timeout
        self._any_attempt = any_attempt
        self._deadline: Optional[float] = None
        self._pending: Optional[Dict[str, Waiter]] = None
        self._done: Deque[Waiter] = deque()
        self._sleepers: Set[asyncio.Future[None]] = set()
        self._is_looking = False
        self._late: Optional[exc.TimeoutError] = None
        self._is_told = False
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        if len(set(job_ids)) < len(job_ids):
            raise ValueError("job_ids must name each job once")

    def __aiter__(self) -> AsCompleted:
        return self

    async def __anext__(self) -> JobResult[Any]:
        if self._pending is None:
            self._start()
        has_waited = False
        while not self._done:
            if self._late is not None and (has_waited or not self._is_told):
                self._is_told = True
                raise copy.copy(self._late)
            if not self._pending:
                raise StopAsyncIteration
            has_waited = True
            await self._wait()
        waiter = self._done.popleft()
        try:
            found: JobResult[Any] = waiter.future.result()
            return found
        finally:
            self._watch.unregister(waiter)

    async def aclose(self) -> None:
        """End the waits that are left, and the steps of other consumers that are under way."""
        _let_go(self._watch, self._left())
        self._pending = {}
        self._done.clear()
        self._wake_all()

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
            if self._timeout == 0:  # only looks: nothing is to be subscribed for that
                waiter = Waiter(job_id, loop.create_future(), any_attempt=self._any_attempt)
            else:
                waiter = self._watch.register(job_id, any_attempt=self._any_attempt)
            self._pending[job_id] = waiter
            waiter.future.add_done_callback(functools.partial(_noted, myself, waiter))
        if self._timeout and is_short(self._timeout):
            self._watch.look_now(self._job_ids)

    def _note(self, waiter: Waiter) -> None:
        if self._pending and self._pending.pop(waiter.job_id, None) is not None:
            self._done.append(waiter)
            self._wake_all()

    def _wake_all(self) -> None:
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)

    async def _wait(self) -> None:
        """Wait until a result has come, or the time is over and has been seen to."""
        loop = asyncio.get_running_loop()
        sleeper = loop.create_future()
        left = None if self._deadline is None else max(0.0, self._deadline - loop.time())
        self._sleepers.add(sleeper)
        try:
            with anyio.fail_after(None if self._is_looking else left):
                await sleeper
        except builtins.TimeoutError:
            is_over = not self._is_looking
        else:
            is_over = False
        finally:
            self._sleepers.discard(sleeper)
        if is_over and not self._done and self._pending:
            await self._look_last()

    async def _look_last(self) -> None:
        """At the deadline, take what is there after all, and say where the other jobs are."""
        waiters = list((self._pending or {}).values())
        self._is_looking = True
        try:
            found, reason = await self._watch.last_looks(
                [waiter.job_id for waiter in waiters],
                self._timeout or 0.0,
                looked=all(waiter.looked for waiter in waiters),
            )
            places: Dict[str, int] = {}
            for waiter, known in zip(waiters, found):
                if not waiter.future.done():
                    self._judge(waiter, known, places)
                if waiter.future.done():
                    self._note(waiter)
            missing = list((self._pending or {}).values())
            if missing:
                self._late = self._too_late(missing, places, reason)
                _let_go(self._watch, missing)
                self._pending = {}
        finally:
            self._is_looking = False
            self._wake_all()

    def _judge(self, waiter: Waiter, known: Optional[Known], places: Dict[str, int]) -> None:
        if known is None:
            return
        try:
            result = final_result(waiter.job_id, known, any_attempt=self._any_attempt)
        except exc.BananasError as error:
            waiter.future.set_exception(error)
            return
        if result is not None:
            waiter.future.set_result(result)
        else:
            place = str(locate(known).place)
            places[place] = places.get(place, 0) + 1

    def _too_late(
        self, missing: Sequence[Waiter], places: Dict[str, int], reason: str
    ) -> exc.TimeoutError:
        where = ", ".join(f"{count} {place}" for place, count in places.items())
        text = where or f"where they are can't be found out: {reason}"
        return exc.TimeoutError(
            f"{len(missing)} of {len(self._job_ids)} jobs have no final result "
            f"within {self._timeout:g} s: {text}",
            job_ids=tuple(waiter.job_id for waiter in missing),
            whereabouts=JobPlace(next(iter(places))) if len(places) == 1 else None,
        )


def _noted(
    reference: weakref.ReferenceType[AsCompleted], waiter: Waiter, _: asyncio.Future[Any]
) -> None:
    results = reference()
    if results is not None:
        results._note(waiter)


def _let_go(watch: Watch, waiters: Sequence[Waiter]) -> None:
    for waiter in waiters:
        watch.unregister(waiter)
