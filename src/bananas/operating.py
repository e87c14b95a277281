"""What operating calls return: plain, frozen values for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Dict, Optional

from ._wire import format_timestamp
from .enums import JobPriority
from .location import JobPlace
from .models import Job

__all__ = ["JobEntry", "QueueDepths"]


@dataclass(frozen=True)
class QueueDepths:
    """How many jobs are where.

    Attributes:
        queued: Waiting for a worker: by routing key (None for the flat lists), then by priority.
        scheduled: Waiting for their time, retries included; of all routes.
        overdue: Those of them that were due more than 2 s ago, by the clock of Redis: more than a
            few for long, and no scheduler is running.
        next_due: When the first of them is, or was, due; None where there is none.
        processing: Taken by workers; of all routes. A worker that was killed leaves its own here.
        dead: Dead letters; of all routes.
    """

    queued: Dict[Optional[str], Dict[JobPriority, int]] = field(default_factory=dict)
    scheduled: int = 0
    overdue: int = 0
    next_due: Optional[datetime] = None
    processing: int = 0
    dead: int = 0

    @property
    def total_queued(self) -> int:
        """All that wait for a worker, of the routes that were looked at."""
        return sum(sum(depths.values()) for depths in self.queued.values())

    def to_dict(self) -> Dict[str, Any]:
        """Return the same as JSON values.

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
class JobEntry:
    """One entry of a list of jobs: an id, and the document if it can be read.

    Attributes:
        id: The id as it stands there; a byte that is no UTF-8 is a lone surrogate.
        place: Where it stands.
        job: Its document; None where that is gone, or can't be read.
        problem: Why there is no ``job``; empty where there is one.
        due: When it is due, of a scheduled one, by the list itself.
    """

    id: str
    place: JobPlace
    job: Optional[Job] = None
    problem: str = ""
    due: Optional[datetime] = None

    def to_dict(self) -> Dict[str, Any]:
        """Return the same as JSON values, without the payload; times are RFC 3339."""
        job = self.job
        return {
            "id": self.id,
            "place": str(self.place),
            "name": None if job is None else job.name,
            "priority": None if job is None else str(job.priority.value),
            "routing_key": None if job is None else job.routing_key,
            "attempts": None if job is None else job.attempts,
            "max_retries": None if job is None else job.max_retries,
            "error": "" if job is None else job.error,
            "created_at": None if job is None else _time(job.created_at),
            "due": _time(self.due),
            "problem": self.problem,
        }

    def __str__(self) -> str:
        if self.job is None:
            return f"{self.id}: {self.place}, {self.problem}"
        due = "" if self.due is None else f", due at {_time(self.due)}"
        return f"{self.id}: {self.place}, {self.job.name}{due}"


def _time(moment: Optional[datetime]) -> Optional[str]:
    return None if moment is None else format_timestamp(moment)
