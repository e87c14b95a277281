"""Finds taken jobs that are taken for long."""

from __future__ import annotations

from datetime import timedelta
from typing import List, Optional, Sequence

from .. import exceptions as exc
from .._redis import Command
from .._wire import utcnow
from ..models import Job
from ..repairs import Finding
from .deployment import Deployment
from .document_pages import parts, read_documents
from .scripts import digest
from .taken_entries import Note, microseconds
from .tally import Tally, counted

__all__ = ["TakenAge"]

_ADVICE = (
    "check whether their workers run; if not, recover the jobs: bananas recover --idle-for TIME, "
    "where TIME is longer than any job runs"
)


class TakenAge:
    """Counts taken jobs by how long they are taken.

    Args:
        deployment: Where to read.
        seconds: After how many seconds a job is counted.
    """

    def __init__(self, deployment: Deployment, seconds: float) -> None:
        self._deployment = deployment
        self._seconds = seconds
        self._noted = Tally()  # the notes of recover prove it
        self._written = Tally()  # the document was last written so long ago

    async def look_at(self, ids: Sequence[bytes]) -> None:
        """Look at a page of taken ids."""
        deployment = self._deployment
        for part in await parts(deployment, ids):
            documents = await read_documents(deployment, part)
            asked: List[Command] = [(b"HMGET", deployment.keys.taken_notes, *part), (b"TIME",)]
            notes, time = await deployment.connection.run(asked, again=True)
            if not isinstance(notes, list) or not isinstance(time, list):
                notes, time = [None] * len(part), [b"0", b"0"]
            for member, document, text in zip(part, documents, notes):
                self._judge(member, document, Note.parse(text), microseconds(time))

    def _judge(
        self, member: bytes, document: Optional[bytes], note: Optional[Note], now: int
    ) -> None:
        if document is None:
            return
        is_known = note is not None and note.document == digest(document)
        if is_known and note is not None and now - note.first >= self._seconds * 1_000_000:
            self._noted.add([member])
        elif self._was_written_long_ago(document):
            self._written.add([member])

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
        found: List[Finding] = []
        if self._noted.count:
            message = counted(self._noted.count, "job has", "jobs have") + (
                f" been among the taken jobs, unchanged, for {span} or more"
            )
            found.append(self._noted.finding("taken long", message, _ADVICE))
        if self._written.count:
            message = counted(self._written.count, "taken job was", "taken jobs were") + (
                f" last written {span} ago or earlier: its worker was killed, or it runs or waited "
                "for so long"
            )
            found.append(self._written.finding("taken long", message, _ADVICE, is_guess=True))
        return found
