"""Audits the keys of a deployment, in pages."""

from __future__ import annotations

from typing import Awaitable, Callable, Dict, List, Optional, Sequence, Set

from .. import exceptions as exc
from .._redis import Command
from ..models import Job, JobStatus
from ..repairs import AuditReport, Finding
from .deployment import Deployment, id_of
from .document_pages import pages, parts, read_documents
from .id_places import Place, ids_without_document, place_pages
from .listing import scan
from .scripts import digest
from .server_facts import look_at_server, missing_commands
from .server_findings import server_findings
from .taken_age import TakenAge
from .tally import Tally, counted

__all__ = ["Audit", "is_unfinished"]

# So many entries of the places are kept in memory at a time; more take several passes.
_ENTRIES_A_PASS = 1_000_000
_UNFINISHED = (JobStatus.PENDING, JobStatus.SCHEDULED, JobStatus.PROCESSING)
# A document without any of these has ended; all others are read as Go reads them.
_WORDS = (b"pending", b'"scheduled"', b"processing", b"\\u")


def is_unfinished(document: Optional[bytes]) -> bool:
    """Whether a document is of a job that has not ended."""
    if document is None or not any(word in document for word in _WORDS):
        return False
    try:
        return Job.from_json(document).status in _UNFINISHED
    except exc.SerializationError:
        return False


class Audit:
    """One call, which reads and changes nothing.

    Args:
        deployment: What is audited.
        places: Where an id may stand.
        observe: Seconds between the two checks; 0 looks once.
        taken_for: Seconds after which a taken job is reported.
        pause: Waits between the looks.
        progress: Called with what is being done, in words.
    """

    def __init__(
        self,
        deployment: Deployment,
        places: Sequence[Place],
        *,
        observe: float,
        taken_for: float,
        pause: Callable[[float], Awaitable[object]],
        progress: Optional[Callable[[str], None]],
    ) -> None:
        self._deployment = deployment
        self._connection = deployment.connection
        self._keys = deployment.keys
        self._places = places
        self._observe = observe
        self._pause = pause
        self._progress = progress
        self._taken = TakenAge(deployment, taken_for)
        self._missing: Dict[Place, Tally] = {place: Tally() for place in places}
        self._orphans = Tally()  # results without a job
        self._lasting = 0  # those of them that do not expire
        self._suspects: Dict[bytes, bytes] = {}
        self._documents = self._results = self._entries = 0

    async def run(self) -> AuditReport:
        """Look, wait, and look again at what seemed amiss."""
        rights = await missing_commands(self._deployment)
        first = await look_at_server(self._deployment, self._places)
        sizes = await self._connection.run([_length(place) for place in self._places], again=True)
        total = sum(size for size in sizes if isinstance(size, int))
        passes = 1 + total // _ENTRIES_A_PASS
        for number in range(passes):
            await self._pass(number, passes)
        second = None
        if self._observe:
            self._say(f"waiting {self._observe:g} s before the second look")
            await self._pause(self._observe)
            second = await look_at_server(self._deployment, self._places)
            await self._look_again()
        else:
            self._suspects.clear()
        findings = [*self._findings(), *server_findings(self._places, first, second, rights)]
        return AuditReport(
            findings=tuple(findings),
            documents=self._documents,
            results=self._results,
            entries=self._entries,
            observed=self._observe,
            placeless=tuple(
                (id_of(member), sum_.decode()) for member, sum_ in self._suspects.items()
            ),
        )

    def _say(self, words: str) -> None:
        if self._progress is not None:
            self._progress(words)

    # -- the first look --------------------------------------------------------------------------

    async def _pass(self, number: int, passes: int) -> None:
        """Look at the ids of one part, by their hash: first at the places, then at the documents.

        A job that is submitted meanwhile is a suspect, which the second look clears.
        """
        placed: Set[int] = set()
        for place in self._places:
            self._say(f"reading {place.words}")
            async for ids, _ in place_pages(self._deployment, place):
                placed.update(one for one in map(hash, ids) if one % passes == number)
                if number == 0:
                    self._entries += len(ids)
                    await self._look_at(place, ids)
        self._say("reading the documents")
        async for names in scan(self._deployment, self._keys.everything):
            jobs = _members(names, self._keys.document(b""))
            if number == 0:
                self._documents += len(jobs)
                await self._look_at_results(_members(names, self._keys.stored_result(b"")))
            await self._suspect(
                [one for one in jobs if hash(one) % passes == number and hash(one) not in placed]
            )

    async def _look_at(self, place: Place, ids: Sequence[bytes]) -> None:
        missing = await ids_without_document(self._deployment, ids)
        self._missing[place].add(missing)
        if place.kind == "taken":
            await self._taken.look_at(ids)

    async def _suspect(self, ids: Sequence[bytes]) -> None:
        """Keep those whose document says that they have not ended."""
        for page in pages(ids):
            for part in await parts(self._deployment, page):
                documents = await read_documents(self._deployment, part)
                for member, document in zip(part, documents):
                    if is_unfinished(document):
                        self._suspects[member] = digest(document)

    async def _look_at_results(self, ids: Sequence[bytes]) -> None:
        self._results += len(ids)
        orphans = await ids_without_document(self._deployment, ids)
        if orphans:
            self._orphans.add(orphans)
            reads: List[Command] = [
                (b"TTL", self._keys.stored_result(member)) for member in orphans
            ]
            self._lasting += (await self._connection.run(reads, again=True)).count(-1)

    # -- the second look -------------------------------------------------------------------------

    async def _look_again(self) -> None:
        """Keep the suspects that are as they were, and stand nowhere."""
        self._say("looking again")
        await self._keep_unchanged()
        for place in self._places:
            if not self._suspects:
                return
            async for ids, _ in place_pages(self._deployment, place):
                for member in ids:
                    self._suspects.pop(member, None)
        await self._keep_unchanged()

    async def _keep_unchanged(self) -> None:
        for page in pages(list(self._suspects)):
            for part in await parts(self._deployment, page):
                documents = await read_documents(self._deployment, part)
                results = await self._connection.run(
                    [(b"EXISTS", self._keys.stored_result(member)) for member in part], again=True
                )
                for member, document, result in zip(part, documents, results):
                    if digest(document) != self._suspects[member] or result != 0:
                        del self._suspects[member]

    # -- the report ------------------------------------------------------------------------------

    def _findings(self) -> List[Finding]:
        found = [
            tally.finding(
                "expired dead letter" if place.kind == "dead" else "no document",
                counted(tally.count, "id", "ids") + f" without a document in {place.words}",
                "submit the jobs again if you need them; their names and payloads are gone",
                where=place.name,
                repair="remove the ids",
            )
            for place, tally in self._missing.items()
            if tally.count
        ]
        if self._suspects:
            tally = Tally(list(self._suspects))
            ended = ("job has not ended, and is", "jobs have not ended, and are")
            found.append(
                tally.finding(
                    "no place",
                    counted(tally.count, *ended) + " in no list that a worker reads",
                    "find out what removed them; then repair them, or submit them again",
                    repair="queue the jobs again, or schedule those that have a time",
                    is_offer=True,
                )
            )
        if self._orphans.count:
            found.append(
                self._orphans.finding(
                    "result without job",
                    counted(self._orphans.count, "result", "results")
                    + f" without a document, {self._lasting} of which never expire",
                    "nothing to do: Redis deletes results that expire",
                    repair="give those that never expire a time to live" if self._lasting else "",
                )
            )
        return [*found, *self._taken.findings()]


def _length(place: Place) -> Command:
    return (b"ZCARD" if place.kind == "scheduled" else b"LLEN", place.key)


def _members(names: Sequence[bytes], prefix: bytes) -> List[bytes]:
    return [name[len(prefix) :] for name in names if name.startswith(prefix)]
