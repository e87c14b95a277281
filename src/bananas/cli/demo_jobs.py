"""The demo's jobs, how each has to end, and whether it did."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Dict, List, Optional

from ..models import Job, JobPriority, JobResult, JobSpec, JobStatus

__all__ = ["HANDLER", "DemoJob", "Progress", "handle", "new_jobs"]

#: The one handler that the demo's jobs need. Another name is left to nobody, on purpose.
HANDLER = "demo"
_NOBODY = "nobody"


@dataclass(frozen=True)
class DemoJob:
    """A job, and how it has to end.

    Attributes:
        title: What it is, for people.
        spec: What is submitted; it names the id, so that the demo can clean up whatever happens.
        ends: ``COMPLETED`` or ``FAILED``.
        failures: How many of its attempts have to fail.
        keeps_result: Whether its worker has to store a result.
        failed: What is said of its failure, if it has to fail.
    """

    title: str
    spec: JobSpec
    ends: JobStatus = JobStatus.COMPLETED
    failures: int = 0
    keeps_result: bool = True
    failed: str = "no attempt left"

    @property
    def job_id(self) -> str:
        """The id that the spec names."""
        assert self.spec.job_id is not None
        return self.spec.job_id


@dataclass
class Progress:
    """How far a job has come.

    Attributes:
        job: The job.
        where: ``submitted``; then the place that the client tells; at last ``completed`` or
            ``failed``, or ``unknown`` after an error.
        document: The document as it was last read.
        result: How it ended.
        ended_at: When its wait was over, by this machine's clock; None until then.
        seconds: From the submit until then.
        problems: What was not as it had to be; empty if all was.
        taken_back: Whether it was taken out of the queue, as no worker had taken it.
    """

    job: DemoJob
    where: str = "submitted"
    document: Optional[Job] = None
    result: Optional[JobResult[Any]] = None
    ended_at: Optional[datetime] = None
    seconds: float = 0.0
    problems: List[str] = field(default_factory=list)
    taken_back: bool = False

    @property
    def waits_for_a_worker(self) -> bool:
        """Whether no worker has taken it, as far as is known."""
        return self.result is None and self.where in ("submitted", "queued", "scheduled")

    def judge(self, stored: Optional[JobResult[Any]], *, expect_data: bool) -> None:
        """Note what is not as it had to be; the job has ended, or its wait has failed.

        Args:
            stored: The result that is stored in the end.
            expect_data: Whether the worker returns data, as a plain Go handler does not.
        """
        job, result, document = self.job, self.result, self.document
        if result is None:
            return  # what the wait has raised is among the problems
        if result.status is not job.ends:
            self.problems.append(f"it must have {job.ends}, not {result.status}")
            return
        if document is None or document.status is not job.ends:
            self.problems.append(f"its document does not say that it has {job.ends}")
        elif document.attempts != job.failures:
            self.problems.append(f"{document.attempts} attempts failed, not {job.failures}")
        due = job.spec.scheduled_for
        if isinstance(due, datetime) and (self.ended_at is None or self.ended_at < due):
            self.problems.append("it ran before it was due")
        data = _data(job.failures + 1)
        if expect_data and result.is_success and result.result != data:
            self.problems.append(f"its result must be {data}")
        if (stored is not None) is not job.keeps_result:
            self.problems.append(f"a result is {'not ' if stored is None else ''}stored")


def new_jobs(now: datetime) -> List[DemoJob]:
    """Return the jobs: of three priorities, for later, and with three ways to fail."""

    def spec(priority: JobPriority, failures: int = 0, **options: Any) -> JobSpec:
        name = options.pop("name", HANDLER)
        payload = {"failures": failures, "seconds": 0.4}
        return JobSpec(name, payload, priority, "bananas demo", job_id=str(uuid.uuid4()), **options)

    low, normal, high = JobPriority.LOW, JobPriority.NORMAL, JobPriority.HIGH
    completed, failed = JobStatus.COMPLETED, JobStatus.FAILED
    later = now + timedelta(seconds=2)
    return [
        DemoJob("high priority", spec(high)),
        DemoJob("normal priority", spec(normal)),
        DemoJob("low priority", spec(low)),
        DemoJob("due in 2 s", spec(normal, scheduled_for=later)),
        DemoJob("fails once", spec(normal, 1), completed, 1),
        DemoJob("always fails", spec(normal, 2, max_retries=2), failed, 2),
        DemoJob(
            "no handler",
            spec(normal, name=_NOBODY, max_retries=1),
            failed,
            1,
            keeps_result=False,
            failed="no handler",
        ),
    ]


async def handle(job: Job) -> Dict[str, int]:
    """Fail as often as the payload says, then return the number of the attempt."""
    await asyncio.sleep(job.payload["seconds"])
    attempt = job.attempts + 1
    if attempt <= job.payload["failures"]:
        raise RuntimeError("boom")
    return _data(attempt)


def _data(attempt: int) -> Dict[str, int]:
    return {"attempt": attempt}
