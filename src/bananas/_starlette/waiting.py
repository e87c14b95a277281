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
    """Wait for a job until it has ended, the time is over, or the caller has disconnected.

    With ``install_error_handlers``, the answer is 202 if the time is over, with the job's place and
    its URL in ``Location``. It is 404 for an unknown job, and 410 if the result has expired.

    Args:
        request: The request.
        job_id: The job.
        timeout: Limit in seconds, or a timedelta. None is no limit, 0 only looks.
        cancel_job: True also cancels the job if the caller disconnects and no worker has taken it
            yet.
        job_route: The name of the job's route, if it is not the one of ``install_error_handlers``.

    Returns:
        The result of a success or of a final failure.

    Raises:
        TimeoutError: The time is over, or the server is stopping. The job goes on.
        JobNotFoundError: There is no such job.
        HTTPException: The caller has disconnected. The status is 499, and nobody reads it.
        BananasError: All other errors of ``wait_for_result``.

    If you cancel the call, the wait ends. With ``cancel_job`` the job is cancelled, too.
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
    """Await a call, and cancel it when the caller disconnects.

    Args:
        request: The request. If its body was not read yet, it is read first.
        call: A coroutine, such as ``client.submit_and_wait(..., on_timeout="cancel")``.

    Raises:
        HTTPException: The caller has disconnected. The status is 499, and nobody reads it.
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
