"""Run: one attempt of a job, for a test to look at."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Optional

__all__ = ["Outcome", "Run"]


class Outcome(str, enum.Enum):
    """The outcome of an attempt; you can compare it with a text: ``run.outcome == "retry"``."""

    SUCCEEDED = "succeeded"
    RETRY = "retry"
    DEAD = "dead"
    LOST = "lost"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Run:
    """One attempt of a job.

    Attributes:
        job_id: The job.
        name: The name of the job; empty if its document was missing or unreadable.
        attempt: 1 for the first attempt, 2 for the first retry, and so on.
        outcome: ``succeeded``; ``retry`` if it failed and another attempt follows; ``dead`` if it
            failed with no retries left; ``lost`` if the worker crashed and left the job in
            ``processing``.
        at: When the attempt began, by the queue's clock.
        value: The return value of the handler.
        error: The error text of the attempt; empty after a success.
        retry_at: When the next attempt is due; None if there is none.
        exception: The exception from the handler; None if it raised nothing.
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
