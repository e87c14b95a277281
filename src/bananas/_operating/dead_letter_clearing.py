"""Requeues or deletes dead letters, page by page, each page in one step of the server."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Callable, Iterator, List, Optional, Sequence, Tuple

from .._redis import Command
from ..models import Job
from ..operating import DeadLetterCounts
from .dead_letter_script import Letter
from .dead_letter_steps import LetterSteps
from .dead_letters import Kind, LetterFilter, read_letter
from .deployment import Deployment, name_of
from .document_pages import read_all_documents
from .listing import ListPages
from .requeue_routes import Routes

__all__ = ["DeadLetterClearing"]


class DeadLetterClearing:
    """One call: it goes from the oldest letter to the newest, and leaves what was not selected.

    Progress is the list itself: a page is moved or not, and whoever begins again goes on.

    Args:
        deployment: Whose letters they are.
        wanted: Which letters are meant.
        routes: Onto which lists they go; None deletes them.
        limit: How many at most; None is all.
        rate: How many a second at most; None is as fast as it goes.
        dry_run: Whether only to count.
    """

    def __init__(
        self,
        deployment: Deployment,
        wanted: LetterFilter,
        routes: Optional[Routes],
        *,
        limit: Optional[int],
        rate: Optional[float],
        dry_run: bool,
    ) -> None:
        self._deployment = deployment
        self._wanted = wanted
        self._routes = routes
        self._limit = limit
        self._rate = rate
        self._dry_run = dry_run
        verb = "delete" if routes is None else "requeue"
        self._steps = LetterSteps(deployment, f"{verb} dead letters")
        self._numbers: Counter[str] = Counter()
        self._targets: Counter[str] = Counter()
        self._done_before = 0
        self._pages = self._from_oldest()
        self._began: Optional[float] = None

    @property
    def counts(self) -> DeadLetterCounts:
        """What was done so far."""
        return DeadLetterCounts(**self._numbers, targets=dict(self._targets), dry_run=self._dry_run)

    def _from_oldest(self) -> ListPages:
        return ListPages(self._deployment, self._deployment.keys.dead, newest_first=False)

    async def run(
        self, progress: Optional[Callable[[DeadLetterCounts], None]] = None
    ) -> DeadLetterCounts:
        """Go through the list until nothing that is meant is left.

        Args:
            progress: Called with the counts so far, after each page.
        """
        while await self.advance():
            if progress is not None:
                progress(self.counts)
        return self.counts

    async def advance(self) -> bool:
        """Go through one page; return whether there was one."""
        await self._keep_rate()
        if self._limit is not None and self._numbers["done"] >= self._limit:
            return False
        ids = await self._next_ids()
        while not ids:
            if self._dry_run or self._numbers["done"] == self._done_before:
                return False
            # One more pass from the right end, because others may have added entries there.
            self._pages = self._from_oldest()
            self._done_before = self._numbers["done"]
            for name in ("expired", "unreadable", "stale", "other"):
                self._numbers[name] = 0
            ids = await self._next_ids()
        chosen = self._choose(ids, await self._documents(ids))
        done = chosen
        if chosen and not self._dry_run:
            done = await self._steps.carry_out(chosen)
            self._pass_by(ids, chosen, len(done))
        self._numbers["done"] += len(done)
        self._targets.update(name_of(one.target) for one in done if one.target is not None)
        return True

    async def _documents(self, ids: Sequence[bytes]) -> List[Optional[bytes]]:
        documents = await read_all_documents(self._deployment, ids)
        gone = [at for at, document in enumerate(documents) if document is None]
        if gone and self._routes is None:
            # What is of another type is no document, and is not deleted for one that has expired.
            document = self._deployment.keys.document
            asked: List[Command] = [(b"EXISTS", document(ids[at])) for at in gone]
            for at, is_there in zip(gone, await self._deployment.read(asked)):
                documents[at] = b"" if is_there else None
        return documents

    def _pass_by(self, ids: List[bytes], chosen: Sequence[Letter], done: int) -> None:
        """Say which entries of a page stay."""
        if done < len(chosen):
            self._pages = self._from_oldest()  # another operator is here
            return
        gone = {letter.place for letter in chosen}
        self._pages.keep([one for place, one in self._placed(ids) if place not in gone])

    def _placed(self, ids: Sequence[bytes]) -> Iterator[Tuple[int, bytes]]:
        """Iterate over the ids of the last page, with where each stands, counted from the right."""
        first = self._pages.reached - len(ids) + 1
        return ((-number, member) for number, member in enumerate(ids, first))

    async def _next_ids(self) -> List[bytes]:
        """Return the next ids from the right, the oldest first."""
        size = self._steps.size
        if self._limit is not None:
            size = max(1, min(size, self._limit - self._numbers["done"]))
        if self._rate is not None:
            size = max(1, min(size, int(self._rate)))
        self._pages.size = size
        return [member.id for member in await self._pages.next()]

    # -- which of a page -------------------------------------------------------------------------

    def _choose(self, ids: Sequence[bytes], documents: Sequence[Optional[bytes]]) -> List[Letter]:
        chosen: List[Letter] = []
        for (place, member), document in zip(self._placed(ids), documents):
            kind, job = read_letter(document)
            what = self._refusal(kind, job)
            if what:
                self._numbers[what] += 1
                continue
            target = None
            if self._routes is not None and job is not None:
                target = self._routes.target(job)  # it may refuse to choose
            chosen.append(Letter(place, member, document, target))
        self._numbers["looked_at"] += len(ids)
        return chosen

    def _refusal(self, kind: Kind, job: Optional[Job]) -> str:
        """Return why a letter stays, and an empty string for one that is meant."""
        if kind is Kind.EXPIRED:
            return "" if self._routes is None and self._wanted.is_open else "expired"
        if kind is Kind.UNREADABLE:
            return "unreadable"
        if kind is Kind.STALE:
            return "stale"
        assert job is not None
        if not self._wanted.matches(job):
            return "other"
        return "unreadable" if kind is Kind.STUB and self._routes is not None else ""

    async def _keep_rate(self) -> None:
        if self._rate is not None and not self._dry_run:
            loop = asyncio.get_running_loop()
            if self._began is None:
                self._began = loop.time()
            ahead = self._began + self._numbers["done"] / self._rate - loop.time()
            await asyncio.sleep(max(0.0, ahead))
