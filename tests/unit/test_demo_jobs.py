"""What the demo expects of its jobs, and that it notices everything else."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

import pytest

from bananas import Job, JobPriority, JobResult, JobSpec, JobStatus
from bananas.cli.demo_jobs import DemoJob, Progress, handle, new_jobs

NOW = datetime(2025, 1, 15, 10, 30, tzinfo=timezone.utc)
COMPLETED, FAILED = JobStatus.COMPLETED, JobStatus.FAILED

SPEC = JobSpec("demo", {}, job_id="a", scheduled_for=NOW)
JOB = DemoJob("a job", SPEC, failures=1)
DOCUMENT = Job("a", "demo", {}, status=COMPLETED, attempts=1)
RESULT: JobResult[Any] = JobResult("a", COMPLETED, {"attempt": 2})


def problems(
    *,
    job: DemoJob = JOB,
    result: Optional[JobResult[Any]] = RESULT,
    document: Optional[Job] = DOCUMENT,
    stored: Optional[JobResult[Any]] = RESULT,
    ended_at: Optional[datetime] = NOW,
    expect_data: bool = True,
) -> str:
    """Return what is noticed in an outcome, one line for each problem."""
    row = Progress(job, result=result, document=document, ended_at=ended_at)
    row.judge(stored, expect_data=expect_data)
    return "\n".join(row.problems)


def test_an_outcome_as_it_has_to_be_is_no_problem() -> None:
    """Nothing is noted of an outcome as expected."""
    assert problems() == ""


def test_data_may_be_missing_where_none_are_expected() -> None:
    """A success without data is one where the worker is somebody else's."""
    assert problems(result=JobResult("a", COMPLETED), expect_data=False) == ""


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        ({"result": JobResult("a", FAILED)}, "it must have completed, not failed"),
        ({"document": None}, "its document does not say that it has completed"),
        (
            {"document": replace(DOCUMENT, status=JobStatus.PENDING)},
            "its document does not say that it has completed",
        ),
        ({"document": replace(DOCUMENT, attempts=0)}, "0 attempts failed, not 1"),
        ({"ended_at": NOW - timedelta(microseconds=1)}, "it ran before it was due"),
        ({"result": JobResult("a", COMPLETED)}, "its result must be {'attempt': 2}"),
        ({"stored": None}, "a result is not stored"),
        ({"job": replace(JOB, keeps_result=False)}, "a result is stored"),
    ],
)
def test_every_deviation_is_noticed(outcome: Any, problem: str) -> None:
    """Whatever is not as it has to be is named."""
    assert problems(**outcome) == problem


def test_a_failed_wait_has_named_its_problem_already() -> None:
    """Without a result there is nothing to judge."""
    assert problems(result=None, document=None, stored=None) == ""


def test_the_jobs_are_of_every_kind() -> None:
    """All priorities, one for later, and outcomes of every kind."""
    jobs = new_jobs(NOW)
    assert {job.spec.priority for job in jobs} == set(JobPriority)
    assert [job.spec.scheduled_for for job in jobs if job.spec.scheduled_for] == [
        NOW + timedelta(seconds=2)
    ]
    assert {(job.ends, job.failures, job.keeps_result) for job in jobs} == {
        (COMPLETED, 0, True),
        (COMPLETED, 1, True),
        (FAILED, 2, True),
        (FAILED, 1, False),
    }
    assert len({job.job_id for job in jobs}) == len(jobs)


async def test_the_handler_fails_as_often_as_it_is_told() -> None:
    """The handler counts attempts by what the document says."""
    job = Job("a", "demo", {"failures": 1, "seconds": 0}, attempts=0)
    with pytest.raises(RuntimeError, match="boom"):
        await handle(job)
    assert await handle(replace(job, attempts=1)) == {"attempt": 2}
