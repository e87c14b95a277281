"""When to look at the dead letters, and whether there is a new one."""

from __future__ import annotations

from typing import Optional, Sequence

__all__ = ["DEAD_LETTERS_PER_LOOK", "DeadLetterLooks"]

DEAD_LETTERS_PER_LOOK = 100
_ROUNDS_PER_LOOK = 4


class DeadLetterLooks:
    """The looks at the list of dead letters, by which waits learn of failures without a result.

    A worker that has no handler for a job, or can't read it, stores no result and publishes
    nothing. So the client reads the latest ids of the list once a second.
    """

    __slots__ = ("_latest", "_rounds")

    def __init__(self) -> None:
        self._latest: Optional[str] = None
        self._rounds = 0

    def is_time(self) -> bool:
        """Count a round of the periodic looks; the dead letters are read in every fourth."""
        self._rounds += 1
        return self._rounds % _ROUNDS_PER_LOOK == 0

    def has_new(self, job_ids: Sequence[str]) -> bool:
        """Whether the list, latest first, begins with another job than the last time."""
        if not job_ids or job_ids[0] == self._latest:
            return False
        self._latest = job_ids[0]
        return True
