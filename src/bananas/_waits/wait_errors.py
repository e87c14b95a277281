"""The errors of waits, and the sentence about a job that has no final result yet."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Optional

from .. import exceptions as exc
from .._redis import ReplyError
from .._wire import format_timestamp
from ..location import JobPlace, Location
from ..models import Job
from .job_location import Known

__all__ = [
    "closed_during_wait",
    "describe",
    "not_found",
    "refused",
    "result_gone",
    "retry_unknown",
    "timed_out",
]

# The scheduler looks once a second.
_OVERDUE = timedelta(seconds=3)
_NOWHERE = "it was never submitted here, expired, or was evicted"


def timed_out(
    job_id: str, timeout: float, place: Optional[JobPlace], text: str
) -> exc.TimeoutError:
    """Return the error of a wait whose time is over."""
    text = f"no final result of job {job_id} within {timeout:g} s: {text}"
    return exc.TimeoutError(text, job_id=job_id, whereabouts=place)


def refused(error: exc.ConnectionError, job_id: str) -> exc.ConnectionError:
    """Return the error of a wait for which there will never be a connection."""
    text = f"can't wait for job {job_id}: {error}"
    return type(error)(text, job_id=job_id, permanent=error.permanent)


def closed_during_wait(job_id: str) -> exc.ClientClosedError:
    """Return the error of a wait that the closing of the client has ended."""
    text = f"the client was closed during the wait for job {job_id}"
    return exc.ClientClosedError(text, job_id=job_id)


def not_found(job_id: str) -> exc.JobNotFoundError:
    """Return the error of a wait for a job that must exist, and does not."""
    return exc.JobNotFoundError(f"there is no job {job_id}: {_NOWHERE}", job_id=job_id)


def result_gone(job_id: str) -> exc.ResultNotFoundError:
    """Return the error of a wait for a job that has completed, and has no result any more."""
    why = "it expired, or the worker keeps none"
    text = f"job {job_id} has completed, and its result is gone: {why}"
    return exc.ResultNotFoundError(text, job_id=job_id)


def retry_unknown(job_id: str, reply: ReplyError) -> exc.ServerError:
    """Return the error of a wait that can't tell a final failure from one to be retried."""
    text = (
        f"an attempt of job {job_id} failed, but the client can't know whether a retry follows: "
        f"Redis refuses to show its document ({reply}); grant GET on its key, or pass "
        "wait_for_retries=False"
    )
    return exc.ServerError(text, job_id=job_id, code=reply.code)


def describe(location: Location, known: Known, now: datetime) -> str:
    """Return a sentence about a job that has no final result yet."""
    document = known.document
    job, place = document.job, location.place
    if place is JobPlace.TAKEN:
        return (
            f"a worker has taken it{_attempt(job)}: it runs, or its worker was killed; the queue "
            "can't know which"
        )
    if document.refusal is not None:
        return f"Redis refuses to show its document: {document.refusal}"
    if place is JobPlace.UNREADABLE:
        return "its document can't be read; a worker will make it a dead letter"
    if job is None:
        return f"there is no such job: {_NOWHERE}"
    if place is JobPlace.SCHEDULED and location.due is not None:
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
        return f"it has {job.status}, and its result is gone"
    route = "" if job.routing_key is None else f" of route {job.routing_key}"
    taken = ", or a worker has taken it" if known.is_taken is None else "; no worker has taken it"
    return f"it is queued with priority {job.priority}{route}{taken}"


def _due(due: datetime, now: datetime) -> str:
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
