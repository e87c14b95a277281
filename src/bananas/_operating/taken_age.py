"""Finds taken jobs that are taken for long."""

from __future__ import annotations

from datetime import timedelta
from typing import List, Optional, Sequence

from .. import exceptions as exc
from .._redis import Command
from .._wire import Keys, utcnow
from ..models import Job
from ..repairs import Finding
from .connection import OperatingConnection
from .counted import counted
from .document_pages import read_sizes, read_step, step_of
from .taken_entries import Note, digest

__all__ = ["TakenAge"]

_EXAMPLES = 10
_ADVICE = (
    "look whether their workers live; if not, recover them: bananas recover --idle-for TIME, where "
    "TIME is longer than any job runs"
)


class TakenAge:
    """Counts taken jobs by how long they are taken.

    Args:
        connection: Carries the reads.
        keys: The names of everything.
        seconds: After how many seconds a job is counted.
    """

    def __init__(self, connection: OperatingConnection, keys: Keys, seconds: float) -> None:
        self._connection = connection
        self._keys = keys
        self._seconds = seconds
        self._noted: List[bytes] = []  # the notes of recover prove it
        self._written: List[bytes] = []  # the document was last written so long ago
        self._counts = [0, 0]

    async def look_at(self, ids: Sequence[bytes]) -> None:
        """Look at a page of taken ids."""
        left = list(ids)
        sizes = await read_sizes(self._connection, self._keys, left)
        while left:
            count = step_of(sizes)
            page = left[:count]
            documents = await read_step(self._connection, self._keys, page)
            asked: List[Command] = [(b"HMGET", self._keys.taken_notes, *page), (b"TIME",)]
            notes, time = await self._connection.run(asked, again=True)
            if not isinstance(notes, list) or not isinstance(time, list):
                notes, time = [None] * len(page), [b"0", b"0"]
            now = int(time[0]) * 1_000_000 + int(time[1])
            for member, document, text in zip(page, documents, notes):
                self._judge(member, document, Note.parse(text), now)
            left, sizes = left[count:], sizes[count:]

    def _judge(
        self, member: bytes, document: Optional[bytes], note: Optional[Note], now: int
    ) -> None:
        if document is None:
            return
        is_known = note is not None and note.document == digest(document)
        if is_known and note is not None and now - note.first >= self._seconds * 1_000_000:
            self._add(0, self._noted, member)
        elif self._was_written_long_ago(document):
            self._add(1, self._written, member)

    def _add(self, which: int, examples: List[bytes], member: bytes) -> None:
        self._counts[which] += 1
        if len(examples) < _EXAMPLES:
            examples.append(member)

    def _was_written_long_ago(self, document: bytes) -> bool:
        try:
            job = Job.from_json(document)
        except exc.SerializationError:
            return False
        written = job.updated_at or job.created_at
        if written is None:
            return False
        return (utcnow() - written).total_seconds() >= self._seconds

    def findings(self) -> List[Finding]:
        """Return what was found."""
        span = str(timedelta(seconds=min(self._seconds, 1e9)))
        noted, written = self._counts
        found: List[Finding] = []
        if noted:
            message = counted(noted, "job has", "jobs have") + (
                f" stood among the taken ones, unchanged, for {span} or more"
            )
            found.append(_finding(message, noted, self._noted, is_guess=False))
        if written:
            message = counted(written, "taken job was", "taken jobs were") + (
                f" last written {span} ago or earlier: a job that runs or waited that long looks "
                "like one whose worker was killed"
            )
            found.append(_finding(message, written, self._written, is_guess=True))
        return found


def _finding(message: str, count: int, members: Sequence[bytes], *, is_guess: bool) -> Finding:
    examples = tuple(member.decode("utf-8", "surrogateescape") for member in members)
    return Finding("taken long", message, _ADVICE, count, examples=examples, is_guess=is_guess)
