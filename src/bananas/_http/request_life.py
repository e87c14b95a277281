"""Calls that end with the request which they are made for."""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, Optional, Set, TypeVar

from .. import exceptions as exc
from .._argument_checks import check_job_id, check_timeout
from .._types import Seconds
from ..client import AsyncClient
from ..models import JobResult

__all__ = ["CallerGoneError", "end_with_request", "wait_for_job"]

T = TypeVar("T")
Gone = Callable[[], Awaitable[object]]
Stopping = Optional["asyncio.Future[Any]"]


class CallerGoneError(Exception):
    """The connection of the request is gone: nobody reads an answer."""


class _StoppingError(Exception):
    """The server is about to stop."""


async def end_with_request(call: Awaitable[T], gone: Gone, stopping: Stopping = None) -> T:
    """Await something until the request has ended; then it is cancelled.

    Args:
        call: What to await.
        gone: What it returns ends when the caller is gone.
        stopping: Is done when the server is about to stop.

    Raises:
        CallerGoneError: The caller is gone; the call was cancelled, and has ended.
        _StoppingError: The server is about to stop; the same.
    """
    answer = asyncio.ensure_future(call)
    left = asyncio.ensure_future(gone())
    ends: Set[asyncio.Future[Any]] = {answer, left}
    if stopping is not None:
        ends.add(stopping)
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        if left.done():
            raise CallerGoneError("the caller has gone")
        raise _StoppingError
    finally:
        await _end(left)
        await _end(answer)


async def wait_for_job(
    client: AsyncClient,
    job_id: str,
    timeout: Optional[Seconds],
    gone: Gone,
    stopping: Stopping = None,
    *,
    cancel_job: bool = False,
) -> JobResult[Any]:
    """Wait for a job that must exist, until the request has ended.

    Args:
        client: The client.
        job_id: The job, as the caller has named it.
        timeout: Limit in seconds, or a timedelta; None is no limit, 0 only looks.
        gone: What it returns ends when the caller is gone.
        stopping: Is done when the server is about to stop, with which the time is over.
        cancel_job: Whether the job is cancelled, too, when the caller is gone.
    """
    limit = check_timeout(timeout)
    checked = known_id(job_id)
    wait = client.wait_for_result(checked, limit, must_exist=True)
    try:
        return await end_with_request(wait, gone, stopping)
    except (CallerGoneError, asyncio.CancelledError):
        if cancel_job:
            client._operating.changes.cancel_later(checked)
        raise
    except _StoppingError:
        where = await client.locate(checked)
        raise exc.TimeoutError(
            f"the server is stopping, job {checked} goes on",
            job_id=checked,
            whereabouts=where.place,
        ) from None


def known_id(job_id: str) -> str:
    """Return an id that a job may have; any other is none of an existing job.

    Raises:
        JobNotFoundError: No job can have it.
    """
    try:
        return check_job_id(job_id)
    except ValueError as error:
        raise exc.JobNotFoundError(f"there is no such job: {error}") from None


async def _end(task: asyncio.Future[Any]) -> None:
    """Cancel a task, let it end, and take note of its outcome."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
