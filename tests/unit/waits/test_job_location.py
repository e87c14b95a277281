"""The places of jobs, and the words for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, Optional, Tuple

import pytest

from bananas import Job, JobPlace, JobPriority, JobResult, JobStatus, Location
from bananas._redis.protocol import ReplyError
from bananas._stored_jobs import Document
from bananas._waits.job_location import Known, locate
from bananas._waits.wait_errors import describe

DUE = datetime(2025, 1, 15, 12, 0, tzinfo=timezone.utc)
QUEUED = Job("a", "work", None)
RETRIED = replace(QUEUED, attempts=1, error="boom")
FAILURE: Any = JobResult("a", JobStatus.FAILED, error="bang")
SUCCESS: Any = JobResult("a", JobStatus.COMPLETED, 1)


def known(job: Optional[Job], result: Any = None, **facts: Any) -> Known:
    """Return what a look tells of a job whose document, if there is one, can be read."""
    facts.setdefault("is_taken", False)
    return Known(Document(job, is_there=job is not None), result, **facts)


def said(found: Known, now: datetime = DUE) -> Tuple[JobPlace, str]:
    """Return the place and the sentence."""
    location = locate(found)
    return location.place, describe(location, found, now)


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (QUEUED, (JobPlace.QUEUED, "it is queued with priority normal; no worker has taken it")),
        (
            replace(QUEUED, priority=JobPriority.HIGH, routing_key="eu"),
            (
                JobPlace.QUEUED,
                "it is queued with priority high of route eu; no worker has taken it",
            ),
        ),
        (
            replace(QUEUED, status=JobStatus.SCHEDULED, scheduled_for=DUE),
            (JobPlace.SCHEDULED, "it is scheduled, due at 2025-01-15T12:00:00Z"),
        ),
        (
            replace(QUEUED, status=JobStatus.SCHEDULED),
            (JobPlace.QUEUED, "it is queued with priority normal; no worker has taken it"),
        ),
        (
            replace(RETRIED, scheduled_for=DUE),
            (
                JobPlace.RETRYING,
                'retrying after "boom" (attempt 2 of 3), due at 2025-01-15T12:00:00Z',
            ),
        ),
        (RETRIED, (JobPlace.RETRYING, 'retrying after "boom" (attempt 2 of 3), queued again')),
        (
            replace(QUEUED, status=JobStatus.COMPLETED),
            (JobPlace.COMPLETED, "it has completed, and its result is gone"),
        ),
        (
            None,
            (
                JobPlace.MISSING,
                "there is no such job: it was never submitted here, expired, or was evicted",
            ),
        ),
    ],
)
def test_places(job: Optional[Job], expected: Tuple[JobPlace, str]) -> None:
    """Each place has a word and a sentence."""
    assert said(known(job)) == expected


@pytest.mark.parametrize(
    ("late", "text"),
    [
        (timedelta(seconds=3), "due at 2025-01-15T12:00:00Z"),
        (
            timedelta(hours=2, seconds=1.5),
            "overdue by 2:00:01 since 2025-01-15T12:00:00Z: no scheduler may be running",
        ),
    ],
)
def test_overdue(late: timedelta, text: str) -> None:
    """A job that should have been queued long ago is said to be overdue, retries too."""
    scheduled = replace(QUEUED, status=JobStatus.SCHEDULED, scheduled_for=DUE)
    assert said(known(scheduled), DUE + late)[1] == f"it is scheduled, {text}"
    retried = replace(RETRIED, scheduled_for=DUE)
    start = 'retrying after "boom" (attempt 2 of 3), '
    assert said(known(retried), DUE + late)[1] == start + text


@pytest.mark.parametrize(
    ("job", "attempt"),
    [
        (QUEUED, " (attempt 1 of 3)"),
        (RETRIED, " (attempt 2 of 3)"),
        (replace(RETRIED, max_retries=0), " (attempt 2 of 2)"),
    ],
)
def test_taken_by_a_worker(job: Job, attempt: str) -> None:
    """A job that a worker has taken may run or be lost, and nothing else is claimed."""
    assert said(known(job, is_taken=True)) == (
        JobPlace.TAKEN,
        f"a worker has taken it{attempt}: it runs, or its worker was killed; "
        "the queue can't know which",
    )


def test_nobody_may_look_at_what_workers_have_taken() -> None:
    """Where the list of what workers have taken can't be read, both possibilities are named."""
    assert said(known(QUEUED, is_taken=None)) == (
        JobPlace.QUEUED,
        "it is queued with priority normal, or a worker has taken it",
    )


def test_failed_attempt_that_the_document_does_not_count_yet() -> None:
    """A failure that only the result tells of is told."""
    assert said(known(QUEUED, FAILURE)) == (JobPlace.RETRYING, 'retrying after "bang"')


@pytest.mark.parametrize(
    ("error", "result", "text"),
    [
        ("", FAILURE, 'retrying after "bang" (attempt 2 of 3), queued again'),
        (
            "",
            replace(FAILURE, error=""),
            "retrying after a failure without reason (attempt 2 of 3), queued again",
        ),
        (
            "panic: boom\n\ngoroutine 1 [running]:\n" + "x" * 1500,
            None,
            'retrying after "panic: boom" (attempt 2 of 3), queued again',
        ),
        ("x" * 500, None, f'retrying after "{"x" * 197}..." (attempt 2 of 3), queued again'),
    ],
)
def test_reasons(error: str, result: Any, text: str) -> None:
    """The reason is the document's or the result's, and of a long one the first line."""
    job = replace(RETRIED, error=error, updated_at=DUE)
    stored = result and replace(result, completed_at=DUE)
    assert said(known(job, stored)) == (JobPlace.RETRYING, text)


def test_unreadable_document() -> None:
    """A document that can't be read is told from one that is not there, and from a refusal."""
    unreadable = Known(Document(is_there=True), is_taken=True)
    assert said(unreadable) == (
        JobPlace.UNREADABLE, "its document can't be read; a worker will make it a dead letter",
    )  # fmt: skip
    refused = Document(is_there=True, refusal=ReplyError("NOPERM", "no"))
    text = "Redis refuses to show its document: NOPERM no"
    assert said(Known(refused, is_taken=False)) == (JobPlace.UNREADABLE, text)
    assert said(Known(refused, FAILURE, is_taken=False)) == (JobPlace.UNREADABLE, text)
    assert locate(Known(refused, SUCCESS)).place is JobPlace.COMPLETED
    assert locate(Known(refused, is_taken=True)).place is JobPlace.TAKEN


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (known(QUEUED, SUCCESS), Location(JobPlace.COMPLETED)),
        (known(None, SUCCESS), Location(JobPlace.COMPLETED)),
        (known(QUEUED, SUCCESS, is_dead=True), Location(JobPlace.COMPLETED)),
        (
            known(replace(RETRIED, status=JobStatus.COMPLETED), FAILURE),
            Location(JobPlace.COMPLETED, 1, "boom"),
        ),
        (
            known(replace(RETRIED, status=JobStatus.SCHEDULED, scheduled_for=DUE)),
            Location(JobPlace.RETRYING, 1, "boom", DUE),
        ),
        (
            known(replace(RETRIED, attempts=3, status=JobStatus.FAILED), FAILURE),
            Location(JobPlace.FAILED, 3, "boom"),
        ),
        (
            known(replace(RETRIED, attempts=3, status=JobStatus.FAILED), FAILURE, is_dead=True),
            Location(JobPlace.DEAD, 3, "boom"),
        ),
        (known(replace(QUEUED, attempts=2), FAILURE), Location(JobPlace.FAILED, 2, "bang")),
        (known(None, FAILURE), Location(JobPlace.FAILED, 0, "bang")),
        (
            known(replace(QUEUED, status=JobStatus.FAILED, error="no"), is_cancelled=True),
            Location(JobPlace.CANCELLED, 0, "no"),
        ),
        (
            known(replace(RETRIED, scheduled_for=DUE), is_taken=True),
            Location(JobPlace.TAKEN, 1, "boom"),
        ),
        (known(replace(RETRIED, scheduled_for=DUE)), Location(JobPlace.RETRYING, 1, "boom", DUE)),
    ],
)
def test_locations(found: Known, expected: Location) -> None:
    """A location tells the place, the failed attempts, the last error and the due time."""
    assert locate(found) == expected
