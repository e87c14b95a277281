"""Where a job is: its place, attempts, last error and due time."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime
from typing import Optional

__all__ = ["JobPlace", "Location"]


class JobPlace(str, enum.Enum):
    """Where a job is, in a word."""

    #: It waits for a worker.
    QUEUED = "queued"
    #: It waits for its time, and has not run yet.
    SCHEDULED = "scheduled"
    #: An attempt has failed and another will follow. It waits for its time, or is queued again.
    RETRYING = "retrying"
    #: A worker has taken it. It runs, or its worker was killed; the queue can't know which.
    TAKEN = "taken"
    #: It has completed.
    COMPLETED = "completed"
    #: It failed with no retries left, and is not a dead letter any more.
    FAILED = "failed"
    #: It failed with no retries left, and is a dead letter.
    DEAD = "dead"
    #: It was cancelled.
    CANCELLED = "cancelled"
    #: There is no such job: it was never submitted here, or it expired, or Redis evicted it.
    MISSING = "missing"
    #: Its document can't be read, or the user may not read it.
    UNREADABLE = "unreadable"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Location:
    """Where a job is, from ``locate``.

    Attributes:
        place: Where the job is.
        attempts: The number of failed attempts, from the job's document.
        last_error: The error text of the last failed attempt; empty if there is none.
        due: When the job or its retry is due; None if it does not wait for a time.
    """

    place: JobPlace
    attempts: int = 0
    last_error: str = field(default="", repr=False)
    due: Optional[datetime] = None
