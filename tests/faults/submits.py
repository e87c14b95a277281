"""The ways to submit, and to be cut off, so that one test covers them all."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Awaitable, Callable, Dict, List, Optional, Tuple

from bananas import AsyncClient, JobPriority, JobSpec
from bananas import exceptions as exc
from tests.support import Cut, CutAfterBytes
from tests.support.faults import Action

__all__ = ["CUTS", "WAYS", "Way", "refused_at_the_deadline"]

_numbers = itertools.count(1)

Way = Callable[[AsyncClient, Optional[str]], Awaitable[List[str]]]


def _chosen_id() -> str:
    return f"order-{next(_numbers)}"


async def _single(client: AsyncClient, job_id: Optional[str] = None) -> List[str]:
    return [await client.submit_job("work", {"number": 1}, job_id=job_id)]


async def _scheduled(client: AsyncClient, job_id: Optional[str] = None) -> List[str]:
    due = timedelta(hours=1)
    job = client.submit_job_scheduled("work", [1], JobPriority.LOW, due, job_id=job_id)
    return [await job]


async def _routed(client: AsyncClient, job_id: Optional[str] = None) -> List[str]:
    return [await client.submit_job("work", "text", job_id=job_id, routing_key="gpu")]


async def _idempotent(client: AsyncClient, job_id: Optional[str] = None) -> List[str]:
    job_id = job_id or _chosen_id()
    return [await client.submit_job("work", 1, JobPriority.HIGH, job_id=job_id)]


async def _batch(client: AsyncClient, job_id: Optional[str] = None) -> List[str]:
    """Seven jobs of every kind; with an id, the one that had it, again."""
    if job_id is not None:
        return await _single(client, job_id)
    specs = [JobSpec("work", number, priority) for number, priority in enumerate(JobPriority)]
    specs += [JobSpec("work", None, scheduled_for=timedelta(hours=hours)) for hours in (1, 2)]
    specs += [JobSpec("work", None, job_id=_chosen_id()) for _ in range(2)]
    return await client.submit_jobs(specs)


#: By name: submits something, or the job of this id again, and returns the ids.
WAYS: Dict[str, Way] = {
    "single": _single,
    "scheduled": _scheduled,
    "routed": _routed,
    "idempotent": _idempotent,
    "batch": _batch,
}

#: By name: the command of a transaction that a connection is cut at, and how.
CUTS: Dict[str, Tuple[bytes, Action]] = {
    "before": (b"MULTI", Cut(before=True)),
    "after one byte": (b"MULTI", CutAfterBytes(1)),
    "inside the document": (b"MSET", CutAfterBytes(60)),
    "one byte short": (b"EXEC", CutAfterBytes(13)),
    "after EXEC": (b"EXEC", Cut()),
    "reset after EXEC": (b"EXEC", Cut(reset=True)),
    "client's side after EXEC": (b"EXEC", Cut(side="client")),
}


async def refused_at_the_deadline(client: AsyncClient, submit: Way) -> exc.JobRejectedError:
    """Submit what the server refuses for now, and return the error.

    An attempt that is under way just at the deadline leaves the outcome unknown. That must be rare:
    on a client that says so each time, this fails.
    """
    for _ in range(4):
        try:
            await submit(client, None)
        except exc.JobRejectedError as error:
            return error
        except exc.OutcomeUnknownError:
            continue
        raise AssertionError("the job was not refused")
    raise AssertionError("the outcome is unknown each time")
