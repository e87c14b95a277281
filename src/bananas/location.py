"""Where a job is: a place, and what else is known of the job there."""

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
    #: It waits for its time, and has not been tried yet.
    SCHEDULED = "scheduled"
    #: An attempt has failed, and another will follow: it waits for its time, or is queued again.
    RETRYING = "retrying"
    #: A worker has taken it. It runs, or was lost with its worker: the queue can't tell which.
    TAKEN = "taken"
    #: It has completed.
    COMPLETED = "completed"
    #: It has failed for good, and is no dead letter any more.
    FAILED = "failed"
    #: It has failed for good, and is a dead letter.
    DEAD = "dead"
    #: It was cancelled.
    CANCELLED = "cancelled"
    #: There is no such job: it was never submitted here, expired, or was evicted.
    MISSING = "missing"
    #: Its document can't be read, by Go either; or Redis refuses to show it.
    UNREADABLE = "unreadable"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Location:
    """What ``locate`` finds.

    Attributes:
        place: Where the job is.
        attempts: Failed attempts so far, as its document counts them.
        last_error: What the last failed attempt recorded; empty where there is none.
        due: When it is due, or due again; None for a job that waits for no time.
    """

    place: JobPlace
    attempts: int = 0
    last_error: str = field(default="", repr=False)
    due: Optional[datetime] = None
