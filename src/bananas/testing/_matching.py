"""Compares a submitted job with what a test expects, and says what differs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Iterator, List, Optional, Union

from .._types import NOT_GIVEN, NotGiven
from ..enums import JobPriority, Priority, check_priority
from ..models import Job

__all__ = ["Expected"]

# A client takes the time twice, for created_at and for what "in half an hour" counts from.
_CLOCK_READS_APART = timedelta(seconds=1)


@dataclass(frozen=True)
class Expected:
    """What a test expects of a job; what is not given may be anything."""

    name: Union[str, NotGiven] = NOT_GIVEN
    payload: Any = NOT_GIVEN
    priority: Union[Priority, NotGiven] = NOT_GIVEN
    scheduled_for: Union[datetime, timedelta, None, NotGiven] = NOT_GIVEN
    job_id: Union[str, NotGiven] = NOT_GIVEN
    routing_key: Union[str, None, NotGiven] = NOT_GIVEN
    max_retries: Union[int, NotGiven] = NOT_GIVEN
    description: Union[str, NotGiven] = NOT_GIVEN

    def __post_init__(self) -> None:
        if not isinstance(self.priority, NotGiven):
            object.__setattr__(self, "priority", check_priority(self.priority))
        due = self.scheduled_for
        if isinstance(due, datetime) and due.utcoffset() is None:
            raise ValueError("scheduled_for must be an aware datetime, a timedelta or None")

    def __str__(self) -> str:
        """Tell what is expected, but for the name."""
        given = [
            f"{field.name}={_shown(getattr(self, field.name))}"
            for field in fields(self)
            if field.name != "name" and not isinstance(getattr(self, field.name), NotGiven)
        ]
        return ", ".join(given)

    def fits(self, job: Job) -> bool:
        """Whether a job is as expected."""
        return not self.differences(job)

    def differences(self, job: Job) -> List[str]:
        """Return what differs, one line for each place."""
        found = []
        for name in ("name", "job_id", "priority", "routing_key", "max_retries", "description"):
            expected, actual = getattr(self, name), getattr(job, "id" if name == "job_id" else name)
            if not isinstance(expected, NotGiven) and expected != actual:
                found.append(_difference(name, expected, actual))
        if not isinstance(self.scheduled_for, NotGiven):
            found.extend(_of_times(self.scheduled_for, job))
        if not isinstance(self.payload, NotGiven):
            found.extend(_of_values("payload", self.payload, job.payload))
        return found


def _of_times(expected: Union[datetime, timedelta, None], job: Job) -> Iterator[str]:
    actual = job.scheduled_for
    if isinstance(expected, timedelta):
        span = None if actual is None or job.created_at is None else actual - job.created_at
        if span is None or abs(span - expected) > _CLOCK_READS_APART:
            after = "not scheduled" if span is None else f"{span} after the submit"
            yield f"scheduled_for: expected {expected} after the submit, found {after}"
    elif expected != actual:
        yield _difference("scheduled_for", expected, actual)


def _of_values(path: str, expected: Any, actual: Any) -> Iterator[str]:
    """Compare JSON values; an object may have more members than are expected."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key, value in expected.items():
            if key in actual:
                yield from _of_values(f"{path}.{key}", value, actual[key])
            else:
                yield f"{path}.{key}: expected {_shown(value)}, it is missing"
    elif isinstance(expected, (list, tuple)) and isinstance(actual, list):
        if len(expected) != len(actual):
            yield f"{path}: expected {len(expected)} elements, found {len(actual)}"
        for index, (one, other) in enumerate(zip(expected, actual)):
            yield from _of_values(f"{path}[{index}]", one, other)
    elif not _is_same(expected, actual):
        yield _difference(path, expected, actual)


def _is_same(expected: Any, actual: Any) -> bool:
    numbers = (bool, int, float)
    if isinstance(expected, numbers) and isinstance(actual, numbers):
        return expected == actual and isinstance(expected, bool) is isinstance(actual, bool)
    return bool(expected == actual)


def _difference(path: str, expected: Any, actual: Any) -> str:
    return f"{path}: expected {_shown(expected)}, found {_shown(actual)}"


def _shown(value: Optional[Any]) -> str:
    if isinstance(value, JobPriority):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    return repr(value)
