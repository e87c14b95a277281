"""The async iterator over the jobs of a place, with their documents."""

from __future__ import annotations

from collections import deque
from typing import Callable, Deque, List, Optional, Sequence

from .. import exceptions as exc
from .._in_process import InProcess
from .._wire import from_unix_time
from ..location import JobPlace
from ..models import Job
from ..operating import JobEntry
from .deployment import Deployment, id_of
from .document_pages import PAGE_IDS, parts, read_documents
from .listing import Member, Pages

__all__ = ["ListedJobs"]


class ListedJobs(InProcess):
    """Gives the jobs of one place, page by page, each with its document.

    Made by ``AsyncClient.queue.jobs``. It reads a page when the one before is used up, and keeps no
    other. A plain class: the loop's body may do what it likes, and may leave early.

    Args:
        deployment: Where to read.
        place: What is listed.
        sources: Its lists, each of which is begun when the one before ends.
        limit: How many jobs at most; None is all.
        life: The client's, which must not end before this is forgotten.
        wanted: Whether an entry is given; None gives them all.
    """

    def __init__(
        self,
        deployment: Deployment,
        place: JobPlace,
        sources: Sequence[Pages],
        limit: Optional[int],
        life: object,
        wanted: Optional[Callable[[JobEntry], bool]] = None,
    ) -> None:
        self._wanted = wanted
        self._life = life
        self._deployment = deployment
        self._place = place
        self._sources = deque(sources)
        self._left = limit
        self._entries: Deque[JobEntry] = deque()
        self._waiting: List[Member] = []
        self._parts: Deque[Sequence[bytes]] = deque()

    def __aiter__(self) -> ListedJobs:
        return self

    async def __anext__(self) -> JobEntry:
        if not self._entries:
            self._entries.extend(await self._next_page())
        if not self._entries:
            raise StopAsyncIteration
        return self._entries.popleft()

    async def _take(self) -> List[JobEntry]:
        """Return all that can be had in one go; nothing at the end."""
        found = [*self._entries] or await self._next_page()
        self._entries.clear()
        return found

    async def _next_page(self) -> List[JobEntry]:
        found: List[JobEntry] = []
        while not found and self._left != 0:
            members = await self._next_members()
            if not members:
                break
            documents = await read_documents(self._deployment, [one.id for one in members])
            entries = map(self._entry, members, documents)
            found = [entry for entry in entries if self._is_wanted(entry)][: self._left]
        if self._left is not None:
            self._left -= len(found)
        return found

    async def _next_members(self) -> List[Member]:
        """Return the next ids, as many as one step may read the documents of."""
        while not self._waiting:
            if not self._sources:
                return []
            source = self._sources[0]
            self._waiting = await source.next()
            # Another task may have taken the end of it from the same iterator.
            if not self._waiting and self._sources and self._sources[0] is source:
                self._sources.popleft()
        if not self._parts:
            size = PAGE_IDS
            takes_all = self._wanted is None and self._place is not JobPlace.RETRYING
            if self._left is not None and takes_all:
                size = min(size, self._left)
            ids = [one.id for one in self._waiting[:size]]
            self._parts = deque(await parts(self._deployment, ids))
        count = len(self._parts.popleft())
        members, self._waiting = self._waiting[:count], self._waiting[count:]
        return members

    def _is_wanted(self, entry: JobEntry) -> bool:
        if self._wanted is not None and not self._wanted(entry):
            return False
        return self._place is not JobPlace.RETRYING or entry.place is JobPlace.RETRYING

    def _entry(self, member: Member, document: Optional[bytes]) -> JobEntry:
        due = None if member.score is None else from_unix_time(float(member.score))
        place, job, problem = self._place, None, ""
        if document is None:
            problem = "its document is gone"
        else:
            try:
                job = Job.from_json(document)
            except exc.SerializationError as error:
                problem = f"its document can't be read: {error}"
        if place in (JobPlace.SCHEDULED, JobPlace.RETRYING):
            has_failed = job is not None and job.attempts > 0
            place = JobPlace.RETRYING if has_failed else JobPlace.SCHEDULED
        return JobEntry(id_of(member.id), place, job, problem, due)
