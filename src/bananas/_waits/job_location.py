"""Where a job is, by all that a look tells of it."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

from .._stored_jobs import Document
from ..location import JobPlace, Location
from ..models import JobResult, JobStatus
from .job_finality import Finality, judge

__all__ = ["Known", "locate"]


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
    job, is_refused = known.document.job, known.document.refusal is not None
    if known.is_cancelled:
        return JobPlace.CANCELLED
    if job is not None and job.status is JobStatus.COMPLETED:
        return JobPlace.COMPLETED
    found = judge(job, known.result)
    if found.finality is Finality.ENDED and found.result is not None:
        if found.result.is_success:
            return JobPlace.COMPLETED
        if not is_refused:  # else a retry may follow
            return JobPlace.DEAD if known.is_dead else JobPlace.FAILED
    if job is None:
        if not known.document.is_there:
            return JobPlace.MISSING
        return JobPlace.TAKEN if is_refused and known.is_taken else JobPlace.UNREADABLE
    if known.is_taken:
        return JobPlace.TAKEN
    if job.scheduled_for is not None and job.status is JobStatus.SCHEDULED and not job.attempts:
        return JobPlace.SCHEDULED
    if job.scheduled_for is not None or job.attempts or known.result is not None:
        return JobPlace.RETRYING
    return JobPlace.QUEUED
