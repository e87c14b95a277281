"""Who waits for which job: pure state, no I/O."""

from __future__ import annotations

import asyncio
from typing import Any, Dict, Iterator, List, Optional

__all__ = ["Waiter", "Waiters"]


class Waiter:
    """One caller's wait for one job.

    Attributes:
        job_id: The job.
        future: Resolved with a ``JobResult``, with None at the deadline, or with the reason why
            none can come.
        tick: When its deadline is, for whoever keeps that; None without one.
        any_attempt: Whether the first stored result will do, though a retry may follow.
        must_exist: Whether a job without document and result ends it.
        looked: Whether a look at the job has been answered since it began.
    """

    __slots__ = ("any_attempt", "future", "job_id", "looked", "must_exist", "tick")

    def __init__(
        self,
        job_id: str,
        future: asyncio.Future[Any],
        *,
        any_attempt: bool,
        must_exist: bool = False,
    ) -> None:
        self.job_id: str = job_id
        self.future: asyncio.Future[Any] = future
        self.any_attempt: bool = any_attempt
        self.must_exist: bool = must_exist
        self.looked: bool = False
        self.tick: Optional[int] = None


class Waiters:
    """All waits of a client, by job."""

    __slots__ = ("_by_job",)

    def __init__(self) -> None:
        self._by_job: Dict[str, List[Waiter]] = {}

    def __len__(self) -> int:
        return len(self._by_job)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._by_job

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_job)

    def add(self, waiter: Waiter) -> bool:
        """Take a waiter in; true if it is the first for its job."""
        waiters = self._by_job.get(waiter.job_id)
        if waiters is None:
            self._by_job[waiter.job_id] = [waiter]
            return True
        waiters.append(waiter)
        return False

    def remove(self, waiter: Waiter) -> None:
        """Let a waiter go, if it is here."""
        waiters = self._by_job.get(waiter.job_id, [])
        if waiter in waiters:
            waiters.remove(waiter)
            if not waiters:
                del self._by_job[waiter.job_id]

    def of(self, job_id: str) -> List[Waiter]:
        """Return those who wait for a job and are not served yet."""
        return [w for w in self._by_job.get(job_id, ()) if not w.future.done()]
