"""What calls that repair the queue return: plain, frozen values for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Dict, Literal, Optional, Tuple

from ._wire import format_timestamp

__all__ = ["AuditReport", "Finding", "FindingKind", "RecoveryCounts", "RepairCounts"]

#: What is amiss, in words that programs may rely on.
FindingKind = Literal[
    "no document",
    "expired dead letter",
    "no place",
    "result without job",
    "taken long",
    "not drained",
    "no scheduler",
    "evicts",
    "missing right",
]


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


@dataclass(frozen=True)
class Finding:
    """One thing that is amiss.

    Attributes:
        kind: What it is: ``no document`` (ids without one in a list or among the scheduled or
            taken jobs), ``expired dead letter`` (the same among the dead letters), ``no place``
            (jobs that have not ended, and whose id is nowhere), ``result without job``, ``taken
            long``, ``not drained`` (a list that no worker empties), ``no scheduler``, ``evicts``
            (a ``maxmemory-policy`` that loses jobs) or ``missing right``.
        message: What was seen.
        advice: What to do.
        count: How many jobs, results or commands it is about.
        where: The key of the place, where it has one.
        examples: Some of the ids, 10 at most.
        is_guess: Whether what is in Redis does not prove it.
        repair: What ``repair`` does about it, in words; empty where that is for people to do.
        is_offer: Whether ``repair`` does it only if it is named.
    """

    kind: FindingKind
    message: str
    advice: str
    count: int = 1
    where: str = ""
    examples: Tuple[str, ...] = ()
    is_guess: bool = False
    repair: str = ""
    is_offer: bool = False

    def to_dict(self) -> Dict[str, Any]:
        """Return the same as JSON values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**values, "examples": list(self.examples)}

    def __str__(self) -> str:
        guess = " (a guess)" if self.is_guess else ""
        lines = [f"{self.kind}: {self.message}{guess}"]
        if self.examples:
            more = ", ..." if self.count > len(self.examples) else ""
            lines.append(f"  such as {', '.join(map(ascii, self.examples))}{more}")
        if self.repair:
            lines.append(f"  {'offered' if self.is_offer else 'planned'} repair: {self.repair}")
        lines.append(f"  what to do: {self.advice}")
        return "\n".join(lines)


@dataclass(frozen=True)
class AuditReport:
    """What ``doctor`` has found, and what ``repair`` would do about it.

    Attributes:
        findings: What is amiss; empty where all is well.
        documents: How many documents there are.
        results: How many results.
        entries: How many ids in lists, and among the scheduled, taken and dead jobs.
        observed: Seconds between the two looks; 0 where there was one.
        placeless: The jobs without a place, each with the digest of its document.
    """

    findings: Tuple[Finding, ...] = ()
    documents: int = 0
    results: int = 0
    entries: int = 0
    observed: float = 0.0
    placeless: Tuple[Tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def plan(self) -> Tuple[Finding, ...]:
        """What ``repair`` repairs if nothing is named."""
        return tuple(one for one in self.findings if one.repair and not one.is_offer)

    @property
    def offers(self) -> Tuple[Finding, ...]:
        """What it repairs only if it is named."""
        return tuple(one for one in self.findings if one.is_offer)

    def to_dict(self) -> Dict[str, Any]:
        """Return the same as JSON values, without ``placeless``."""
        return {
            "findings": [one.to_dict() for one in self.findings],
            "documents": self.documents,
            "results": self.results,
            "entries": self.entries,
            "observed": self.observed,
        }

    def __str__(self) -> str:
        looked = f"looked at {self.documents} documents, {self.results} results, {self.entries} ids"
        found = [str(one) for one in self.findings] or ["nothing is amiss"]
        return "\n".join([looked, *found])


@dataclass(frozen=True)
class RepairCounts:
    """What ``repair`` has come to.

    Attributes:
        repaired: How many ids or results, by the kind of finding.
        changed: How many were left alone, since they were not any more as they were found.
        targets: How many jobs without a place went to each list, by its key.
    """

    repaired: Dict[str, int] = field(default_factory=dict)
    changed: Dict[str, int] = field(default_factory=dict)
    targets: Dict[str, int] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """All that was repaired."""
        return sum(self.repaired.values())

    def to_dict(self) -> Dict[str, Any]:
        """Return the same as JSON values, with ``done``."""
        return {
            "done": self.done,
            "repaired": dict(self.repaired),
            "changed": dict(self.changed),
            "targets": dict(self.targets),
        }

    def __str__(self) -> str:
        lines = [f"{self.done} repaired"]
        lines += [f"  {kind}: {count}" for kind, count in self.repaired.items()]
        lines += [f"  {count} to {name}" for name, count in sorted(self.targets.items())]
        lines += [f"  {kind}: {count} left, changed" for kind, count in self.changed.items()]
        return "\n".join(lines)


def _time(moment: Optional[datetime]) -> Optional[str]:
    return None if moment is None else format_timestamp(moment)
