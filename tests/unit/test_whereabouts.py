"""The words for where a job is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, Optional, Tuple

import pytest

from bananas import Job, JobPriority, JobResult, JobStatus
from bananas._whereabouts import describe

DUE = datetime(2025, 1, 15, 12, 0, tzinfo=timezone.utc)
QUEUED = Job("a", "work", None)
RETRIED = replace(QUEUED, attempts=1, error="boom")
FAILURE: Any = JobResult("a", JobStatus.FAILED, error="boom")


def said(job: Optional[Job], result: Any = None, held: Optional[bool] = False) -> Tuple[str, str]:
    """Return the description of a job whose document, if there is one, can be read."""
    return describe(job, result, held=held, readable=True)


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (QUEUED, ("queued", "it is queued with priority normal; no worker has taken it")),
        (
            replace(QUEUED, priority=JobPriority.HIGH, routing_key="eu"),
            ("queued", "it is queued with priority high of route eu; no worker has taken it"),
        ),
        (
            replace(QUEUED, status=JobStatus.SCHEDULED, scheduled_for=DUE),
            ("scheduled", "it is scheduled, due at 2025-01-15T12:00:00Z"),
        ),
        (
            replace(QUEUED, status=JobStatus.SCHEDULED),
            ("queued", "it is queued with priority normal; no worker has taken it"),
        ),
        (
            replace(RETRIED, scheduled_for=DUE),
            ("retrying", 'retrying after "boom" (attempt 2 of 3), due at 2025-01-15T12:00:00Z'),
        ),
        (RETRIED, ("retrying", 'retrying after "boom" (attempt 2 of 3), queued again')),
        (
            replace(QUEUED, status=JobStatus.COMPLETED),
            ("ended", "it has completed, and its result is not to be had"),
        ),
        (
            replace(QUEUED, status=JobStatus.FAILED),
            ("ended", "it has failed, and its result is not to be had"),
        ),
        (None, ("nowhere", "there is no such job; it was never submitted here, or it has expired")),
    ],
)
def test_places(job: Optional[Job], expected: Tuple[str, str]) -> None:
    """Each place has a word and a sentence."""
    assert said(job) == expected


@pytest.mark.parametrize(
    ("job", "attempt"),
    [
        (QUEUED, " (attempt 1 of 3)"),
        (RETRIED, " (attempt 2 of 3)"),
        (replace(RETRIED, max_retries=0), " (attempt 2 of 2)"),
    ],
)
def test_held_by_a_worker(job: Job, attempt: str) -> None:
    """A job that a worker holds is being run, whatever its document says."""
    assert said(job, held=True) == ("processing", f"a worker is running it{attempt}")


def test_nobody_may_look_at_what_workers_hold() -> None:
    """Where the list of what workers hold can't be read, both possibilities are named."""
    assert said(QUEUED, held=None) == (
        "queued", "it is queued with priority normal, or being run",
    )  # fmt: skip


def test_failed_attempt_that_the_document_does_not_count_yet() -> None:
    """A failure that only the result tells of is told."""
    assert said(QUEUED, FAILURE) == ("retrying", 'retrying after "boom"')


def test_unreadable_document() -> None:
    """A document that can't be read is told from one that is not there."""
    assert describe(None, None, held=False, readable=False) == (
        "unknown", "its document can't be read; a worker will dead-letter it",
    )  # fmt: skip


def test_long_errors_are_cut() -> None:
    """No more than 200 characters of what a worker recorded are repeated."""
    word, text = said(replace(RETRIED, error="x" * 500))
    assert word == "retrying"
    assert text == f'retrying after "{"x" * 197}..." (attempt 2 of 3), queued again'
