"""What is read of a job to explain it."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple

from .._wire import folded, loads_members
from ..enums import JobPriority, JobStatus
from ..models import Job, JobResult

__all__ = ["FINAL", "Facts", "Standing", "odd_priority"]

#: The statuses of a job that has ended.
FINAL = (JobStatus.COMPLETED, JobStatus.FAILED)
_PRIORITIES = {priority.value for priority in JobPriority}


def odd_priority(document: bytes) -> Optional[str]:
    """Return the priority of a document if no worker knows it; empty where there is none.

    A worker that takes such a job loses it.
    """
    found = [value for name, value, _ in loads_members(document) if folded(name) == "priority"]
    if not found:
        return ""
    return None if found[-1] in _PRIORITIES else str(found[-1])


class Standing(NamedTuple):
    """What one list of queued jobs tells.

    Attributes:
        route: The route of the list.
        priority: Its priority.
        ahead: How many jobs stand before this one; None where this one does not stand there.
        length: How many stand there.
        head: The id that a worker takes next.
    """

    route: Optional[str]
    priority: JobPriority
    ahead: Optional[int]
    length: int
    head: Optional[bytes]

    @property
    def words(self) -> str:
        """What the list is called."""
        where = "the flat list" if self.route is None else f"the list of route {self.route!r}"
        return f"{where} of priority {self.priority.value}"


class Facts(NamedTuple):
    """What was read of a job at one moment."""

    now: float
    text: Optional[bytes]
    job: Optional[Job]
    problem: str
    result: Optional[JobResult[Any]]
    result_problem: str
    score: Optional[float]
    is_taken: bool
    is_dead: bool
    standings: Tuple[Standing, ...]
    refusals: Tuple[str, ...] = ()
    scheduler_looks: Optional[int] = None

    @property
    def standing(self) -> Optional[Standing]:
        """The list in which the job is queued, if it is in one."""
        return next((one for one in self.standings if one.ahead is not None), None)

    @property
    def stands(self) -> bool:
        """Whether the job stands in a place of the queue."""
        is_placed = self.is_taken or self.is_dead or self.score is not None
        return is_placed or self.standing is not None
