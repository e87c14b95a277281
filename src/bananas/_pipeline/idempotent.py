"""The existence check of idempotent submits: only jobs that do not exist are queued."""

from __future__ import annotations

from typing import Dict, List, Sequence

from .._redis import Command, Reply
from .transaction import Entry, Outcomes, is_error

__all__ = ["ExistenceCheck"]


class ExistenceCheck:
    """WATCH of the documents' keys, and EXISTS for each.

    The transaction that follows on the same connection does nothing if one of the keys has changed
    in between. So checking and queueing are one step.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self._firsts: Dict[bytes, Entry] = {}
        for entry in entries:
            self._firsts.setdefault(entry.key, entry)

    def commands(self) -> List[Command]:
        """Return the commands."""
        return [(b"WATCH", *self._firsts), *((b"EXISTS", key) for key in self._firsts)]

    def judge(self, replies: Sequence[Reply]) -> Outcomes:
        """Tell those that exist from those that do not."""
        outcomes = Outcomes()
        error = next(filter(is_error, replies), None)
        if error is None:
            existing = {key for key, reply in zip(self._firsts, replies[1:]) if reply}
            absent = [entry for entry in self.entries if entry.key not in existing]
            outcomes.existing = [entry for entry in self.entries if entry.key in existing]
            outcomes.free = [entry for entry in absent if self._firsts[entry.key] is entry]
            later = [entry for entry in absent if self._firsts[entry.key] is not entry]
            if later:  # another entry has the same id: these get its outcome
                outcomes.again = [later]
        elif error.code == "NOPERM" and len(self._firsts) > 1:
            # The user may read only some documents: try each one alone.
            outcomes.again = [
                [entry for entry in self.entries if entry.key == key] for key in self._firsts
            ]
        else:
            outcomes.refuse(self.entries, error)
        return outcomes
