"""Carries out the repairs that an audit has planned."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from typing import Any, Callable, Dict, List, Optional, Sequence, Set, Tuple

from .._wire import dumps, format_timestamp, to_unix_time, utcnow
from ..models import Job
from ..repairs import AuditReport, RepairCounts
from .audit_repair_scripts import Placing, drop_ids, expire_results, place_jobs
from .deployment import Deployment, member_of, name_of
from .document_pages import pages, parts, read_documents
from .id_places import Place, ids_without_document, place_pages
from .listing import scan
from .requeue_routes import Routes
from .rewriting import rewritten
from .scripts import Script, digest

__all__ = ["Mending"]

_TASK = "repair the queue"
_NO_DOCUMENT = ("no document", "expired dead letter")


class Mending:
    """One call. Whatever it changes is looked at once more in the step that changes it.

    Args:
        deployment: What is repaired.
        places: Where an id may stand.
        routes: Onto which lists jobs without a place go.
        progress: Called with the counts so far.
    """

    def __init__(
        self,
        deployment: Deployment,
        places: Sequence[Place],
        routes: Routes,
        progress: Optional[Callable[[RepairCounts], None]],
    ) -> None:
        self._deployment = deployment
        self._keys = deployment.keys
        self._places = places
        self._routes = routes
        self._progress = progress
        self._mark = f"mark of {uuid.uuid4()}".encode()
        self._repaired: Counter[str] = Counter()
        self._changed: Counter[str] = Counter()
        self._targets: Counter[str] = Counter()

    async def run(self, report: AuditReport, kinds: Set[str]) -> RepairCounts:
        """Repair what the report found, of these kinds."""
        for finding in report.findings:
            if finding.kind not in kinds or not finding.repair:
                continue
            if finding.kind in _NO_DOCUMENT:
                for place in self._places:
                    if place.name == finding.where:
                        await self._drop(place, finding.kind)
            elif finding.kind == "result without job":
                await self._expire(finding.kind)
            elif finding.kind == "no place":
                await self._place_all(report.placeless, finding.kind)
        return self._counts()

    def _counts(self) -> RepairCounts:
        return RepairCounts(dict(self._repaired), dict(self._changed), dict(self._targets))

    def _done(self, kind: str, done: int, of: int) -> None:
        self._repaired[kind] += done
        if of > done:
            self._changed[kind] += of - done
        if self._progress is not None:
            self._progress(self._counts())

    async def _run(self, script: Script) -> Any:
        await script.check_rights(self._deployment.connection, _TASK)
        return await script.run(self._deployment.connection, _TASK)

    async def _drop(self, place: Place, kind: str) -> None:
        async for ids, window in place_pages(self._deployment, place):
            missing = await ids_without_document(self._deployment, ids)
            unique = list(dict.fromkeys(missing))
            if unique:
                done = await self._run(drop_ids(self._keys, place, unique, window, self._mark))
                self._done(kind, done, len(missing))

    async def _expire(self, kind: str) -> None:
        prefix = self._keys.stored_result(b"")
        async for names in scan(self._deployment, self._keys.everything):
            ids = [name[len(prefix) :] for name in names if name.startswith(prefix)]
            for page in pages(ids):
                orphans = await ids_without_document(self._deployment, page)
                if orphans:
                    ttl = self._deployment.failure_ttl
                    done = await self._run(expire_results(self._keys, orphans, ttl))
                    self._done(kind, done, done)

    # -- jobs without a place --------------------------------------------------------------------

    async def _place_all(self, placeless: Sequence[Tuple[str, str]], kind: str) -> None:
        sums = {member_of(job_id): sum_.encode() for job_id, sum_ in placeless}
        for page in pages(list(sums)):
            standing = await self._standing(set(page))
            self._done(kind, 0, len(standing))
            left = [member for member in page if member not in standing]
            for part in await parts(self._deployment, left):
                await self._place({member: sums[member] for member in part}, kind)

    async def _standing(self, ids: Set[bytes]) -> Set[bytes]:
        """Return those that stand somewhere, after one reading of all places."""
        found: Set[bytes] = set()
        for place in self._places:
            async for page, _ in place_pages(self._deployment, place):
                found.update(member for member in page if member in ids)
        return found

    async def _place(self, sums: Dict[bytes, bytes], kind: str) -> None:
        """Put jobs back, in one step of the server, whose documents are as the audit saw them."""
        documents = await read_documents(self._deployment, list(sums))
        placings: List[Placing] = []
        for (member, sum_), document in zip(sums.items(), documents):
            if document is not None and digest(document) == sum_:
                placings.append(self._placing(member, document, sum_))
        placed: List[int] = []
        if placings:
            lists = [place.key for place in self._places if place.kind != "scheduled"]
            placed = await self._run(place_jobs(self._keys, placings, lists))
        for one in itertools.compress(placings, placed):
            key = self._keys.scheduled if one.score is not None else one.target
            self._targets[name_of(key)] += 1
        self._done(kind, sum(placed), len(sums))

    def _placing(self, member: bytes, document: bytes, sum_: bytes) -> Placing:
        job = Job.from_json(document)
        due = job.scheduled_for
        score = None if due is None else to_unix_time(due)
        new = rewritten(document, {"updated_at": dumps(format_timestamp(utcnow()))})
        return Placing(member, sum_, score, self._routes.target(job), new)
