"""The responses of a Starlette application to errors, and about jobs that have not ended."""

from __future__ import annotations

from typing import Optional

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from .. import exceptions as exc
from .._http import Answer, answer_to, log_answer, waiting_answer

__all__ = ["accepted", "install_error_handlers"]

_INTERNAL_ERROR, _TRY_AGAIN_LATER = 1011, 1013


def install_error_handlers(
    app: Starlette,
    *,
    job_route: Optional[str] = None,
    retry_after: int = 5,
    show_errors: bool = False,
) -> None:
    """Turn every error of this package into an answer to the caller.

    The body of an error is problem details (RFC 9457). It never contains the exception's message, a
    host or a payload; the message is logged.

    Args:
        app: The application.
        job_route: The name of the route that reads one job, with the path parameter ``job_id``. The
            header ``Location`` points to it.
        retry_after: Seconds for ``Retry-After``, if trying again can help.
        show_errors: True shows the worker's error text in answers. It may contain anything.
    """

    async def handle(connection: HTTPConnection, error: Exception) -> Response:
        assert isinstance(error, exc.BananasError)
        answer = answer_to(error, retry_after=retry_after, show_errors=show_errors)
        log_answer(error, answer)
        if isinstance(connection, WebSocket):
            may_retry = "Retry-After" in answer.headers
            await connection.close(_TRY_AGAIN_LATER if may_retry else _INTERNAL_ERROR)
            return Response()  # sent to nobody
        return _response(connection, answer)

    app.state.bananas_job_route = job_route
    app.add_exception_handler(exc.BananasError, handle)  # type: ignore[arg-type,unused-ignore]


def accepted(request: Request, job_id: str, *, job_route: Optional[str] = None) -> Response:
    """Return the answer for a queued job: 202, with the job's URL in ``Location``.

    Args:
        request: The request.
        job_id: The job.
        job_route: The name of the route that reads one job, with the path parameter ``job_id``.
            None uses the one of ``install_error_handlers``.
    """
    return _response(request, waiting_answer(job_id), job_route)


def _response(
    connection: HTTPConnection, answer: Answer, job_route: Optional[str] = None
) -> Response:
    body, headers = answer.body, dict(answer.headers)
    location = _location(connection, answer.location_of, job_route)
    if location is not None:
        headers["Location"] = location
        body = {**body, "location": location}
    return JSONResponse(body, answer.status, headers, answer.media_type)


def _location(
    connection: HTTPConnection, job_id: Optional[str], job_route: Optional[str]
) -> Optional[str]:
    """Return the path of a job's URL; the one of the request itself, if it is about that job."""
    if job_id is None:
        return None
    if connection.path_params.get("job_id") == job_id and connection.scope["method"] == "GET":
        return connection.url.path
    route = job_route
    for state in (connection.state, connection.app.state):
        route = route or getattr(state, "bananas_job_route", None)
    return None if route is None else connection.url_for(route, job_id=job_id).path
