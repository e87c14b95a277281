"""Run: one attempt at a job that a worker has made, as a test looks back at it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Optional

__all__ = ["Outcome", "Run"]


class Outcome(str, enum.Enum):
    """What became of the job with one attempt; equal to its word: ``run.outcome == "retry"``."""

    SUCCEEDED = "succeeded"
    RETRY = "retry"
    DEAD = "dead"
    LOST = "lost"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Run:
    """One attempt at a job.

    Attributes:
        job_id: The job.
        name: Its name; empty where the document was missing or unreadable.
        attempt: 1 for the first attempt, 2 for the first retry, and so on.
        outcome: ``succeeded``; ``retry`` where it failed and is tried again; ``dead`` where it
            failed for good; ``lost`` where the worker crashed and left it in ``processing``.
        at: When the attempt began, by the queue's clock.
        value: What the handler returned.
        error: What the attempt has recorded as its error; empty after a success.
        retry_at: When the next attempt is due; None where there is none.
        exception: What the handler raised; None where it raised nothing.
    """

    job_id: str
    name: str
    attempt: int
    outcome: Outcome
    at: datetime
    value: Any = None
    error: str = ""
    retry_at: Optional[datetime] = None
    exception: Optional[BaseException] = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        text = f"{self.at:%Y-%m-%d %H:%M:%S} {self.name or '?'} ({self.job_id}), "
        text += f"attempt {self.attempt}: {self.outcome}"
        if self.error:
            text += f": {self.error}"
        if self.retry_at is not None:
            text += f" (again at {self.retry_at:%Y-%m-%d %H:%M:%S})"
        return text
