"""Runs the demo: submits its jobs, follows them, and waits for all of them."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from typing import AsyncIterator, Callable, List, Optional, Sequence

from .. import exceptions as exc
from .._wire import Keys
from ..client import AsyncClient
from ..location import JobPlace
from ..operating import DeleteOutcome
from ..testing import LocalQueue
from ..testing._wire import Wire, emulator_settings
from .demo_jobs import HANDLER, DemoJob, Progress, handle, new_jobs

__all__ = ["run_demo"]

Show = Callable[[Sequence[Progress]], None]

_LOOK_EVERY = 0.1
# A worker rewrites a document after it has announced the result.
_SETTLED_WITHIN = 3.0


async def run_demo(
    redis_url: Optional[str],
    *,
    worker: bool,
    timeout: float,
    started: Callable[[str], None],
    show: Show,
) -> List[Progress]:
    """Run the demo, and return what became of each job.

    Args:
        redis_url: The Redis to use; None starts an embedded broker.
        worker: Whether to work on the jobs here. On a Redis that was given this is done under a
            key prefix of its own, so that it takes nobody's jobs and nobody takes the demo's; what
            is there in the end is deleted. Without it, jobs that no worker takes are taken back.
        timeout: Limit of all waits, in seconds.
        started: Called with the URL once there is a connection.
        show: Called with all rows, some of which may have changed.

    Raises:
        BananasError: Redis can't be reached, or refuses.
        ValueError: The URL is refused.
        ImportError: fakeredis is needed and not installed.

    Cancelling it ends the waits, and cleans up as its end does.
    """
    if redis_url is not None and not worker:
        async with AsyncClient(redis_url) as client:
            started(redis_url)
            jobs = new_jobs(datetime.now(timezone.utc))
            return await _run_jobs(client, jobs, show, timeout, expect_data=False)
    prefix = "bananas:" if redis_url is None else f"bananas:demo-{uuid.uuid4().hex[:8]}:"
    async with _clean(redis_url, prefix) as jobs:
        async with LocalQueue(redis_url, key_prefix=prefix) as queue:
            queue.handle(HANDLER, handle)
            async with AsyncClient(queue.url, key_prefix=prefix) as client:
                started(queue.url)
                jobs += new_jobs(datetime.now(timezone.utc))
                return await _run_jobs(client, jobs, show, timeout, expect_data=True)


@asynccontextmanager
async def _clean(redis_url: Optional[str], prefix: str) -> AsyncIterator[List[DemoJob]]:
    """Delete in the end what stands under the demo's own prefix; an embedded broker forgets it.

    Yields a list for the jobs that may be there.
    """
    jobs: List[DemoJob] = []
    try:
        yield jobs
    finally:
        if redis_url is not None and jobs:
            await _delete(redis_url, Keys(prefix), [job.job_id for job in jobs], prefix)


async def _delete(redis_url: str, keys: Keys, job_ids: Sequence[str], prefix: str) -> None:
    names = [*keys.all_ready([None]), keys.scheduled, keys.processing, keys.dead]
    for job_id in job_ids:
        names += [keys.job(job_id), keys.result(job_id)]
    wire = Wire(emulator_settings(redis_url, prefix))
    try:
        await wire.call(("DEL", *names))
    finally:
        await wire.close()


async def _run_jobs(
    client: AsyncClient, jobs: Sequence[DemoJob], show: Show, timeout: float, *, expect_data: bool
) -> List[Progress]:
    rows = [Progress(job) for job in jobs]
    ids = await client.submit_jobs([job.spec for job in jobs])
    start = time.monotonic()
    waits = [asyncio.ensure_future(_wait(client, row, start, timeout)) for row in rows]
    try:
        show(rows)
        while not all(wait.done() for wait in waits):
            await asyncio.wait(waits, timeout=_LOOK_EVERY)
            await _look(client, [row for row in rows if row.ended_at is None])
            show(rows)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        if not expect_data:
            left = [row for row in rows if row.waits_for_a_worker]
            await asyncio.gather(*(_take_back(client, row) for row in left))
    await _settle(client, [row for row in rows if row.result is not None])
    for row, stored in zip(rows, await client.get_results(ids)):
        row.judge(stored, expect_data=expect_data)
    return rows


async def _wait(client: AsyncClient, row: Progress, start: float, timeout: float) -> None:
    try:
        row.result = await client.wait_for_result(row.job.job_id, timeout)
        row.where = str(row.result.status)
    except exc.TimeoutError as error:
        row.where = str(error.whereabouts or "unknown")
        row.problems.append(f"no result after {timeout:g} s, it is {row.where}")
    except exc.BananasError as error:
        row.where = "unknown"
        row.problems.append(str(error))
    row.seconds = time.monotonic() - start
    row.ended_at = datetime.now(timezone.utc)


async def _take_back(client: AsyncClient, row: Progress) -> None:
    """Delete a job that no worker has taken, and that would wait for one forever."""
    try:
        if row.where != "scheduled":  # such a job is left to the scheduler
            await client.cancel(row.job.job_id)
            row.taken_back = await client.delete(row.job.job_id) is DeleteOutcome.DELETED
    except exc.BananasError:
        return  # taken_back stays false, and the demo says so


async def _look(client: AsyncClient, rows: Sequence[Progress]) -> None:
    """Read what can be told of the jobs that have not ended."""
    try:
        documents = await client.get_jobs(row.job.job_id for row in rows)
    except exc.BananasError:
        return  # the waits survive a lost connection, and report other errors
    places = await asyncio.gather(*(_place(client, row.job.job_id) for row in rows))
    for row, document, place in zip(rows, documents, places):
        # The document was read before the place, so it may not count the last failure yet.
        stale = place is JobPlace.RETRYING and (document is None or not document.attempts)
        if row.ended_at is None and not stale:
            row.document = document
            row.where = row.where if place is None else str(place)


async def _place(client: AsyncClient, job_id: str) -> Optional[JobPlace]:
    """Ask the client where a job is; None where it can't tell."""
    try:
        return (await client.locate(job_id)).place
    except exc.BananasError:
        return None


async def _settle(client: AsyncClient, rows: Sequence[Progress]) -> None:
    """Read the documents of jobs that have ended, until they say so too."""
    deadline = time.monotonic() + _SETTLED_WITHIN
    while True:
        for row, document in zip(rows, await client.get_jobs(row.job.job_id for row in rows)):
            row.document = document
        ended = [row.document is not None and row.document.status is row.job.ends for row in rows]
        if all(ended) or time.monotonic() > deadline:
            return
        await asyncio.sleep(_LOOK_EVERY)
