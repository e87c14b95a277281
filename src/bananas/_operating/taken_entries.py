"""Decides what becomes of an entry among the taken jobs."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple, Optional, Sequence

from .. import exceptions as exc
from .._argument_checks import MAX_INT64
from .._wire import dumps, format_timestamp
from ..models import Job
from .job_facts import FINAL
from .requeue_routes import Routes
from .rewriting import rewritten

__all__ = ["WORKER_LOST", "Note", "Step", "completed", "lost_job", "microseconds"]

#: What is recorded as the error of the attempt.
WORKER_LOST = "worker lost"
_MICROSECONDS = re.compile(rb"[0-9]{1,18}\Z")


def microseconds(time: Sequence[bytes]) -> int:
    """Return the time that a reply to TIME tells, in microseconds."""
    return int(time[0]) * 1_000_000 + int(time[1])


class Note(NamedTuple):
    """What operators have noted of an entry.

    Attributes:
        first: When it was first seen with this document, in microseconds of the server's clock.
        document: The digest of that document.
        last: When it was last seen.
    """

    first: int
    document: bytes
    last: int

    @classmethod
    def parse(cls, text: Optional[bytes]) -> Optional[Note]:
        """Read a note; None where there is none, or none of ours."""
        parts = (text or b"").split(b" ")
        if len(parts) != 3 or not all(_MICROSECONDS.match(part) for part in (parts[0], parts[2])):
            return None
        return cls(int(parts[0]), parts[1], int(parts[2]))

    @property
    def head(self) -> bytes:
        """What stays of its text while the entry and its document stay."""
        return b"%d %b " % (self.first, self.document)

    @property
    def text(self) -> bytes:
        """What is stored."""
        return self.head + b"%d" % self.last


class Step(NamedTuple):
    """What is to be done to one entry.

    Attributes:
        action: A word that the script knows: ``note``, ``drop``, ``finish``, ``requeue``, ``bury``.
        counter: Which count it raises.
        new: The note or the document to write.
        target: The list it goes to; None where it goes to none.
    """

    action: str
    counter: str
    new: bytes = b""
    target: Optional[bytes] = None


def lost_job(document: Optional[bytes], routes: Routes, now: datetime) -> Optional[Step]:
    """Decide what becomes of a job whose worker is taken for lost; None where that can't be told.

    Raises:
        ValueError: It has to be said onto which list it goes.
    """
    if document is None:
        return Step("drop", "removed")
    try:
        job = Job.from_json(document)
        if job.is_dead_letter_stub or job.status in FINAL:
            return Step("drop", "removed")
        attempts = min(job.attempts + 1, MAX_INT64)
        is_last = attempts >= job.max_retries
        changes = {
            "status": b'"failed"' if is_last else b'"pending"',
            "updated_at": dumps(format_timestamp(now)),
            "attempts": b"%d" % attempts,
            "error": dumps(WORKER_LOST),
        }
        new = rewritten(document, changes, {"scheduled_for"})
    except exc.SerializationError:
        return None
    return (
        Step("bury", "dead", new)
        if is_last
        else Step("requeue", "requeued", new, routes.target(job))
    )


def completed(document: bytes, now: datetime) -> Step:
    """Return how a job ends whose result was stored, and whose document was not rewritten."""
    changes = {"status": b'"completed"', "updated_at": dumps(format_timestamp(now))}
    return Step("finish", "removed", rewritten(document, changes, {"scheduled_for"}))
