"""Where a job is, by all that a look tells of it."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

from .._stored_jobs import Document
from ..location import JobPlace, Location
from ..models import JobResult, JobStatus
from .job_finality import Finality, judge

__all__ = ["Known", "locate"]

_PLACES = {JobStatus.COMPLETED: JobPlace.COMPLETED, JobStatus.FAILED: JobPlace.FAILED}


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
    if found.finality is Finality.RESULT_GONE or (
        job is not None and job.status is JobStatus.COMPLETED
    ):
        return JobPlace.COMPLETED
    if found.finality is Finality.ENDED and found.result is not None:
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
