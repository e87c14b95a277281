"""Says in words where a job is, for the time-out of a wait."""

from __future__ import annotations

from typing import Any, Optional, Tuple

from ._timestamps import format_timestamp
from .models import Job, JobResult, JobStatus

__all__ = ["describe"]


def describe(
    job: Optional[Job], result: Optional[JobResult[Any]], *, held: Optional[bool], readable: bool
) -> Tuple[str, str]:
    """Return a word and a sentence about a job that has no final result yet.

    Args:
        job: Its document; None where there is none that can be read.
        result: A result of an earlier attempt, or None.
        held: Whether it stands in the list of what workers hold; None if that is not known.
        readable: False where there is a document that can't be read.
    """
    if job is None:
        if not readable:
            return "unknown", "its document can't be read; a worker will dead-letter it"
        return "nowhere", "there is no such job; it was never submitted here, or it has expired"
    if held:
        return "processing", f"a worker is running it{_attempt(job)}"
    if job.scheduled_for is not None:
        due = f"due at {format_timestamp(job.scheduled_for)}"
        if job.attempts or job.status is not JobStatus.SCHEDULED:
            return "retrying", f'retrying after "{_short(job.error)}"{_attempt(job)}, {due}'
        return "scheduled", f"it is scheduled, {due}"
    if job.status in (JobStatus.COMPLETED, JobStatus.FAILED):
        return "ended", f"it has {job.status}, and its result is not to be had"
    if job.attempts:
        return "retrying", f'retrying after "{_short(job.error)}"{_attempt(job)}, queued again'
    if result is not None:
        return "retrying", f'retrying after "{_short(result.error)}"'
    route = "" if job.routing_key is None else f" of route {job.routing_key}"
    if held is None:
        return "queued", f"it is queued with priority {job.priority}{route}, or being run"
    return "queued", f"it is queued with priority {job.priority}{route}; no worker has taken it"


def _attempt(job: Job) -> str:
    return f" (attempt {job.attempts + 1} of {max(job.max_retries, job.attempts + 1)})"


def _short(error: str) -> str:
    return error if len(error) <= 200 else f"{error[:197]}..."
