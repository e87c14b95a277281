"""What calls that repair the queue return: plain, frozen values for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Dict, Optional

from ._wire import format_timestamp

__all__ = ["RecoveryCounts"]


@dataclass(frozen=True)
class RecoveryCounts:
    """What a call that recovers the jobs of killed workers has come to.

    Attributes:
        requeued: Queued again, with one more attempt counted.
        dead: Made dead letters, since no attempt was left.
        removed: Jobs that had ended, or had no document, or were scheduled too: only their entry
            among the taken jobs was removed.
        waiting: Seen before, and not for long enough.
        noted: Seen for the first time, or with another document than before.
        changed: Left the taken jobs, or were rewritten, while this looked at them.
        unreadable: Their document can't be read; they stay.
        left: Old enough, and beyond ``limit``.
        looked_at: Entries that were read; one that was read again counts again.
        targets: How many went to each list, by its key, the dead letters' included.
        next_at: When the first of those that wait, or were noted, is old enough, by the clock of
            Redis.
        dry_run: Whether nothing was changed.
    """

    requeued: int = 0
    dead: int = 0
    removed: int = 0
    waiting: int = 0
    noted: int = 0
    changed: int = 0
    unreadable: int = 0
    left: int = 0
    looked_at: int = 0
    targets: Dict[str, int] = field(default_factory=dict)
    next_at: Optional[datetime] = None
    dry_run: bool = False

    @property
    def done(self) -> int:
        """All entries that were, or would be, taken away from the taken jobs."""
        return self.requeued + self.dead + self.removed

    def to_dict(self) -> Dict[str, Any]:
        """Return the same as JSON values, with ``done``; times are RFC 3339."""
        return {
            "done": self.done,
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "targets": dict(self.targets),
            "next_at": _time(self.next_at),
        }

    def __str__(self) -> str:
        where = "".join(f", {count} to {name}" for name, count in sorted(self.targets.items()))
        verb = "would be recovered" if self.dry_run else "recovered"
        lines = [
            f"{self.done} {verb}{where}",
            f"{self.removed} of them only removed; left: {self.noted} seen for the first time, "
            f"{self.waiting} not for long enough, {self.changed} changed meanwhile, "
            f"{self.unreadable} unreadable, {self.left} beyond the limit",
        ]
        if self.next_at is not None:
            lines.append(f"the next is old enough at {_time(self.next_at)}")
        return "\n".join(lines)


def _time(moment: Optional[datetime]) -> Optional[str]:
    return None if moment is None else format_timestamp(moment)
