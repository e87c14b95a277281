"""What operating calls return: plain, frozen values for people and for programs."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Dict, Literal, Optional, Tuple

from ._wire import format_timestamp
from .enums import JobPriority
from .location import JobPlace, Location
from .models import Job, JobResult

__all__ = [
    "CancelOutcome",
    "ChangeKind",
    "DeadLetterCounts",
    "DeleteOutcome",
    "Explanation",
    "JobChange",
    "JobEntry",
    "QueueDepths",
    "RescheduleOutcome",
]

#: What has changed, in a word or two.
ChangeKind = Literal[
    "queued",
    "scheduled",
    "taken",
    "attempt failed",
    "retry due",
    "finished",
    "cancelled",
    "missing",
    "unreadable",
]


@dataclass(frozen=True)
class QueueDepths:
    """The number of jobs in each place.

    Attributes:
        queued: Jobs that wait for a worker, by routing key (None for the flat lists) and priority.
        scheduled: Jobs of all routes that wait for their time, retries included.
        overdue: Scheduled jobs that were due more than 2 s ago, by the clock of Redis. If there are
            more than a few for a long time, no scheduler runs.
        next_due: When the first scheduled job is or was due; None if there is none.
        processing: Jobs of all routes that workers have taken. The jobs of killed workers stay
            here.
        dead: Dead letters of all routes.
    """

    queued: Dict[Optional[str], Dict[JobPriority, int]] = field(default_factory=dict)
    scheduled: int = 0
    overdue: int = 0
    next_due: Optional[datetime] = None
    processing: int = 0
    dead: int = 0

    @property
    def total_queued(self) -> int:
        """The number of jobs that wait for a worker, in all counted routes."""
        return sum(sum(depths.values()) for depths in self.queued.values())

    def to_dict(self) -> Dict[str, Any]:
        """Return this as JSON values.

        ``queued`` is a list with ``routing_key``, ``high``, ``normal`` and ``low`` of each route;
        times are RFC 3339.
        """
        return {
            "queued": [
                {"routing_key": route, **{str(one.value): depths[one] for one in depths}}
                for route, depths in self.queued.items()
            ],
            "scheduled": self.scheduled,
            "overdue": self.overdue,
            "next_due": _time(self.next_due),
            "processing": self.processing,
            "dead": self.dead,
        }

    def __str__(self) -> str:
        lines = []
        for route, depths in self.queued.items():
            where = "queued" if route is None else f"queued on route {route}"
            counts = ", ".join(f"{depths[one]} {one.value}" for one in depths)
            lines.append(f"{where}: {counts}")
        late = f" ({self.overdue} overdue)" if self.overdue else ""
        due = "" if self.next_due is None else f", the next due at {_time(self.next_due)}"
        lines.append(f"scheduled: {self.scheduled}{late}{due}")
        lines.append(f"taken: {self.processing}")
        lines.append(f"dead: {self.dead}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Explanation:
    """Where a job is, why it does not run, and what to do about it.

    Attributes:
        job_id: The job.
        place: Where it is.
        situation: The situation in one or two words, which programs can rely on: ``waiting``, ``not
            drained``, ``scheduled``, ``overdue``, ``retrying``, ``taken``, ``unknown priority``,
            ``no handler``, ``failed``, ``cancelled``, ``completed``, ``unreadable``, ``no
            document``, ``no place``, ``result without job`` or ``missing``.
        cause: The likely cause, in words.
        advice: What you can do.
        is_guess: Whether the cause is a guess, because the data in Redis does not prove it.
        known: The facts found in Redis, as texts; never a guess.
        missing: What should be in Redis but is not: ``document``, ``place``, ``result``.
        name: The name of its handler; empty if it is not known.
        position: The number of jobs before it in its list; None if it is not queued.
        priority: The priority of its list.
        routing_key: The route of its list; None for a flat list, or if it is in no list.
        due: When it is due, if it is scheduled.
        attempts: The number of failed attempts.
        max_retries: Attempts after which a failure is final.
        last_error: The error text of the last failed attempt.
    """

    job_id: str
    place: JobPlace
    situation: str
    cause: str
    advice: str
    is_guess: bool = False
    known: Tuple[str, ...] = ()
    missing: Tuple[str, ...] = ()
    name: str = ""
    position: Optional[int] = None
    priority: Optional[JobPriority] = None
    routing_key: Optional[str] = None
    due: Optional[datetime] = None
    attempts: int = 0
    max_retries: int = 0
    last_error: str = field(default="", repr=False)

    def to_dict(self) -> Dict[str, Any]:
        """Return this as JSON values; times are RFC 3339."""
        return {
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "place": str(self.place),
            "known": list(self.known),
            "missing": list(self.missing),
            "priority": None if self.priority is None else str(self.priority),
            "due": _time(self.due),
        }

    def __str__(self) -> str:
        lines = [f"{self.job_id}: {self.place}", *(f"known: {one}" for one in self.known)]
        if self.missing:
            lines.append(f"missing: {', '.join(self.missing)}")
        lines.append(f"{'likely cause' if self.is_guess else 'cause'}: {self.cause}")
        lines.append(f"what to do: {self.advice}")
        return "\n".join(lines)


@dataclass(frozen=True)
class JobChange:
    """A change of a job, from ``watch``.

    Attributes:
        job_id: The job.
        kind: What has changed. For ``attempt failed``, ``location.due`` is the time of the retry.
            ``retry due`` means that the retry is queued.
        location: Where the job is.
        result: The final result, if the job has ended; None if the result has expired.
    """

    job_id: str
    kind: ChangeKind
    location: Location
    result: Optional[JobResult[Any]] = None

    def to_dict(self) -> Dict[str, Any]:
        """Return this as JSON values, without the result's data; times are RFC 3339."""
        where, result = self.location, self.result
        return {
            "job_id": self.job_id,
            "kind": self.kind,
            "place": str(where.place),
            "attempts": where.attempts,
            "last_error": where.last_error,
            "due": _time(where.due),
            "status": None if result is None else str(result.status),
        }

    def __str__(self) -> str:
        where = self.location
        text = f"{self.job_id}: {self.kind}"
        if self.kind in ("finished", "cancelled"):
            return f"{text}, {where.place}"
        if self.kind == "attempt failed":
            text += f' ({where.attempts}), "{where.last_error.strip().partition(chr(10))[0]}"'
        return text if where.due is None else f"{text}, due at {_time(where.due)}"


@dataclass(frozen=True)
class JobEntry:
    """One entry of a list of jobs: an id, and the document if it can be read.

    Attributes:
        id: The id in the list. A byte that is not UTF-8 becomes a lone surrogate.
        place: The place that was listed.
        job: The job; None if its document is missing or can't be read.
        problem: Why ``job`` is None; otherwise empty.
        due: When a scheduled job is due, from the list itself.
    """

    id: str
    place: JobPlace
    job: Optional[Job] = None
    problem: str = ""
    due: Optional[datetime] = None

    def to_dict(self) -> Dict[str, Any]:
        """Return this as JSON values, without the payload; times are RFC 3339."""
        job = self.job
        return {
            "job_id": self.id,
            "place": str(self.place),
            "name": None if job is None else job.name,
            "priority": None if job is None else str(job.priority.value),
            "routing_key": None if job is None else job.routing_key,
            "attempts": None if job is None else job.attempts,
            "max_retries": None if job is None else job.max_retries,
            "last_error": "" if job is None else job.error,
            "created_at": None if job is None else _time(job.created_at),
            "due": _time(self.due),
            "problem": self.problem,
        }

    def __str__(self) -> str:
        if self.job is None:
            return f"{self.id}: {self.place}, {self.problem}"
        due = "" if self.due is None else f", due at {_time(self.due)}"
        return f"{self.id}: {self.place}, {self.job.name}{due}"


@dataclass(frozen=True)
class DeadLetterCounts:
    """The result of requeuing or deleting dead letters.

    Attributes:
        done: Jobs that were requeued or deleted; with ``dry_run``, jobs that would be.
        looked_at: Entries that were read. An entry that was read twice counts twice.
        expired: Entries without a document. They stay.
        unreadable: Jobs with a document that can't be read or can't be queued again. They stay.
        stale: Entries of jobs that are not failed. They stay.
        other: Jobs that the filters do not select.
        targets: The number of jobs queued on each list, by its key.
        dry_run: Whether this was a dry run, which changes nothing.
    """

    done: int = 0
    looked_at: int = 0
    expired: int = 0
    unreadable: int = 0
    stale: int = 0
    other: int = 0
    targets: Dict[str, int] = field(default_factory=dict)
    dry_run: bool = False

    def to_dict(self) -> Dict[str, Any]:
        """Return this as JSON values."""
        return {
            "done": self.done,
            "looked_at": self.looked_at,
            "expired": self.expired,
            "unreadable": self.unreadable,
            "stale": self.stale,
            "other": self.other,
            "targets": dict(self.targets),
            "dry_run": self.dry_run,
        }

    def __str__(self) -> str:
        where = "".join(f", {count} to {name}" for name, count in sorted(self.targets.items()))
        verb = "would be done" if self.dry_run else "done"
        return (
            f"{self.done} {verb}{where}; left: {self.other} others, {self.expired} expired, "
            f"{self.unreadable} unreadable, {self.stale} stale"
        )


class _Outcome(str, enum.Enum):
    """A word that says what became of a job."""

    def __str__(self) -> str:
        return str(self.value)


class CancelOutcome(_Outcome):
    """The outcome of ``cancel``."""

    #: It will not run. Callers that wait for it get a failed result.
    CANCELLED = "cancelled"
    #: A worker has taken it. It was not changed.
    TAKEN = "taken"
    #: It had ended before.
    FINISHED = "finished"
    #: There is no such job, or it is in no list of the queue.
    MISSING = "missing"
    #: It is due within seconds, but no scheduler has moved it to its list. It was not changed.
    DUE = "due"


class RescheduleOutcome(_Outcome):
    """The outcome of ``reschedule``."""

    #: It will run at the new time.
    RESCHEDULED = "rescheduled"
    #: A worker has taken it. It was not changed.
    TAKEN = "taken"
    #: It has ended.
    FINISHED = "finished"
    #: There is no such job, or it is in no list of the queue.
    MISSING = "missing"
    #: It is due within seconds, but no scheduler has moved it to its list. It was not changed.
    DUE = "due"


class DeleteOutcome(_Outcome):
    """The outcome of ``delete``."""

    #: Its document, its result and its dead letter were deleted.
    DELETED = "deleted"
    #: It has not ended and was not deleted. Cancel it first.
    UNFINISHED = "unfinished"
    #: There is no such job.
    MISSING = "missing"


def _time(moment: Optional[datetime]) -> Optional[str]:
    return None if moment is None else format_timestamp(moment)
