"""The async iterator over the results of many jobs."""

from __future__ import annotations

import asyncio
import builtins
import copy
import functools
import weakref
from collections import deque
from typing import Any, Deque, Dict, List, Optional, Sequence, Set

import anyio

from .. import exceptions as exc
from ..location import JobPlace
from ..models import JobResult
from .job_location import Known, locate
from .job_lookup import final_result
from .limit_before_python_3_11 import CANCELS_ARE_COUNTED, event_limit
from .registry import Wait
from .wait_iterator import WaitIterator, unregister_all
from .waits import Waits, is_short

__all__ = ["AsCompleted"]


class AsCompleted(WaitIterator):
    """Gives the results of many jobs in the order in which the jobs end.

    Made by ``AsyncClient.as_completed``. Several tasks may share one: each result goes to one of
    them, and the loop ends in all of them. Between two steps no cancel scope is open, so the body
    of the loop may await and cancel freely.
    """

    def __init__(
        self,
        waits: Waits,
        job_ids: Sequence[str],
        timeout: Optional[float],
        *,
        any_attempt: bool,
        life: object = None,
    ) -> None:
        super().__init__(waits, timeout, life)
        self._job_ids = job_ids
        self._any_attempt = any_attempt
        self._pending: Optional[Dict[str, Wait]] = None
        self._done: Deque[Wait] = deque()
        self._sleepers: Set[asyncio.Future[None]] = set()
        self._is_looking = False
        self._late: Optional[exc.TimeoutError] = None
        self._is_told = False
        if len(set(job_ids)) < len(job_ids):
            raise ValueError("job_ids must name each job once")

    def __aiter__(self) -> AsCompleted:
        return self

    async def __anext__(self) -> JobResult[Any]:
        if self._pending is None:
            self._start()
        has_waited = False
        while not self._done:
            # Every task that has waited gets the time-out; each later step ends its loop.
            if self._late is not None and (has_waited or not self._is_told):
                self._is_told = True
                raise copy.copy(self._late)
            if not self._pending:
                raise StopAsyncIteration
            has_waited = True
            await self._wait()
        wait = self._done.popleft()
        try:
            found: JobResult[Any] = wait.event.result()
            return found
        finally:
            self._waits.unregister(wait)

    async def aclose(self) -> None:
        """End all waits that have not finished, also those of other tasks."""
        unregister_all(self._waits, self._left())
        self._pending = {}
        self._done.clear()
        self._wake_all()

    def _left(self) -> List[Wait]:
        return [*(self._pending or {}).values(), *self._done]

    def _start(self) -> None:
        loop = self._begin()
        # The waits must not keep alive an iterator that everybody else has forgotten.
        myself = weakref.ref(self)
        self._pending = {}
        for job_id in self._job_ids:
            if self._timeout == 0:  # only looks: nothing is to be subscribed for that
                wait = Wait(job_id, loop.create_future(), any_attempt=self._any_attempt)
            else:
                wait = self._waits.register(job_id, any_attempt=self._any_attempt)
            self._pending[job_id] = wait
            wait.event.add_done_callback(functools.partial(_noted, myself, wait))
        if self._timeout and is_short(self._timeout):
            self._waits.look_now(self._job_ids)

    def _note(self, wait: Wait) -> None:
        if self._pending and self._pending.pop(wait.job_id, None) is not None:
            self._done.append(wait)
            self._wake_all()

    def _wake_all(self) -> None:
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)

    async def _wait(self) -> None:
        """Wait until a result has come, or the time is over and has been seen to."""
        loop = asyncio.get_running_loop()
        sleeper = loop.create_future()
        left: Optional[float] = None
        if self._deadline is not None and not self._is_looking:
            left = max(0.0, self._deadline - loop.time())
        self._sleepers.add(sleeper)
        is_over = False
        try:
            with anyio.fail_after(left) if CANCELS_ARE_COUNTED else event_limit(sleeper, left):
                await sleeper
        except builtins.TimeoutError:
            is_over = not self._is_looking
        finally:
            self._sleepers.discard(sleeper)
        if is_over and not self._done and self._pending:
            await self._look_last()

    async def _look_last(self) -> None:
        """At the deadline, take what is there after all, and say where the other jobs are."""
        waits = list((self._pending or {}).values())
        self._is_looking = True
        try:
            found, reason = await self._waits.last_looks(
                [wait.job_id for wait in waits],
                self._timeout or 0.0,
                looked=all(wait.looked for wait in waits),
            )
            places: Dict[str, int] = {}
            for wait, known in zip(waits, found):
                if not wait.event.done():
                    self._judge(wait, known, places)
                if wait.event.done():
                    self._note(wait)
            missing = list((self._pending or {}).values())
            if missing:
                self._late = self._too_late(missing, places, reason)
                unregister_all(self._waits, missing)
                self._pending = {}
        finally:
            self._is_looking = False
            self._wake_all()

    def _judge(self, wait: Wait, known: Optional[Known], places: Dict[str, int]) -> None:
        if known is None:
            return
        try:
            result = final_result(wait.job_id, known, any_attempt=self._any_attempt)
        except exc.BananasError as error:
            wait.event.set_exception(error)
            wait.event.exception()  # retrieved: the caller may leave before its turn
            return
        if result is not None:
            wait.event.set_result(result)
        else:
            place = str(locate(known).place)
            places[place] = places.get(place, 0) + 1

    def _too_late(
        self, missing: Sequence[Wait], places: Dict[str, int], reason: str
    ) -> exc.TimeoutError:
        where = ", ".join(f"{count} {place}" for place, count in places.items())
        text = where or f"their places are unknown: {reason}"
        return exc.TimeoutError(
            f"no final result of {len(missing)} of {len(self._job_ids)} jobs "
            f"within {self._timeout:g} s: {text}",
            job_ids=tuple(wait.job_id for wait in missing),
            whereabouts=JobPlace(next(iter(places))) if len(places) == 1 else None,
        )


def _noted(
    reference: weakref.ReferenceType[AsCompleted], wait: Wait, _: asyncio.Future[Any]
) -> None:
    results = reference()
    if results is not None:
        results._note(wait)
