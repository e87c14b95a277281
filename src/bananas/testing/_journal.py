"""What a local queue knows of its jobs: how they were submitted, and each attempt at them."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Collection, Dict, List, Set, Tuple

from .. import exceptions as exc
from .._wire import UTC, Keys
from ..models import Job
from ._wire import Wire
from .runs import Run
from .strictness import UnknownJobError, no_handler
from .submitted import SubmittedJobs

__all__ = ["Journal"]

_EARLIEST = datetime.min.replace(tzinfo=UTC)


class Journal:
    """Filled by the clients that a local queue gives, and by its worker, from any thread.

    Args:
        names: The names that there are handlers for.
        strict: Whether a job of another name is an error.
    """

    def __init__(self, names: Collection[str], *, strict: bool) -> None:
        self.runs: List[Run] = []
        self._names = names
        self._strict = strict
        self._jobs: Dict[str, Tuple[int, Job]] = {}
        self._unknown: List[str] = []
        self._told = 0
        self._lock = threading.Lock()

    def note_job(self, document: bytes) -> None:
        """Note a job that a client is about to submit.

        Raises:
            UnknownJobError: In strict mode, where there is no handler for it.
        """
        job = Job.from_json(document)
        if self._strict and job.name not in self._names:
            raise UnknownJobError(no_handler(job.name, self._names))
        with self._lock:
            self._jobs.setdefault(job.id, (len(self._jobs), job))

    def note_run(self, run: Run) -> None:
        """Note what became of an attempt."""
        with self._lock:
            self.runs.append(run)
            if self._strict and run.name and run.name not in self._names:
                self._unknown.append(run.name)

    def news(self) -> List[Run]:
        """Return the attempts that were not returned before."""
        with self._lock:
            start, self._told = self._told, len(self.runs)
            return self.runs[start:]

    def raise_unknown(self) -> None:
        """Raise what strict mode has found since the last time.

        Raises:
            UnknownJobError: A worker has taken a job that there is no handler for.
        """
        with self._lock:
            unknown, self._unknown = self._unknown, []
        if unknown:
            raise UnknownJobError(no_handler(unknown[0], self._names))

    async def read_jobs(self, wire: Wire, keys: Keys) -> SubmittedJobs:
        """Return every job that Redis knows, as it was submitted where that was noted."""
        start = keys.job("")
        pattern = keys.everything
        cursor = b"0"
        names: Set[bytes] = set()
        while True:
            [(cursor, some)] = await wire.call(("SCAN", cursor, "MATCH", pattern, "COUNT", 1000))
            names.update(name for name in some if name.startswith(start))
            if int(cursor) == 0:
                break
        ordered = sorted(names)
        documents = (await wire.call(("MGET", *ordered)))[0] if ordered else []
        found: List[Tuple[datetime, int, Job]] = []
        for name, document in zip(ordered, documents):
            noted = self._jobs.get(name[len(start) :].decode("utf-8", "surrogateescape"))
            if noted is not None:
                found.append((noted[1].created_at or _EARLIEST, *noted))
            elif document is not None:
                try:
                    job = Job.from_json(document)
                except exc.SerializationError:
                    continue  # no job that anybody could have submitted with a client
                found.append((job.created_at or _EARLIEST, len(self._jobs), job))
        found.sort(key=lambda entry: entry[:2])
        return SubmittedJobs(job for _, _, job in found)
