"""Waits of a Starlette application that end with the request."""

from __future__ import annotations

import functools
from typing import Any, Awaitable, Optional, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from .. import _http
from .._http import CallerGoneError, end_with_request
from .._types import Seconds
from ..models import JobResult
from .client import client_of, stopping_of

__all__ = ["wait_for_job", "while_connected"]

T = TypeVar("T")

# Nobody reads this answer: nginx's word for it, which keeps it out of the counts of errors.
_CALLER_GONE = 499


async def wait_for_job(
    request: Request,
    job_id: str,
    timeout: Optional[Seconds] = 10.0,
    *,
    cancel_job: bool = False,
    job_route: Optional[str] = None,
) -> JobResult[Any]:
    """Wait for a job until it has ended, the time is over, or the caller has gone.

    With ``install_error_handlers``, the answer to a wait that is over is 202 with the place of the
    job, and its URL in ``Location``; to an unknown job, 404; to a result that is gone, 410.

    Args:
        request: The request.
        job_id: The job.
        timeout: Limit in seconds, or a timedelta; None is no limit, 0 only looks.
        cancel_job: Whether the job is cancelled, too, if the caller goes and no worker has taken
            it yet.
        job_route: The name of the job's route, if it isn't that of ``install_error_handlers``.

    Returns:
        The result of a success or of a final failure.

    Raises:
        TimeoutError: The time is over, or the server is stopping. The job goes on.
        JobNotFoundError: There is no such job.
        HTTPException: With status 499, which nobody reads: the caller has gone.
        BananasError: Whatever else ``wait_for_result`` raises.

    Cancelling it ends the wait, and the job, if ``cancel_job`` is true.
    """
    if job_route is not None:
        request.state.bananas_job_route = job_route
    stopping = stopping_of(request)
    client = client_of(request)
    gone = functools.partial(_disconnected, request)
    try:
        return await _http.wait_for_job(
            client, job_id, timeout, gone, stopping, cancel_job=cancel_job
        )
    except CallerGoneError:
        raise HTTPException(_CALLER_GONE, "the caller has gone") from None


async def while_connected(request: Request, call: Awaitable[T]) -> T:
    """Await something, and cancel it when the caller has gone.

    Args:
        request: The request. Its body is read first, if it has not been read.
        call: A coroutine, such as ``client.submit_and_wait(..., on_timeout="cancel")``.

    Raises:
        HTTPException: With status 499, which nobody reads: the caller has gone.
    """
    try:
        return await end_with_request(call, functools.partial(_disconnected, request))
    except CallerGoneError:
        raise HTTPException(_CALLER_GONE, "the caller has gone") from None


async def _disconnected(request: Request) -> None:
    """Return when the caller has gone."""
    try:
        await request.body()  # kept by the request, for whoever reads it later
    except ClientDisconnect:
        return
    except RuntimeError:
        pass  # the body has been read as a stream
    while (await request.receive())["type"] != "http.disconnect":
        pass
