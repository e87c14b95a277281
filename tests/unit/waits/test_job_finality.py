"""Whether a job has ended, by its document and its result."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

import pytest

from bananas import Job, JobResult, JobStatus
from bananas._waits.job_finality import Finality, judge

THEN = datetime(2025, 1, 15, 10, 30, 0, 250000, tzinfo=timezone.utc)
#: Whole seconds, rounded down, as a worker writes them.
STORED = THEN.replace(microsecond=0)
PENDING = Job("a", "work", None, created_at=THEN, updated_at=THEN)
SUCCESS: Any = JobResult("a", JobStatus.COMPLETED, 7, completed_at=STORED)
FAILURE: Any = JobResult("a", JobStatus.FAILED, error="boom", completed_at=STORED)


def pending(attempts: int, seconds: float = 0.0, **changes: Any) -> Job:
    """Return a document rewritten some seconds after the first attempt failed."""
    moment = THEN + timedelta(seconds=seconds)
    return replace(PENDING, attempts=attempts, updated_at=moment, **changes)


@pytest.mark.parametrize(
    "job",
    [None, PENDING, pending(1, 1, scheduled_for=THEN), replace(PENDING, status=JobStatus.FAILED)],
)
def test_a_success_is_final(job: Optional[Job]) -> None:
    """A stored success ends a job, whatever its document says meanwhile."""
    assert judge(job, SUCCESS) == (Finality.ENDED, SUCCESS)


@pytest.mark.parametrize("job", [None, replace(PENDING, status=JobStatus.FAILED)])
def test_failures_that_are_final(job: Optional[Job]) -> None:
    """A failure is final when the document says so, and when there is no document."""
    assert judge(job, FAILURE) == (Finality.ENDED, FAILURE)


@pytest.mark.parametrize(
    "job",
    [None, PENDING, replace(PENDING, status=JobStatus.SCHEDULED), replace(PENDING, status=None)],
)
def test_nothing_stored_yet(job: Optional[Job]) -> None:
    """Without a result, a job that has not ended goes on."""
    assert judge(job, None) == (Finality.RUNNING, None)


def test_dead_letter_without_a_result() -> None:
    """A failed document without a result gives a failed result with its reason."""
    job = replace(PENDING, status=JobStatus.FAILED, error="no handler", updated_at=THEN)
    state, result = judge(job, None)
    assert state is Finality.ENDED
    assert result is not None
    assert (result.job_id, result.status, result.error) == ("a", JobStatus.FAILED, "no handler")
    assert (result.completed_at, result.has_data) == (THEN, False)


def test_stub_of_a_dead_letter() -> None:
    """The stub that a worker leaves of an unreadable document ends the job too."""
    state, result = judge(Job.from_json('{"id":"a","error":"failed to unmarshal"}'), None)
    assert state is Finality.ENDED
    assert result is not None
    assert result.error == "failed to unmarshal"


def test_result_that_is_gone() -> None:
    """A completed document, read before the result, says that a missing result won't come."""
    assert judge(replace(PENDING, status=JobStatus.COMPLETED), None) == (Finality.RESULT_GONE, None)


def test_failure_beside_a_completed_document() -> None:
    """An old failure beside a document that says completed is looked at again."""
    job = replace(PENDING, status=JobStatus.COMPLETED)
    assert judge(job, FAILURE) == (Finality.UNSETTLED, None)


@pytest.mark.parametrize("attempts", [1, 2])
def test_retry_to_come(attempts: int) -> None:
    """A due time in the document means that the job is tried again."""
    due = THEN + timedelta(seconds=2)
    assert judge(pending(attempts, scheduled_for=due), FAILURE) == (Finality.RUNNING, None)
    slow_clock = pending(attempts, -1, scheduled_for=due)
    assert judge(slow_clock, FAILURE) == (Finality.RUNNING, None)


@pytest.mark.parametrize("seconds", [-0.25, 0, 1.5])
def test_retry_that_is_queued_again(seconds: float) -> None:
    """A document rewritten at or after the failure, with attempts left, means the same."""
    assert judge(pending(1, seconds), FAILURE) == (Finality.RUNNING, None)


def test_document_that_counts_every_attempt() -> None:
    """A rewritten document without attempts left makes the failure final."""
    assert judge(pending(3, 1), FAILURE) == (Finality.ENDED, FAILURE)


@pytest.mark.parametrize(("attempts", "max_retries"), [(0, 1), (0, 0), (2, 3), (5, 3)])
def test_last_attempt_before_the_document_says_so(attempts: int, max_retries: int) -> None:
    """Between the last failure and its document, the old document is enough to tell."""
    job = pending(attempts, -2, max_retries=max_retries)
    assert judge(job, FAILURE) == (Finality.ENDED, FAILURE)


def test_first_attempt_in_the_second_of_its_submit() -> None:
    """A document that counts no attempt was not rewritten, though it may look newer."""
    assert judge(pending(0, 0.5), FAILURE) == (Finality.UNSETTLED, FAILURE)


@pytest.mark.parametrize(("attempts", "max_retries"), [(0, 2), (0, 3), (1, 3)])
def test_earlier_attempt_before_the_document_says_so(attempts: int, max_retries: int) -> None:
    """Between an earlier failure and its document, the worker is given time to rewrite it."""
    job = pending(attempts, -2, max_retries=max_retries)
    assert judge(job, FAILURE) == (Finality.UNSETTLED, FAILURE)


def test_times_that_are_missing() -> None:
    """A result without a time counts as older than a rewritten document; a document without one
    counts as not rewritten."""
    timeless = replace(FAILURE, completed_at=None)
    assert judge(pending(1), timeless) == (Finality.RUNNING, None)
    assert (
        judge(replace(PENDING, attempts=1, updated_at=None), FAILURE).finality is Finality.UNSETTLED
    )
