"""The words for a job's status and its priority."""

from __future__ import annotations

import enum
from typing import Any, Dict, Literal, Union

from ._argument_checks import shown

__all__ = ["JobPriority", "JobStatus"]


class JobStatus(str, enum.Enum):
    """The status in a job's document; it is still ``PENDING`` while the job runs."""

    #: It is queued, a worker runs it, or it waits for its retry.
    PENDING = "pending"
    #: Go workers never write this; a running job is ``PENDING``.
    PROCESSING = "processing"
    #: It has completed.
    COMPLETED = "completed"
    #: It failed with no retries left.
    FAILED = "failed"
    #: It was scheduled, and has not run yet.
    SCHEDULED = "scheduled"

    def __str__(self) -> str:
        return self.value


class JobPriority(str, enum.Enum):
    """The list that a job waits in; workers take jobs from these lists in this order."""

    #: Taken first.
    HIGH = "high"
    #: Taken when no high job waits. This is the default.
    NORMAL = "normal"
    #: Taken when no other job waits.
    LOW = "low"

    # Equal strings have equal hashes; Enum's own hash is a Python call, in the way of every submit.
    __hash__: Any = str.__hash__

    def __str__(self) -> str:
        return self.value


#: A ``JobPriority``, or its value.
Priority = Union[JobPriority, Literal["high", "normal", "low"]]

_PRIORITIES: Dict[Any, JobPriority] = {priority.value: priority for priority in JobPriority}


def check_priority(value: object) -> JobPriority:
    """Return a priority, from itself or from its wire word."""
    if issubclass(type(value), str) and value in _PRIORITIES:
        return _PRIORITIES[value]
    raise ValueError(f"priority must be a JobPriority: high, normal or low, not {shown(value)}")
