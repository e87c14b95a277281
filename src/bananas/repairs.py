"""What calls that repair the queue return: plain, frozen values for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Dict, Literal, Optional, Tuple

from ._wire import format_timestamp

__all__ = ["AuditReport", "Finding", "FindingKind", "RecoveryCounts", "RepairCounts"]

#: The kinds of problems, in words that programs can rely on.
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
    """The result of ``recover``.

    Attributes:
        requeued: Jobs queued again, with one more failed attempt.
        dead: Jobs that became dead letters, because no attempt was left.
        removed: Jobs that had ended, had no document, or were also scheduled. Only their entry
            among the taken jobs was removed.
        waiting: Jobs seen before, but not for long enough.
        noted: Jobs seen for the first time, or with a changed document.
        changed: Jobs that changed, or were not taken any more, during the call.
        unreadable: Jobs with a document that can't be read. They stay.
        left: Jobs that could be recovered, but exceed ``limit``.
        looked_at: Entries that were read. An entry that was read twice counts twice.
        targets: The number of jobs moved to each list, by its key, the dead letters included.
        next_at: When to call it again: the first waiting or noted job can be recovered then, by the
            clock of Redis.
        dry_run: Whether this was a dry run, which changes nothing.
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
        """The number of entries that were, or would be, removed from the taken jobs."""
        return self.requeued + self.dead + self.removed

    def to_dict(self) -> Dict[str, Any]:
        """Return this as JSON values, with ``done``; times are RFC 3339."""
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
            f"{self.removed} of them only removed; left: {self.noted} noted for the first time, "
            f"{self.waiting} not taken for long enough, {self.changed} changed in the meantime, "
            f"{self.unreadable} unreadable, {self.left} beyond the limit",
        ]
        if self.next_at is not None:
            lines.append(f"the next is old enough at {_time(self.next_at)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Finding:
    """One problem in the queue.

    Attributes:
        kind: The kind of problem: ``no document`` (waiting, scheduled or taken ids without a
            document), ``expired dead letter`` (dead letters without a document), ``no place`` (jobs
            that have not ended, but are in no list), ``result without job``, ``taken long``, ``not
            drained`` (a list that no worker empties), ``no scheduler``, ``evicts`` (a
            ``maxmemory-policy`` that deletes jobs) or ``missing right``.
        message: What was seen.
        advice: What you can do.
        count: The number of jobs, results or commands.
        where: The key in Redis, if there is one.
        examples: Some of the ids, at most 10.
        is_guess: Whether it is a guess, because the data in Redis does not prove it.
        repair: What ``repair`` does about it; empty if only a person can repair it.
        is_offer: Whether ``repair`` does this only if you name the kind.
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
        """Return this as JSON values."""
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
    """The problems that ``doctor`` found, and what ``repair`` would do.

    Attributes:
        findings: The problems; empty if there are none.
        documents: The number of documents.
        results: The number of results.
        entries: The number of ids among waiting, scheduled, taken and dead jobs.
        observed: Seconds between the two checks; 0 if there was only one.
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
        """The kinds that ``repair`` repairs if you name none."""
        return tuple(one for one in self.findings if one.repair and not one.is_offer)

    @property
    def offers(self) -> Tuple[Finding, ...]:
        """The kinds that ``repair`` repairs only if you name them."""
        return tuple(one for one in self.findings if one.is_offer)

    def to_dict(self) -> Dict[str, Any]:
        """Return this as JSON values, without ``placeless``."""
        return {
            "findings": [one.to_dict() for one in self.findings],
            "documents": self.documents,
            "results": self.results,
            "entries": self.entries,
            "observed": self.observed,
        }

    def __str__(self) -> str:
        checked = f"checked {self.documents} documents, {self.results} results, {self.entries} ids"
        found = [str(one) for one in self.findings] or ["no problems"]
        return "\n".join([checked, *found])


@dataclass(frozen=True)
class RepairCounts:
    """The result of ``repair``.

    Attributes:
        repaired: The number of repaired ids or results, by the kind of finding.
        changed: The number of those that were not repaired, because they had changed, by kind.
        targets: The number of jobs without a place that were queued on each list, by its key.
    """

    repaired: Dict[str, int] = field(default_factory=dict)
    changed: Dict[str, int] = field(default_factory=dict)
    targets: Dict[str, int] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """The number of all repaired ids and results."""
        return sum(self.repaired.values())

    def to_dict(self) -> Dict[str, Any]:
        """Return this as JSON values, with ``done``."""
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
        lines += [
            f"  {kind}: {count} left, because they had changed"
            for kind, count in self.changed.items()
        ]
        return "\n".join(lines)


def _time(moment: Optional[datetime]) -> Optional[str]:
    return None if moment is None else format_timestamp(moment)
