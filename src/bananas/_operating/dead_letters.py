"""Decides which dead letters are meant, and what is known of each."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Optional, Pattern, Tuple, Union

from .. import exceptions as exc
from .._argument_checks import check_routing_key, check_seconds, check_text
from .._types import NOT_GIVEN, NotGiven, Seconds
from .._wire import utcnow
from ..enums import JobStatus
from ..models import Job
from .job_facts import odd_priority

__all__ = ["Kind", "LetterFilter", "read_letter"]


class Kind(enum.Enum):
    """What is left of a dead letter."""

    FAILED = "a job that has failed"
    STUB = "one whose document was lost or unreadable, and can't be queued again"
    STALE = "the id of a job that has not failed, or no longer"
    UNREADABLE = "a document that can't be read"
    EXPIRED = "an id without a document"


def read_letter(document: Optional[bytes]) -> Tuple[Kind, Optional[Job]]:
    """Say what there is of a dead letter."""
    if document is None:
        return Kind.EXPIRED, None
    try:
        job = Job.from_json(document)
    except exc.SerializationError:
        return Kind.UNREADABLE, None
    if job.status is not JobStatus.FAILED:
        return Kind.STALE, job
    if not job.name or odd_priority(document) is not None:
        return Kind.STUB, job
    return Kind.FAILED, job


@dataclass(frozen=True)
class LetterFilter:
    """Which dead letters are meant.

    Attributes:
        name: The name of their handler; None is any.
        error: A part of their error, or a pattern that is found in it; None is any.
        before: They died before this; None is any time.
        routing_key: The route that their document names; None is none, not given is any.
    """

    name: Optional[str] = None
    error: Union[str, Pattern[str], None] = None
    before: Optional[datetime] = None
    routing_key: Union[str, None, NotGiven] = NOT_GIVEN

    @classmethod
    def create(
        cls,
        name: Optional[str],
        error: Union[str, Pattern[str], None],
        older_than: Optional[Seconds],
        routing_key: Union[str, None, NotGiven],
        all: Optional[bool],
    ) -> LetterFilter:
        """Check what the caller says; ``all`` is None where nothing need be said.

        Raises:
            ValueError: It is refused.
        """
        before = None
        if older_than is not None:
            seconds = check_seconds(older_than, "older_than")
            try:
                before = datetime.fromtimestamp(utcnow().timestamp() - seconds, utcnow().tzinfo)
            except (OverflowError, ValueError, OSError):
                raise ValueError("older_than is too long") from None
        if error is not None and not isinstance(error, re.Pattern):
            check_text(error, "error")
        if not isinstance(routing_key, NotGiven):
            check_routing_key(routing_key)
        made = cls(None if name is None else check_text(name, "name"), error, before, routing_key)
        if all and not made.is_open:
            raise ValueError("pass all=True or filters, not both")
        if all is False and made.is_open:
            raise ValueError(
                "choose the dead letters: pass name, error, older_than or routing_key, or all=True"
            )
        return made

    @property
    def is_open(self) -> bool:
        """Whether it takes any dead letter."""
        return (
            self.name is None
            and self.error is None
            and self.before is None
            and isinstance(self.routing_key, NotGiven)
        )

    def matches(self, job: Job) -> bool:
        """Whether a job is meant."""
        if self.name is not None and job.name != self.name:
            return False
        if isinstance(self.error, str) and self.error not in job.error:
            return False
        if isinstance(self.error, re.Pattern) and self.error.search(job.error) is None:
            return False
        if self.before is not None:
            died = job.updated_at or job.created_at
            if died is None or died > self.before:
                return False
        return isinstance(self.routing_key, NotGiven) or job.routing_key == self.routing_key
