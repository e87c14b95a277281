"""Decides from a job's document and result whether the job has ended, and how."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple, Optional

from ..models import Job, JobResult, JobStatus

__all__ = ["Finality", "Finding", "judge"]


class Finality(enum.Enum):
    """How far a job has come."""

    RUNNING = "no final result yet"
    UNSETTLED = "the worker may be about to rewrite the document: look again"
    ENDED = "the final result is there"
    RESULT_GONE = "the job has ended, and its result is gone"


class Finding(NamedTuple):
    """How far a job has come, with the result of one that has ended or may have."""

    finality: Finality
    result: Optional[JobResult[Any]] = None


def judge(
    job: Optional[Job], result: Optional[JobResult[Any]], *, cancelled: bool = False
) -> Finding:
    """Tell whether a job has ended; its document was read *before* the result.

    In that order, a document that says how the job ended was written after the result that it
    speaks of, so that a result which is missing is gone, or never was.

    A failed result is stored after every failed attempt, and the document is rewritten a moment
    later: a retry to come sets ``scheduled_for``, which the scheduler clears again when the job
    is queued; a final failure sets ``status``. Between the two a reader sees the old document.

    Args:
        job: The document; None where there is none, or none that can be read.
        result: The stored result; None where there is none.
        cancelled: Whether the document says that somebody cancelled the job.
    """
    if result is not None and result.is_success:
        return Finding(Finality.ENDED, result)
    if result is None:
        if job is not None and job.status is JobStatus.FAILED:
            return Finding(Finality.ENDED, JobResult.from_dead_letter(job, cancelled=cancelled))
        if job is not None and job.status is JobStatus.COMPLETED:
            return Finding(Finality.RESULT_GONE)
        return Finding(Finality.RUNNING)
    if job is None or job.status is JobStatus.FAILED:
        return Finding(Finality.ENDED, result)
    if job.status is JobStatus.COMPLETED:
        return Finding(Finality.UNSETTLED)
    if job.scheduled_for is not None:
        return Finding(Finality.RUNNING)
    if _rewritten_since(job, result):
        retried = job.attempts < job.max_retries
        return Finding(Finality.RUNNING) if retried else Finding(Finality.ENDED, result)
    # The document is still the one from before this attempt.
    if job.attempts + 1 >= job.max_retries:
        return Finding(Finality.ENDED, result)
    return Finding(Finality.UNSETTLED, result)


def _rewritten_since(job: Job, result: JobResult[Any]) -> bool:
    """Whether a pending document already counts the failure that the result tells of.

    ``completed_at`` is rounded down to whole seconds, and retries are at least 2 s apart, so that
    the document of an earlier attempt is older than it. Before the first failure there is no such
    distance, but there ``attempts`` is 0.
    """
    if job.attempts == 0 or job.updated_at is None:
        return False
    return result.completed_at is None or job.updated_at >= result.completed_at
