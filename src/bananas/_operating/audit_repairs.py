"""Carries out the repairs that an audit has planned."""

from __future__ import annotations

import itertools
import math
import uuid
from datetime import datetime, timedelta
from typing import Any, Callable, Collection, Dict, List, Optional, Sequence, Set, Tuple

from .. import exceptions as exc
from .._redis import Command, ReplyError
from .._wire import UTC, Keys, dumps, format_timestamp, utcnow
from ..models import Job
from ..repairs import AuditReport, RepairCounts
from .audit_repair_scripts import (
    Placing,
    drop_ids,
    expire_results,
    place_jobs,
    rights_to_drop,
    rights_to_expire,
    rights_to_place,
)
from .connection import OperatingConnection
from .document_pages import PAGE_IDS, read_sizes, read_step, step_of
from .id_places import Place, ids_without_document, place_pages
from .listing import ask
from .requeue_routes import Routes
from .rewriting import rewritten
from .rights import check_rights
from .taken_entries import digest

__all__ = ["Mending"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEYS_A_STEP = 1000
_TASK = "repair the queue"
_NO_DOCUMENT = ("no document", "expired dead letter")


class Mending:
    """One call. Whatever it changes is looked at once more in the step that changes it.

    Args:
        connection: Carries the commands.
        keys: The names of everything.
        places: Where an id may stand.
        routes: Onto which lists jobs without a place go.
        failure_ttl: Seconds after which a result without a job goes.
        progress: Called with the counts so far.
    """

    def __init__(
        self,
        connection: OperatingConnection,
        keys: Keys,
        places: Sequence[Place],
        routes: Routes,
        *,
        failure_ttl: int,
        progress: Optional[Callable[[RepairCounts], None]],
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._places = places
        self._routes = routes
        self._failure_ttl = failure_ttl
        self._progress = progress
        self._mark = f"mark of {uuid.uuid4()}".encode()
        self._repaired: Dict[str, int] = {}
        self._changed: Dict[str, int] = {}
        self._targets: Dict[str, int] = {}

    async def run(self, report: AuditReport, kinds: Set[str]) -> RepairCounts:
        """Repair what the report found, of these kinds."""
        for finding in report.findings:
            if finding.kind not in kinds or not finding.repair:
                continue
            if finding.kind in _NO_DOCUMENT:
                for place in self._places:
                    if place.key.decode("utf-8", "replace") == finding.where:
                        await self._drop(place, finding.kind)
            elif finding.kind == "result without job":
                await self._expire(finding.kind)
            elif finding.kind == "no place":
                await self._place_all(report.placeless, finding.kind)
        return self._counts()

    def _counts(self) -> RepairCounts:
        return RepairCounts(dict(self._repaired), dict(self._changed), dict(self._targets))

    def _done(self, kind: str, done: int, of: int) -> None:
        self._repaired[kind] = self._repaired.get(kind, 0) + done
        if of > done:
            self._changed[kind] = self._changed.get(kind, 0) + of - done
        if self._progress is not None:
            self._progress(self._counts())

    async def _run(self, rights: Sequence[Command], command: Command) -> Any:
        await check_rights(self._connection, rights, _TASK)
        (reply,) = await self._connection.run([command])
        if isinstance(reply, ReplyError):
            raise exc.ServerError(f"can't {_TASK}: Redis refuses: {reply}", code=reply.code)
        return reply

    async def _drop(self, place: Place, kind: str) -> None:
        async for ids, window in place_pages(self._connection, place):
            missing = await ids_without_document(self._connection, self._keys, ids)
            unique = list(dict.fromkeys(missing))
            if unique:
                rights = rights_to_drop(self._keys, place, unique)
                command = drop_ids(self._keys, place, unique, window, self._mark)
                self._done(kind, await self._run(rights, command), len(missing))

    async def _expire(self, kind: str) -> None:
        prefix, cursor = self._keys.stored_result(b""), b"0"
        while True:
            command: Command = (
                b"SCAN", cursor, b"MATCH", self._keys.everything, b"COUNT", _KEYS_A_STEP,
            )  # fmt: skip
            cursor, names = await ask(self._connection, command)
            ids = [name[len(prefix) :] for name in names if name.startswith(prefix)]
            for start in range(0, len(ids), PAGE_IDS):
                page = ids[start : start + PAGE_IDS]
                orphans = await ids_without_document(self._connection, self._keys, page)
                if orphans:
                    rights = rights_to_expire(self._keys, orphans, self._failure_ttl)
                    step = expire_results(self._keys, orphans, self._failure_ttl)
                    done = await self._run(rights, step)
                    self._done(kind, done, done)
            if cursor == b"0":
                return

    # -- jobs without a place --------------------------------------------------------------------

    async def _place_all(self, placeless: Sequence[Tuple[str, str]], kind: str) -> None:
        for start in range(0, len(placeless), PAGE_IDS):
            sums = {
                job_id.encode("utf-8", "surrogateescape"): sum_
                for job_id, sum_ in placeless[start : start + PAGE_IDS]
            }
            standing = await self._standing(sums)
            self._done(kind, 0, len(standing))
            ids = [member for member in sums if member not in standing]
            sizes = await read_sizes(self._connection, self._keys, ids) if ids else []
            while ids:
                count = step_of(sizes)
                await self._place([(member, sums[member]) for member in ids[:count]], kind)
                ids, sizes = ids[count:], sizes[count:]

    async def _standing(self, ids: Collection[bytes]) -> Set[bytes]:
        """Return those that stand somewhere, after one reading of all places."""
        found: Set[bytes] = set()
        for place in self._places:
            async for page, _ in place_pages(self._connection, place):
                found.update(member for member in page if member in ids)
        return found

    async def _place(self, page: Sequence[Tuple[bytes, str]], kind: str) -> None:
        """Put jobs back, in one step of the server, whose documents are as the audit saw them."""
        documents = await read_step(self._connection, self._keys, [member for member, _ in page])
        placings: List[Placing] = []
        for (member, sum_), document in zip(page, documents):
            if document is not None and digest(document).decode() == sum_:
                placings.append(self._placing(member, document, sum_))
        if not placings:
            self._done(kind, 0, len(page))
            return
        lists = [place.key for place in self._places if place.kind != "scheduled"]
        rights = rights_to_place(self._keys, placings, lists)
        placed = await self._run(rights, place_jobs(self._keys, placings, lists))
        for one in itertools.compress(placings, placed):
            key = self._keys.scheduled if one.score is not None else one.target
            name = key.decode("utf-8", "replace")
            self._targets[name] = self._targets.get(name, 0) + 1
        self._done(kind, sum(placed), len(page))

    def _placing(self, member: bytes, document: bytes, sum_: str) -> Placing:
        job = Job.from_json(document)
        due = job.scheduled_for
        score = None if due is None else math.ceil((due - _EPOCH) / timedelta(seconds=1))
        new = rewritten(document, {"updated_at": dumps(format_timestamp(utcnow()))})
        return Placing(member, sum_, score, self._routes.target(job), new)
