"""The words for a job's status and its priority."""

from __future__ import annotations

import enum
from typing import Any, Dict, Literal, Union

from ._arguments import shown

__all__ = ["JobPriority", "JobStatus"]


class JobStatus(str, enum.Enum):
    """What the job document says of a job; a job that a worker holds still reads ``PENDING``."""

    #: It is queued, a worker runs it, or it waits for its retry.
    PENDING = "pending"
    #: No worker writes it; a job that runs reads ``PENDING``.
    PROCESSING = "processing"
    #: It has completed.
    COMPLETED = "completed"
    #: It has failed for good.
    FAILED = "failed"
    #: It was submitted for a time, and has not been tried yet.
    SCHEDULED = "scheduled"

    def __str__(self) -> str:
        return self.value


class JobPriority(str, enum.Enum):
    """Which of the three lists a job waits in; workers empty them in this order."""

    #: Taken first.
    HIGH = "high"
    #: Taken when no high one waits; the default.
    NORMAL = "normal"
    #: Taken when no other one waits.
    LOW = "low"

    # Equal strings have equal hashes; Enum's own hash is a Python call, in the way of every submit.
    __hash__: Any = str.__hash__

    def __str__(self) -> str:
        return self.value


#: A priority, or its word on the wire.
Priority = Union[JobPriority, Literal["high", "normal", "low"]]

_PRIORITIES: Dict[Any, JobPriority] = {priority.value: priority for priority in JobPriority}


def check_priority(value: object) -> JobPriority:
    """Return a priority, from itself or from its wire word."""
    if issubclass(type(value), str) and value in _PRIORITIES:
        return _PRIORITIES[value]
    raise ValueError(f"priority must be a JobPriority: high, normal or low, not {shown(value)}")
