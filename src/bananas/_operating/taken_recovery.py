"""Recovers the jobs of killed workers, page by page, each page in one step of the server."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any, Callable, List, NamedTuple, Optional, Sequence

from .._redis import Argument, Command
from .._wire import from_unix_time, utcnow
from ..models import JobResult, JobStatus
from ..repairs import RecoveryCounts
from .deployment import Deployment, name_of
from .document_pages import parts, read_documents
from .listing import ListPages
from .requeue_routes import Routes
from .scripts import digest
from .taken_entries import WORKER_LOST, Note, Step, completed, lost_job, microseconds
from .taken_script import TakenEntry, TakenPage, change_taken

__all__ = ["Recovery"]

_TASK = "recover jobs"
_WEEK = 7 * 24 * 3600
_LONGEST = 10 * 365 * 24 * 3600
# If a note is from the future, the server's clock was wrong: note the entry again.
_AHEAD = 60 * 1_000_000


class _Read(NamedTuple):
    """An entry as it was read."""

    member: bytes
    document: Optional[bytes]
    sum: bytes
    note: Optional[Note]


class Recovery:
    """One call: it goes through the taken jobs, the oldest first.

    Args:
        deployment: Whose taken jobs they are.
        routes: Onto which lists they go.
        idle_for: Seconds that a job must have been seen among the taken ones.
        limit: How many are recovered at most; None is all.
        dry_run: Whether only to count.
        progress: Called with the counts so far, after each step.
    """

    def __init__(
        self,
        deployment: Deployment,
        routes: Routes,
        *,
        idle_for: float,
        limit: Optional[int],
        dry_run: bool,
        progress: Optional[Callable[[RecoveryCounts], None]],
    ) -> None:
        self._deployment = deployment
        self._keys = deployment.keys
        self._routes = routes
        self._idle_for = int(min(idle_for, _LONGEST) * 1_000_000)
        self._limit = limit
        self._dry_run = dry_run
        self._progress = progress
        self._numbers: Counter[str] = Counter()
        self._targets: Counter[str] = Counter()
        self._mark = f"mark of {uuid.uuid4()}".encode()
        self._expiry = int(min(max(_WEEK, 2 * idle_for), _LONGEST))
        self._began = 0
        self._next: Optional[int] = None  # when the first that is too young is old enough

    @property
    def _counts(self) -> RecoveryCounts:
        next_at = None if self._next is None else from_unix_time(self._next / 1_000_000)
        return RecoveryCounts(
            **self._numbers, targets=dict(self._targets), next_at=next_at, dry_run=self._dry_run
        )

    async def run(self) -> RecoveryCounts:
        """Go through all entries once."""
        self._began = microseconds(await self._deployment.ask((b"TIME",), _TASK))
        pages = ListPages(self._deployment, self._keys.processing, newest_first=False)
        while True:
            ids = [member.id for member in await pages.next()]
            if not ids:
                break
            for part in await parts(self._deployment, ids):
                await self._step(part, pages.reached, len(ids))
        if not self._dry_run:
            await self._forget()
        return self._counts

    # -- one step --------------------------------------------------------------------------------

    async def _step(self, ids: Sequence[bytes], reached: int, size: int) -> None:
        documents = await read_documents(self._deployment, ids)
        asked: List[Command] = [(b"HMGET", self._keys.taken_notes, *ids), (b"TIME",)]
        notes, time = await self._deployment.read(asked, _TASK)
        now = microseconds(time)
        entries: List[TakenEntry] = []
        idle: List[_Read] = []
        for member, document, text in zip(ids, documents, notes):
            read = _Read(member, document, digest(document), Note.parse(text))
            note = read.note
            if note is None or note.document != read.sum or note.first > now + _AHEAD:
                note = Note(now, read.sum, now)
                entries.append(TakenEntry(member, read.sum, b"", Step("note", "noted", note.text)))
            elif note.first < self._began and now - note.first >= self._idle_for:
                idle.append(read)
                continue
            else:
                entries.append(_seen(read, note, now, "waiting"))
            old_enough = note.first + self._idle_for
            self._next = old_enough if self._next is None else min(self._next, old_enough)
        entries += await self._idle(idle, now)
        self._numbers["looked_at"] += len(ids)
        await self._carry_out(entries, reached, size)
        if self._progress is not None:
            self._progress(self._counts)

    async def _idle(self, idle: Sequence[_Read], seen_at: int) -> List[TakenEntry]:
        """Decide on the entries that are old enough."""
        if not idle:
            return []
        asked: List[Command] = [
            (b"HGET", self._keys.stored_result(each.member), b"status") for each in idle
        ]
        states = await self._deployment.connection.run(asked, again=True)
        now = utcnow()
        entries: List[TakenEntry] = []
        room = len(idle) if self._limit is None else self._limit - self._counts.done
        for read, state in zip(idle, states):
            step = lost_job(read.document, self._routes, now)
            if step is not None and step.action != "drop" and state == b"completed":
                step = completed(read.document or b"", now)
            assert read.note is not None
            if step is None or room <= 0:
                count = "unreadable" if step is None else "left"
                entries.append(_seen(read, read.note, seen_at, count))
            else:
                entries.append(TakenEntry(read.member, read.sum, read.note.head, step))
                room -= 1
        return entries

    async def _carry_out(self, entries: Sequence[TakenEntry], reached: int, size: int) -> None:
        if not entries:
            return
        codes: Sequence[int] = [1] * len(entries)
        if not self._dry_run:
            now = utcnow()
            lost: JobResult[Any] = JobResult(
                "", JobStatus.FAILED, error=WORKER_LOST, completed_at=now
            )
            fields: List[Argument] = [part for pair in lost.to_hash(now).items() for part in pair]
            kept = self._deployment.failure_ttl
            script = change_taken(
                self._keys,
                TakenPage(entries, reached, size, self._mark, kept, self._expiry, fields),
            )
            await script.check_rights(self._deployment.connection, _TASK)
            codes = await script.run(self._deployment.connection, _TASK)
        for entry, code in zip(entries, codes):
            self._count(entry.step, code)

    def _count(self, step: Step, code: int) -> None:
        if code != 1:
            self._numbers["removed" if code == 2 else "changed"] += 1
            return
        self._numbers[step.counter] += 1
        target = self._keys.dead if step.action == "bury" else step.target
        if target is not None:
            self._targets[name_of(target)] += 1

    # -- notes -----------------------------------------------------------------------------------

    async def _forget(self) -> None:
        """Delete the notes of what this call has not seen: it is not there any more."""
        cursor: bytes = b"0"
        while True:
            command: Command = (b"HSCAN", self._keys.taken_notes, cursor, b"COUNT", 500)
            cursor, flat = await self._deployment.ask(command, _TASK)
            fields = iter(flat)
            gone = [member for member, text in zip(fields, fields) if self._is_old(text)]
            if gone:
                await self._deployment.ask((b"HDEL", self._keys.taken_notes, *gone), _TASK)
            if cursor == b"0":
                return

    def _is_old(self, text: bytes) -> bool:
        note = Note.parse(text)
        return note is None or note.last < self._began


def _seen(read: _Read, note: Note, now: int, count: str) -> TakenEntry:
    """Return that an entry was seen once more."""
    step = Step("note", count, note._replace(last=now).text)
    return TakenEntry(read.member, read.sum, note.head, step)
