"""SubmittedJobs: the jobs that were submitted to a local queue."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any, List, Optional, Union

from .._types import NOT_GIVEN, NotGiven
from ..enums import Priority
from ..models import Job
from ._matching import Expected
from .strictness import similar

__all__ = ["SubmittedJobs"]

_SHOWN = 10


class SubmittedJobs(List[Job]):
    """A list of jobs, in the order of their submits."""

    @property
    def names(self) -> List[str]:
        """The name of each job."""
        return [job.name for job in self]

    def filter(
        self,
        name: Union[str, NotGiven] = NOT_GIVEN,
        *,
        payload: Any = NOT_GIVEN,
        priority: Union[Priority, NotGiven] = NOT_GIVEN,
        scheduled_for: Union[datetime, timedelta, None, NotGiven] = NOT_GIVEN,
        job_id: Union[str, NotGiven] = NOT_GIVEN,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        max_retries: Union[int, NotGiven] = NOT_GIVEN,
        description: Union[str, NotGiven] = NOT_GIVEN,
    ) -> SubmittedJobs:
        """Return the jobs that match all given arguments.

        Args:
            name: The job name.
            payload: The payload. It may contain only some members of an object, at any depth.
            priority: ``"high"``, ``"normal"`` or ``"low"``, or a ``JobPriority``.
            scheduled_for: When the job is due: a time, a timedelta after the submit, or None for a
                job that is not scheduled.
            job_id: The id.
            routing_key: The route; None means the flat lists.
            max_retries: The number of attempts after which a failure is final.
            description: The description.
        """
        expected = Expected(
            name, payload, priority, scheduled_for, job_id, routing_key, max_retries, description
        )
        return SubmittedJobs(job for job in self if expected.fits(job))

    def missing(self, expected: Expected, times: Optional[int], found: SubmittedJobs) -> str:
        """Return the message that no job matches, with the most similar one."""
        what = "no job" if not found else f"{len(found)} jobs, not {times},"
        lines = [f"{what} {_described(expected)} submitted"]
        same = [job for job in self if job.name == expected.name]
        closest = same if not isinstance(expected.name, NotGiven) else list(self)
        if found:
            lines += [f"  found: {_one(job)}" for job in found[:_SHOWN]]
        elif closest:
            closest.sort(key=lambda job: len(expected.differences(job)))
            lines.append(f"  the closest is {_one(closest[0])}:")
            lines += [f"    {line}" for line in expected.differences(closest[0])[:_SHOWN]]
        return "\n".join([*lines, f"  submitted: {self._counted(expected)}"])

    def unwanted(self, expected: Expected) -> str:
        """Return the message that these jobs should not have been submitted."""
        what = f"{len(self)} job{'' if len(self) == 1 else 's'} {_described(expected)} submitted"
        return "\n".join([what, *(f"  {_one(job)}" for job in self[:_SHOWN])])

    def _counted(self, expected: Expected) -> str:
        counts = Counter(self.names)
        text = ", ".join(f"{name} ({count})" for name, count in counts.items()) or "nothing"
        if isinstance(expected.name, str) and expected.name not in counts:
            text += similar(expected.name, list(counts))
        return text


def _described(expected: Expected) -> str:
    name = "" if isinstance(expected.name, NotGiven) else f"{expected.name!r} "
    more = str(expected)
    return f"{name}with {more} was" if more else f"{name}was"


def _one(job: Job) -> str:
    due = "" if job.scheduled_for is None else f", scheduled for {job.scheduled_for.isoformat()}"
    return f"{job.name!r} {job.payload!r}, priority {job.priority.value}{due} ({job.id})"
