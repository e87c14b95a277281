"""Whose turn it is to be looked at, and how many in a second."""

from __future__ import annotations

from typing import Dict, List

__all__ = ["GRACE", "TICK", "Pacing"]

#: Seconds between two rounds of looks.
TICK = 0.25
#: A failed result beside a document that has not moved for this long, of a job that no worker has
#: taken: it was not stored by a Go worker, and nobody will rewrite the document.
GRACE = 0.5
# Ten thousand idle waits may cost a small part of a core: this many documents a second at most.
_LOOKS_PER_TICK = 100
_FIRST_LOOK = 0.5


class Pacing:
    """Keeps awaited jobs in the order in which they are due: those in grace, new ones, the others.

    Args:
        interval: Seconds between two looks at one job, where they are few.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._grace: Dict[str, float] = {}
        self._first: Dict[str, float] = {}
        self._again: Dict[str, float] = {}

    def add(self, job_id: str, now: float) -> None:
        """Take a job in: it is due soon."""
        self._first[job_id] = now + _FIRST_LOOK

    def add_grace(self, job_id: str, since: float) -> None:
        """Have a job looked at when its grace is over."""
        self._grace[job_id] = since + GRACE

    def discard(self, job_id: str) -> None:
        """Let a job go."""
        self._grace.pop(job_id, None)
        self._first.pop(job_id, None)
        self._again.pop(job_id, None)

    def take_due(self, now: float) -> List[str]:
        """Return the jobs that are to be looked at in this round, each once."""
        due = [job_id for job_id, when in self._grace.items() if when <= now][:_LOOKS_PER_TICK]
        for job_id in due:
            del self._grace[job_id]
        for queue in (self._first, self._again):
            while queue and len(due) < _LOOKS_PER_TICK:
                job_id = next(iter(queue))
                if queue[job_id] > now:
                    break
                del queue[job_id]
                self._again[job_id] = now + self._interval
                due.append(job_id)
        return list(dict.fromkeys(due))
