"""The async iterator over what becomes of one job."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Deque, List, Optional

from .. import exceptions as exc
from .._wire import utcnow
from ..location import JobPlace, Location
from ..models import JobResult
from ..operating import ChangeKind, JobChange
from .job_location import Known, locate
from .job_lookup import final_result
from .registry import Wait
from .wait_errors import timed_out
from .wait_iterator import WaitIterator, unregister_all
from .waits import Waits

__all__ = ["JobChanges"]

# Nothing tells that a worker takes a job: it is looked for, less and less often.
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 2.0
# What a worker writes just after it has announced an attempt's failure.
_AFTER_NEWS = 0.05
_KINDS = {
    JobPlace.QUEUED: "queued",
    JobPlace.SCHEDULED: "scheduled",
    JobPlace.TAKEN: "taken",
    JobPlace.RETRYING: "retry due",
    JobPlace.CANCELLED: "cancelled",
    JobPlace.MISSING: "missing",
    JobPlace.UNREADABLE: "unreadable",
}


class JobChanges(WaitIterator):
    """Gives the changes of a job, until the job has ended.

    Made by ``AsyncClient.watch``, for one task. Between two steps no cancel scope is open, so the
    body of the loop may await and cancel freely.
    """

    def __init__(
        self, waits: Waits, job_id: str, timeout: Optional[float], life: object = None
    ) -> None:
        super().__init__(waits, timeout, life)
        self._job_id = job_id
        self._wait: Optional[Wait] = None
        self._pause = _FIRST_PAUSE
        self._seen: Optional[Location] = None
        self._changes: Deque[JobChange] = deque()
        self._is_over = False

    def __aiter__(self) -> JobChanges:
        return self

    async def __anext__(self) -> JobChange:
        while not self._changes:
            if self._is_over:
                raise StopAsyncIteration
            if self._wait is None:
                self._begin()
                self._wait = self._waits.register(self._job_id, any_attempt=False)
            else:
                await self._sleep()
            is_late = self._deadline is not None and self._time() >= self._deadline
            await self._look()
            if is_late and not self._is_over and not self._changes:
                await self.aclose()
                raise self._too_late()
        return self._changes.popleft()

    async def aclose(self) -> None:
        """End the watch."""
        self._is_over = True
        self._changes.clear()
        self._unregister()

    def _time(self) -> float:
        assert self._loop is not None
        return self._loop.time()

    def _left(self) -> List[Wait]:
        return [] if self._wait is None else [self._wait]

    def _unregister(self) -> None:
        unregister_all(self._waits, self._left())
        self._wait = None

    async def _sleep(self) -> None:
        """Wait for news, or until it is time to look."""
        assert self._loop is not None
        assert self._wait is not None
        if self._wait.event.done():
            return
        wake: asyncio.Future[None] = self._loop.create_future()
        pause = self._pause
        if self._deadline is not None:
            pause = min(pause, max(0.0, self._deadline - self._time()))
        timer = self._loop.call_later(pause, _end, wake)

        def heard(_: object = None) -> None:
            self._pause = _AFTER_NEWS
            _end(wake)

        self._wait.on_news = heard
        self._wait.event.add_done_callback(heard)
        try:
            await wake
        finally:
            timer.cancel()
            if self._wait is not None:
                self._wait.on_news = None
                self._wait.event.remove_done_callback(heard)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    async def _look(self) -> None:
        assert self._wait is not None
        event: asyncio.Future[JobResult[Any]] = self._wait.event
        known = await self._waits.look(self._job_id)
        result: Optional[JobResult[Any]] = None
        try:
            # What the wait has found out counts: it knows of failures that nobody marks as final.
            result = (
                event.result()
                if event.done()
                else final_result(self._job_id, known, any_attempt=False)
            )
            has_ended = result is not None
        except exc.ResultNotFoundError:
            has_ended = True
        except BaseException:
            await self.aclose()
            raise
        if has_ended:
            self._changes.append(self._last(known, result))
            self._is_over = True
            self._unregister()
        elif _is_half_told(known):
            self._pause = _AFTER_NEWS
        else:
            changes = self._news(locate(known))
            if changes:
                self._pause = _FIRST_PAUSE
            self._changes.extend(changes)

    def _last(self, known: Known, result: Optional[JobResult[Any]]) -> JobChange:
        place = locate(known)
        kind: ChangeKind = "cancelled" if place.place is JobPlace.CANCELLED else "finished"
        return JobChange(self._job_id, kind, place, result)

    def _news(self, now: Location) -> List[JobChange]:
        """Return what has changed since the last look."""
        before = self._seen
        has_failed = now.attempts > (0 if before is None else before.attempts)
        if before is not None and not has_failed:
            if (before.place, before.due) == (now.place, now.due):
                return []
            waits_no_more = now.place is JobPlace.RETRYING and now.due is None
            if waits_no_more and before.place is not JobPlace.RETRYING:
                return []  # a failure is stored, and its document is about to be rewritten
        self._seen = now
        changes = []
        if has_failed:
            changes.append(JobChange(self._job_id, "attempt failed", now))
        if not (now.place is JobPlace.RETRYING and now.due is not None):
            kind: Any = _KINDS[now.place]
            changes.append(JobChange(self._job_id, kind, now))
        return changes

    def _too_late(self) -> exc.TimeoutError:
        place = None if self._seen is None else self._seen.place
        text = "its place is unknown" if place is None else f"it is {place}"
        return timed_out(self._job_id, self._timeout or 0.0, place, text)


def _is_half_told(known: Known) -> bool:
    """Whether a worker has written when the retry is due, but still has the job."""
    job = known.document.job
    if job is None or job.scheduled_for is None or not known.is_taken:
        return False
    return job.scheduled_for > utcnow()


def _end(wake: asyncio.Future[None]) -> None:
    if not wake.done():
        wake.set_result(None)
