"""The async iterator over what becomes of one job."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Deque, List, Optional

from .. import exceptions as exc
from .._stored_jobs import Document
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
        self._trouble = ""
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
            is_late = self._time_left() == 0
            known = await self._look()
            if known is None:
                is_late = self._time_left() == 0
            if not self._left():
                continue  # another task has closed it
            if known is not None or self._wait.event.done():
                await self._compare(self._wait, known or Known(Document()))
            if is_late and not self._changes:
                await self.aclose()
                raise self._too_late()
        return self._changes.popleft()

    async def aclose(self) -> None:
        """End the watch."""
        self._is_over = True
        self._changes.clear()
        self._unregister()

    def _time_left(self) -> Optional[float]:
        if self._deadline is None:
            return None
        assert self._loop is not None
        return max(0.0, self._deadline - self._loop.time())

    def _left(self) -> List[Wait]:
        return [] if self._wait is None else [self._wait]

    def _unregister(self) -> None:
        unregister_all(self._waits, self._left())
        self._wait = None

    async def _sleep(self) -> None:
        """Wait for news, or until it is time to look."""
        assert self._loop is not None
        assert self._wait is not None
        wake: asyncio.Future[None] = self._loop.create_future()
        left = self._time_left()
        pause = self._pause if left is None else min(self._pause, left)
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

    async def _look(self) -> Optional[Known]:
        """Look, with a limit; return None where Redis can't be asked.

        Before anything was told, the caller is to know of it; then the watch goes on as a wait
        does.
        """
        limit = self._time_left()
        if limit is not None:
            is_told = self._seen is not None
            limit += self._waits.last_look_limit(self._timeout or 0.0, looked=is_told)
        self._trouble = ""
        try:
            return await self._waits.look(self._job_id, limit)
        except (exc.ConnectionError, exc.TimeoutError, exc.ServerError) as error:
            is_permanent = isinstance(error, exc.ConnectionError) and error.permanent
            if is_permanent or (self._seen is None and self._time_left() != 0):
                raise
            self._trouble = str(error)
        return None

    async def _compare(self, wait: Wait, known: Known) -> None:
        """Note what has changed since the last look."""
        event: asyncio.Future[JobResult[Any]] = wait.event
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
        if result is not None:  # it may have come after the look
            is_cancelled = known.is_cancelled or result.cancelled
            known = known._replace(result=result, is_cancelled=is_cancelled)
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
        place = None if self._seen is None or self._trouble else self._seen.place
        text = f"its place is unknown: {self._trouble}" if place is None else f"it is {place}"
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
