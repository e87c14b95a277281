"""Submits of jobs that may exist: only those that do not are queued."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence

from .._redis import Command, Reply, ReplyError
from .transaction import Entry, Outcomes, is_error, is_passing

__all__ = ["Existence", "Look"]


class Existence:
    """What a look has found.

    Attributes:
        existing: Entries whose job exists.
        free: Entries to be queued, one for each id, whose keys are watched now.
        later: Entries whose id another entry of the same look has; they look again.
        outcomes: The refusals, if the server refused to let us look; else None.
    """

    __slots__ = ("existing", "free", "later", "outcomes")

    def __init__(self) -> None:
        self.existing: List[Entry] = []
        self.free: List[Entry] = []
        self.later: List[Entry] = []
        self.outcomes: Optional[Outcomes] = None


class Look:
    """WATCH of the documents' keys, and EXISTS for each.

    The transaction that follows on the same connection does nothing if one of the keys has changed
    in between. So looking and queueing are one step.
    """

    __slots__ = ("_firsts", "entries")

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self._firsts: Dict[bytes, Entry] = {}
        for entry in entries:
            self._firsts.setdefault(entry.key, entry)

    @property
    def reply_count(self) -> int:
        """How many replies the commands bring."""
        return 1 + len(self._firsts)

    def commands(self) -> List[Command]:
        """Return the commands."""
        commands: List[Command] = [(b"WATCH", *self._firsts)]
        commands.extend((b"EXISTS", key) for key in self._firsts)
        return commands

    def judge(self, replies: Sequence[Reply]) -> Existence:
        """Tell those that exist from those that do not."""
        found = Existence()
        error = next(filter(is_error, replies), None)
        if error is not None:
            found.outcomes = self._refused(error)
            return found
        existing = {key for key, reply in zip(self._firsts, replies[1:]) if reply}
        for entry in self.entries:
            if entry.key in existing:
                found.existing.append(entry)
            elif self._firsts[entry.key] is entry:
                found.free.append(entry)
            else:
                found.later.append(entry)
        return found

    def _refused(self, error: ReplyError) -> Outcomes:
        outcomes = Outcomes()
        if is_passing(error):
            outcomes.passing = error
            outcomes.again.append(list(self.entries))
        elif error.code == "NOPERM" and len(self._firsts) > 1:
            # A right to some documents only: each has to be tried for itself.
            for key in self._firsts:
                outcomes.again.append([entry for entry in self.entries if entry.key == key])
        else:
            outcomes.reject(self.entries, error)
        return outcomes
