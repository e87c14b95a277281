"""Divides the jobs of one submit into the chunks that are sent at once."""

from __future__ import annotations

import os
from typing import AsyncIterator, Callable, Iterable, Iterator, List, Optional

from . import exceptions as exc
from ._argument_checks import kind_of
from ._pipeline import Entry
from .models import JobSpec

__all__ = ["Chunk", "Chunks"]

_JOBS_AT_ONCE = 500
_BYTES_AT_ONCE = 1 << 20


class Chunk:
    """Jobs that are sent at once: those with new ids, and those with ids of the caller's."""

    __slots__ = ("_entropy", "chosen", "fresh", "ids", "now", "size")

    def __init__(self, now: bytes) -> None:
        self.fresh: List[Entry] = []
        self.chosen: List[Entry] = []
        self.ids: List[str] = []
        self.size = 0
        self.now = now
        self._entropy = os.urandom(16 * _JOBS_AT_ONCE)

    def take_entropy(self) -> bytes:
        """Return the random bytes of the next job's id."""
        start = 16 * len(self.ids)
        return self._entropy[start : start + 16]

    def add(self, entry: Entry, *, fresh: bool) -> None:
        """Add a job; ``fresh`` says that its id is new."""
        (self.fresh if fresh else self.chosen).append(entry)
        self.ids.append(entry.job_id)
        self.size += len(entry.document)

    @property
    def is_full(self) -> bool:
        """Whether it takes no more jobs."""
        return len(self.ids) >= _JOBS_AT_ONCE or self.size >= _BYTES_AT_ONCE


class Chunks:
    """Divides jobs into chunks, each of which is checked before it is sent.

    Args:
        new_entry: Checks a new job, and makes its entry.
        stamp: Returns the time of creation of the jobs of a chunk.
    """

    def __init__(self, new_entry: Callable[..., Entry], stamp: Callable[[], bytes]) -> None:
        self._new_entry = new_entry
        self._stamp = stamp
        self._count = 0
        self._begun: Optional[Chunk] = None

    def from_iterable(self, specs: Iterable[JobSpec]) -> Iterator[Chunk]:
        """Yield the chunks of an iterable."""
        for spec in specs:
            full = self._add(spec)
            if full is not None:
                yield full
        if self._begun is not None:
            yield self._begun

    async def from_async_iterator(self, specs: AsyncIterator[JobSpec]) -> AsyncIterator[Chunk]:
        """Yield the chunks of an async iterator."""
        async for spec in specs:
            full = self._add(spec)
            if full is not None:
                yield full
        if self._begun is not None:
            yield self._begun

    def _add(self, spec: JobSpec) -> Optional[Chunk]:
        """Add a job to the chunk; return the chunk if it is full now."""
        chunk, index = self._begun or Chunk(self._stamp()), self._count
        self._begun = chunk
        if spec.__class__ is not JobSpec and not isinstance(spec, JobSpec):
            raise ValueError(f"specs[{index}] must be a JobSpec, not {kind_of(spec)}")
        try:
            entry = self._new_entry(
                spec.name,
                spec.payload,
                spec.priority,
                spec.description,
                spec.scheduled_for,
                spec.job_id,
                spec.routing_key,
                spec.max_retries,
                now=chunk.now,
                entropy=chunk.take_entropy(),
            )
        except exc.SerializationError as error:
            raise exc.SerializationError(f"specs[{index}]: {error}") from error.__cause__
        except ValueError as error:
            raise ValueError(f"specs[{index}]: {error}") from error.__cause__
        chunk.add(entry, fresh=spec.job_id is None)
        self._count += 1
        if not chunk.is_full:
            return None
        self._begun = None
        return chunk
