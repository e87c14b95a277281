"""Requeues or deletes dead letters, page by page, each page in one step of the server."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any, Callable, List, Optional, Sequence

from .._redis import Command
from ..models import Job
from ..operating import DeadLetterCounts
from .dead_letter_script import Letter
from .dead_letter_steps import LetterSteps
from .dead_letters import Kind, LetterFilter, read_letter
from .deployment import Deployment, name_of
from .document_pages import read_all_documents
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

    Attributes:
        counts: What was done so far.
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
        self._keys = deployment.keys
        self._wanted = wanted
        self._routes = routes
        self._limit = limit
        self._rate = rate
        self._dry_run = dry_run
        self.counts: DeadLetterCounts = DeadLetterCounts(dry_run=dry_run)
        verb = "delete" if routes is None else "requeue"
        self._steps = LetterSteps(deployment, f"{verb} dead letters")
        self._targets: Counter[str] = Counter()
        self._done_before = 0
        self._passed = 0  # entries at the right end that stay
        self._began_at = 0
        self._anchor: Optional[bytes] = None  # the last of them
        self._began: Optional[float] = None

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
        if self._is_done():
            return False
        ids = await self._next_ids()
        while not ids:
            if self._dry_run or self.counts.done == self._done_before:
                return False
            # One more pass from the right end, where others may have left something.
            self._begin_pass()
            ids = await self._next_ids()
        chosen = self._choose(ids, await self._documents(ids))
        done = chosen
        if chosen and not self._dry_run:
            done = await self._steps.carry_out(chosen)
        self._targets.update(name_of(one.target) for one in done if one.target is not None)
        self.counts = replace(
            self.counts, done=self.counts.done + len(done), targets=dict(self._targets)
        )
        self._pass_by(ids, chosen, len(done))
        return True

    async def _documents(self, ids: Sequence[bytes]) -> List[Optional[bytes]]:
        documents = await read_all_documents(self._deployment, ids)
        gone = [at for at, document in enumerate(documents) if document is None]
        if gone and self._routes is None:
            # What is of another type is no document, and is not deleted for one that has expired.
            keys = [self._keys.document(ids[at]) for at in gone]
            for at, is_there in zip(gone, await self._read([(b"EXISTS", key) for key in keys])):
                documents[at] = b"" if is_there else None
        return documents

    def _begin_pass(self) -> None:
        self._passed, self._anchor = 0, None
        self._done_before = self.counts.done
        self.counts = replace(self.counts, expired=0, unreadable=0, stale=0, other=0)

    def _is_done(self) -> bool:
        return self._limit is not None and self.counts.done >= self._limit

    def _pass_by(self, ids: Sequence[bytes], chosen: Sequence[Letter], done: int) -> None:
        """Remember how many entries stay at the right end, and the last of them."""
        if done < len(chosen):
            self._passed, self._anchor = 0, None  # another operator is here
            return
        gone = set() if self._dry_run else {letter.place for letter in chosen}
        left = [one for n, one in enumerate(ids) if -(self._began_at + n + 1) not in gone]
        if left:
            self._passed += len(left)
            self._anchor = left[-1]

    async def _next_ids(self) -> List[bytes]:
        """Return the next ids from the right, the oldest first, and find the place again."""
        size = self._steps.size
        if self._limit is not None:
            size = max(1, min(size, self._limit - self.counts.done))
        if self._rate is not None:
            size = max(1, min(size, int(self._rate)))
        k = self._passed
        overlap = 1 if self._anchor is not None else 0
        command: Command = (b"LRANGE", self._keys.dead, -(k + size), -(k + 1) + overlap)
        found: List[bytes] = (await self._read([command]))[0][::-1]
        if overlap:
            if not found or found[0] != self._anchor:
                # Others have taken letters away on the right: go back by as many.
                self._passed, self._anchor = await self._found_again(), None
                return await self._next_ids()
            found = found[1:]
        self._began_at = k
        return found

    async def _found_again(self) -> int:
        """Return how many entries stand from the right end to the last that was passed."""
        reads: List[Command] = [
            (b"MULTI",),
            (b"LLEN", self._keys.dead),
            (b"LPOS", self._keys.dead, self._anchor or b"", b"RANK", -1,
             b"MAXLEN", self._passed + 1),
            (b"EXEC",),
        ]  # fmt: skip
        found = (await self._read(reads))[-1]
        return 0 if found is None or found[1] is None else found[0] - found[1]

    async def _read(self, commands: Sequence[Command]) -> List[Any]:
        return await self._deployment.read(commands, "read the dead letters")

    # -- which of a page -------------------------------------------------------------------------

    def _choose(self, ids: Sequence[bytes], documents: Sequence[Optional[bytes]]) -> List[Letter]:
        chosen: List[Letter] = []
        stay: Counter[str] = Counter()
        most = len(ids) if self._limit is None else self._limit - self.counts.done
        for n, (member, document) in enumerate(zip(ids, documents)):
            if len(chosen) >= most:
                break
            kind, job = read_letter(document)
            what = self._refusal(kind, job)
            if what:
                stay[what] += 1
                continue
            target = None
            if self._routes is not None and job is not None:
                target = self._routes.target(job)  # it may refuse to choose
            chosen.append(Letter(-(self._began_at + n + 1), member, document, target))
        more = {**stay, "looked_at": len(chosen) + sum(stay.values())}
        self.counts = replace(
            self.counts,
            **{name: getattr(self.counts, name) + number for name, number in more.items()},
        )
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
            ahead = self._began + self.counts.done / self._rate - loop.time()
            await asyncio.sleep(max(0.0, ahead))
