"""Says where a job is, in a word for programs and in words for people."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple, Optional

from ._judgement import State, judge
from ._stored import Document
from ._timestamps import format_timestamp
from .location import JobPlace, Location
from .models import Job, JobResult, JobStatus

__all__ = ["Known", "describe", "locate"]

_PLACES = {JobStatus.COMPLETED: JobPlace.COMPLETED, JobStatus.FAILED: JobPlace.FAILED}
# The scheduler looks once a second.
_OVERDUE = timedelta(seconds=3)


class Known(NamedTuple):
    """All that a look tells of one job.

    Attributes:
        document: Its document.
        result: Its stored result; None where there is none, or none that can be read.
        trouble: Why a stored result can't be read.
        is_taken: Whether it stands in the list of what workers have taken; None if not known.
        is_dead: Whether it stands in the list of dead letters; None if not known.
        is_cancelled: Whether document or result say that it was cancelled.
    """

    document: Document
    result: Optional[JobResult[Any]] = None
    trouble: Optional[Exception] = None
    is_taken: Optional[bool] = None
    is_dead: Optional[bool] = None
    is_cancelled: bool = False


def locate(known: Known) -> Location:
    """Return where a job is, without its lists: a job that is nowhere else is queued."""
    job, result = known.document.job, known.result
    failure = result.error if result is not None and result.status is JobStatus.FAILED else ""
    place = _place(known)
    if job is None:
        return Location(place, last_error=failure)
    waits = place in (JobPlace.SCHEDULED, JobPlace.RETRYING)
    return Location(place, job.attempts, job.error or failure, job.scheduled_for if waits else None)


def _place(known: Known) -> JobPlace:
    job, result = known.document.job, known.result
    if known.is_cancelled:
        return JobPlace.CANCELLED
    found = judge(job, result)
    if found.state is State.RESULT_GONE or (job is not None and job.status is JobStatus.COMPLETED):
        return JobPlace.COMPLETED
    if found.state is State.ENDED and found.result is not None:
        refused = known.document.refusal is not None and job is None
        if not refused or found.result.status is JobStatus.COMPLETED:
            place = _PLACES[found.result.status]
            return JobPlace.DEAD if place is JobPlace.FAILED and known.is_dead else place
    if job is None:
        if not known.document.is_there:
            return JobPlace.MISSING
        refused = known.document.refusal is not None
        return JobPlace.TAKEN if refused and known.is_taken else JobPlace.UNREADABLE
    if known.is_taken:
        return JobPlace.TAKEN
    if job.scheduled_for is not None and job.status is JobStatus.SCHEDULED and not job.attempts:
        return JobPlace.SCHEDULED
    if job.scheduled_for is not None or job.attempts or result is not None:
        return JobPlace.RETRYING
    return JobPlace.QUEUED


def describe(location: Location, known: Known, now: datetime) -> str:
    """Return a sentence about a job that has no final result yet."""
    document = known.document
    job, place = document.job, location.place
    if place is JobPlace.TAKEN:
        return (
            f"a worker has taken it{_attempt(job)}: it runs, or was lost with its worker, "
            "and the queue can't tell which"
        )
    if document.refusal is not None:
        return f"Redis refuses to show its document: {document.refusal}"
    if place is JobPlace.UNREADABLE:
        return "its document can't be read; a worker will dead-letter it"
    if job is None:
        return "there is no such job: it was never submitted here, expired, or was evicted"
    if place is JobPlace.SCHEDULED:
        return f"it is scheduled, {_due(location.due, now)}"
    if place is JobPlace.RETRYING:
        reason = _first_line(location.last_error)
        text = f'retrying after "{reason}"' if reason else "retrying after a failure without reason"
        if location.due is not None:
            return f"{text}{_attempt(job)}, {_due(location.due, now)}"
        if job.attempts:
            return f"{text}{_attempt(job)}, queued again"
        return text
    if place is not JobPlace.QUEUED:
        return f"it has {job.status}, and its result is not to be had"
    route = "" if job.routing_key is None else f" of route {job.routing_key}"
    taken = ", or a worker has taken it" if known.is_taken is None else "; no worker has taken it"
    return f"it is queued with priority {job.priority}{route}{taken}"


def _due(due: Optional[datetime], now: datetime) -> str:
    if due is None:
        return "due at a time that is not known"
    late = now - due
    if late <= _OVERDUE:
        return f"due at {format_timestamp(due)}"
    span = timedelta(seconds=int(late.total_seconds()))
    return f"overdue by {span} since {format_timestamp(due)}: no scheduler may be running"


def _attempt(job: Optional[Job]) -> str:
    if job is None:
        return ""
    return f" (attempt {job.attempts + 1} of {max(job.max_retries, job.attempts + 1)})"


def _first_line(error: str) -> str:
    line = error.strip().partition("\n")[0].rstrip()
    return line if len(line) <= 200 else f"{line[:197]}..."
