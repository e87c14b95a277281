"""A submit of many jobs: sends them chunk by chunk, and tells what became of each."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import (
    AsyncIterable,
    AsyncIterator,
    Iterable,
    List,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)

from . import exceptions as exc
from ._pipeline import LARGE, AutoPipeline, Entry, NotQueued
from ._submit_chunks import Chunk
from ._types import IfExists

__all__ = ["Submission", "closed_after_error", "raise_refusals"]


class Submission:
    """A submit of many jobs, and what became of each.

    Chunks are made where the caller iterates, and sent from the loop. The next one is made while
    Redis works on the one before, and never more than two are held.

    Args:
        pipeline: Carries the transactions.
        if_exists: Whether a job that exists is an error.
    """

    def __init__(self, pipeline: AutoPipeline, if_exists: IfExists) -> None:
        self.ids: List[str] = []
        self._pipeline = pipeline
        self._if_exists = if_exists
        self._under_way: List[Tuple[List[Entry], asyncio.Future[Optional[NotQueued]]]] = []
        self._refusals: List[NotQueued] = []
        self._failed: Set[str] = set()

    async def run(self, chunks: Union[Iterable[Chunk], AsyncIterable[Chunk]]) -> List[str]:
        """Send all chunks and return the ids; an error tells which jobs were submitted."""
        try:
            if isinstance(chunks, AsyncIterable):
                async for chunk in chunks:
                    await self.send(chunk)
            else:
                for chunk in chunks:
                    await self.send(chunk)
            await self.settle()
        except Exception as error:
            await self.add_facts(error)
            raise
        except BaseException:
            self.abandon()
            raise
        return self.outcome()

    async def send(self, chunk: Chunk) -> None:
        """Send a chunk, and await those before it until two transactions are under way."""
        for entries, idempotent in ((chunk.fresh, False), (chunk.chosen, True)):
            for group in _split_large(entries) if chunk.size > LARGE else [entries]:
                if group:
                    future = self._pipeline.start_submit(group, idempotent=idempotent)
                    self._under_way.append((group, future))
        self.ids.extend(chunk.ids)
        await asyncio.sleep(0)  # lets it be sent before the next one is made
        await self.settle(leave=2)

    async def settle(self, *, leave: int = 0) -> None:
        """Await the oldest transactions until ``leave`` are under way."""
        while len(self._under_way) > leave:
            entries, future = self._under_way[0]
            try:
                outcome = await future
            except exc.BananasError as error:
                self._failed.update(error.job_ids or [entry.job_id for entry in entries])
                del self._under_way[0]
                raise
            del self._under_way[0]
            if outcome is not None:
                self._refusals.append(outcome)

    def abandon(self) -> None:
        """Await nothing more; what was sent goes on."""
        for _, future in self._under_way:
            future.cancel()

    async def add_facts(self, error: Exception) -> None:
        """Await what is under way, and add to an error which jobs were submitted."""
        while self._under_way:
            try:
                await self.settle()
            except exc.BananasError:
                continue  # the first error is the one to be raised; its ids are noted
        self.tell(error)

    def tell(self, error: Exception) -> None:
        """Write into an error of any kind which jobs were submitted."""
        unknown = {entry.job_id for entries, _ in self._under_way for entry in entries}
        failed = self._failed | unknown
        rejected = {entry.job_id for outcome in self._refusals for entry, _ in outcome.rejected}
        done = tuple(i for i in self.ids if i not in failed and i not in rejected)
        try:
            error.submitted = done  # type: ignore[attr-defined]
        except Exception:
            pass  # an error of the caller's own that takes no attributes
        if isinstance(error, exc.BananasError) and failed:
            error.job_ids = tuple(i for i in self.ids if i in failed)

    def outcome(self) -> List[str]:
        """Return the ids, or raise where jobs were refused or exist."""
        if self._refusals:
            raise_refusals(self._refusals, self._if_exists, self.ids)
        return self.ids


@asynccontextmanager
async def closed_after_error(iterator: AsyncIterator[object]) -> AsyncIterator[None]:
    """Close an async generator that is left before its end, and not whenever it is collected."""
    try:
        yield
    except BaseException:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
        raise


def _split_large(entries: Sequence[Entry]) -> List[List[Entry]]:
    """Return the entries with small documents together, and each other entry by itself."""
    groups = [[entry for entry in entries if len(entry.document) <= LARGE]]
    groups.extend([entry] for entry in entries if len(entry.document) > LARGE)
    return groups


def raise_refusals(outcomes: Sequence[NotQueued], if_exists: IfExists, ids: Sequence[str]) -> None:
    """Raise what the caller is to be told of entries that were not queued, if anything."""
    rejected = [pair for outcome in outcomes for pair in outcome.rejected]
    existing = [entry.job_id for outcome in outcomes for entry in outcome.existing]
    if rejected:
        refused = tuple(entry.job_id for entry, _ in rejected)
        entry, reply = rejected[0]
        which = f"job {refused[0]} was" if len(refused) == 1 else f"{len(refused)} jobs were"
        raise exc.JobRejectedError(
            f"{which} refused by Redis, and nothing is queued: "
            f"{reply} (at {entry.target.decode()})",
            job_id=refused[0],
            job_ids=refused,
            submitted=tuple(i for i in ids if i not in set(refused)),
            code=reply.code,
        )
    if existing and if_exists == "raise":
        text = f"{len(existing)} jobs exist already, and were not changed"
        if len(existing) == 1:
            text = f"job {existing[0]} exists already, and was not changed"
        raise exc.JobExistsError(
            text,
            job_id=existing[0],
            job_ids=tuple(existing),
            submitted=tuple(i for i in ids if i not in set(existing)),
        )
