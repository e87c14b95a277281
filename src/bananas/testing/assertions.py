"""Assertions about the jobs that were submitted to a local queue."""

from __future__ import annotations

import abc
from datetime import datetime, timedelta
from typing import Any, Optional, Union

from .._types import NOT_GIVEN, NotGiven
from ..enums import Priority
from ..models import Job
from ._matching import Expected
from .submitted import SubmittedJobs

__all__ = ["Assertions"]


class Assertions(abc.ABC):
    """The assertions of a ``LocalQueue``."""

    @property
    @abc.abstractmethod
    def submitted(self) -> SubmittedJobs:
        """The submitted jobs, in the order of the submits."""

    def assert_submitted(
        self,
        name: str,
        *,
        payload: Any = NOT_GIVEN,
        priority: Union[Priority, NotGiven] = NOT_GIVEN,
        scheduled_for: Union[datetime, timedelta, None, NotGiven] = NOT_GIVEN,
        job_id: Union[str, NotGiven] = NOT_GIVEN,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        max_retries: Union[int, NotGiven] = NOT_GIVEN,
        description: Union[str, NotGiven] = NOT_GIVEN,
        times: Optional[int] = None,
    ) -> Job:
        """Check that a job was submitted, and return the first one that matches.

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
            times: How many jobs must match; None means one or more.

        Raises:
            AssertionError: No job matches, or the number is wrong. The message shows the
                differences.
        """
        __tracebackhide__ = True
        expected = Expected(
            name, payload, priority, scheduled_for, job_id, routing_key, max_retries, description
        )
        jobs = self.submitted
        found = SubmittedJobs(job for job in jobs if expected.fits(job))
        if not found or (times is not None and len(found) != times):
            raise AssertionError(jobs.missing(expected, times, found))
        return found[0]

    def assert_not_submitted(
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
    ) -> None:
        """Check that no job was submitted that matches; without arguments, no job at all.

        Args:
            name: The job name.
            payload: The payload, as for ``assert_submitted``.
            priority: ``"high"``, ``"normal"`` or ``"low"``, or a ``JobPriority``.
            scheduled_for: When the job is due, as for ``assert_submitted``.
            job_id: The id.
            routing_key: The route; None means the flat lists.
            max_retries: The number of attempts after which a failure is final.
            description: The description.

        Raises:
            AssertionError: A job matches; the message shows it.
        """
        __tracebackhide__ = True
        expected = Expected(
            name, payload, priority, scheduled_for, job_id, routing_key, max_retries, description
        )
        found = SubmittedJobs(job for job in self.submitted if expected.fits(job))
        if found:
            raise AssertionError(found.unwanted(expected))
