"""Bananas in aiohttp servers: one client for each application, and HTTP answers to its errors."""

from __future__ import annotations

import asyncio
import functools
from contextvars import ContextVar
from typing import Any, AsyncIterator, Awaitable, Callable, Optional, TypeVar, Union

from ._missing_extras import missing_extra

try:
    from aiohttp import web
    from aiohttp.typedefs import Handler, Middleware
except ModuleNotFoundError as _error:
    raise missing_extra("bananas.aiohttp", str(_error.name), "aiohttp") from None

from . import _http
from . import exceptions as exc
from ._http import (
    EVENT_HEADERS,
    Answer,
    CallerGoneError,
    IdempotencyKeyReusedError,
    JobEvents,
    answer_to,
    end_with_request,
    hashed_job_id,
    log_answer,
    submit_once,
    waiting_answer,
)
from ._types import Seconds
from .client import AsyncClient
from .models import JobResult

__all__ = [
    "CLIENT",
    "IdempotencyKeyReusedError",
    "accepted",
    "bananas_context",
    "client_of",
    "error_middleware",
    "idempotent_job_id",
    "job_events",
    "submit_once",
    "wait_for_job",
    "while_connected",
]

T = TypeVar("T")

#: The key of the client: ``request.config_dict[CLIENT]``, also in mounted applications.
CLIENT: web.AppKey[AsyncClient] = web.AppKey("bananas_client", AsyncClient)
_STOPPING: web.AppKey[asyncio.Future[None]] = web.AppKey("bananas_stopping", asyncio.Future)

# The route of the jobs of the request at hand; not every version has typed keys for requests.
_job_route: ContextVar[Optional[str]] = ContextVar("bananas_job_route", default=None)
# Nothing tells a handler that its connection is lost.
_LOOK_AGAIN = 0.25
_LONGEST_KEY = 255


class _CallerGone(web.HTTPClientError):
    """The answer that nobody reads, in nginx's word for it."""

    status_code = 499


# -- the client ----------------------------------------------------------------------------------


def bananas_context(
    make_client: Callable[[], AsyncClient] = AsyncClient, *, connect: bool = True
) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return a cleanup context that opens a client at the start, and closes it at the end.

    Write ``app.cleanup_ctx.append(bananas_context())``. When the server stops, event streams end
    and waits are answered with 202 at once.

    Args:
        make_client: A function that is called at each start. By default it makes a client for
            ``BANANAS_REDIS_URL``, or else for ``redis://localhost:6379``.
        connect: True: the start fails if Redis can't be reached. False: the first call connects.
    """

    async def context(app: web.Application) -> AsyncIterator[None]:
        stopping = asyncio.get_running_loop().create_future()

        async def stop(_: web.Application) -> None:
            if not stopping.done():
                stopping.set_result(None)

        client = make_client()
        try:
            if connect:
                await client.connect()
            app[CLIENT], app[_STOPPING] = client, stopping
            if not app.on_shutdown.frozen:  # it is in an application that is mounted
                app.on_shutdown.append(stop)
            yield
            await stop(app)
        finally:
            await client.close()

    return context


def client_of(request: web.Request) -> AsyncClient:
    """Return the open client of a request's application, or of the application that contains it.

    Raises:
        RuntimeError: No client is open.
    """
    client: Optional[AsyncClient] = request.config_dict.get(CLIENT)
    if client is None:
        raise RuntimeError(
            "the application has no open client: write app.cleanup_ctx.append(bananas_context())"
        )
    return client


# -- errors --------------------------------------------------------------------------------------


def error_middleware(
    *, job_route: Optional[str] = None, retry_after: int = 5, show_errors: bool = False
) -> Middleware:
    """Return a middleware that turns every error of this package into an answer.

    Write ``web.Application(middlewares=[error_middleware()])``. The body of an error is problem
    details (RFC 9457). It never contains the exception's message, a host or a payload; the message
    is logged.

    Args:
        job_route: The name of the route that reads one job, with ``{job_id}`` in its path. The
            header ``Location`` points to it.
        retry_after: Seconds for ``Retry-After``, if trying again can help.
        show_errors: True shows the worker's error text in answers. It may contain anything.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        token = _job_route.set(job_route)
        try:
            return await handler(request)
        except exc.BananasError as error:
            if request.writer.output_size > 0:
                raise  # an answer is on its way, or it is a WebSocket
            answer = answer_to(error, retry_after=retry_after, show_errors=show_errors)
            log_answer(error, answer)
            return _response(request, answer)
        finally:
            _job_route.reset(token)

    return middleware


def accepted(request: web.Request, job_id: str, *, job_route: Optional[str] = None) -> web.Response:
    """Return the answer for a queued job: 202, with the job's URL in ``Location``.

    Args:
        request: The request.
        job_id: The job.
        job_route: The name of the route that reads one job, with ``{job_id}`` in its path. None
            uses the one of ``error_middleware``.
    """
    return _response(request, waiting_answer(job_id), job_route)


def _response(
    request: web.Request, answer: Answer, job_route: Optional[str] = None
) -> web.Response:
    body, headers = answer.body, dict(answer.headers)
    location = _location(request, answer.location_of, job_route)
    if location is not None:
        headers["Location"] = location
        body = {**body, "location": location}
    return web.json_response(
        body, status=answer.status, headers=headers, content_type=answer.media_type
    )


def _location(
    request: web.Request, job_id: Optional[str], job_route: Optional[str]
) -> Optional[str]:
    """Return the path of a job's URL; the one of the request itself, if it is about that job."""
    if job_id is None:
        return None
    if request.match_info.get("job_id") == job_id and request.method == "GET":
        return request.path
    route = job_route or _job_route.get()
    return None if route is None else str(request.app.router[route].url_for(job_id=job_id))


# -- once for each idempotency key ---------------------------------------------------------------


def idempotent_job_id(
    request: web.Request,
    *,
    tenant: str,
    route: Optional[str] = None,
    secret: Union[str, bytes] = b"",
) -> Optional[str]:
    """Return a job id that is made from a request's ``Idempotency-Key``, for ``submit_once``.

    It is a hash. With the key itself as id, a caller could read the result of another caller.

    Args:
        request: The request.
        tenant: The account of the authenticated caller.
        route: The operation that the key is for. None uses the method and the path of the request.
        secret: A secret of the application. Without it, others can compute the id from tenant and
            key, so the application must check who may read a job.

    Returns:
        The id; None if there is no key.

    Raises:
        HTTPUnprocessableEntity: The key is empty, or longer than 255 characters.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 0 < len(key) <= _LONGEST_KEY:
        raise web.HTTPUnprocessableEntity(text="Idempotency-Key must have 1 to 255 characters")
    place = f"{request.method} {request.path}" if route is None else route
    return hashed_job_id(key, tenant=tenant, route=place, secret=secret)


# -- waiting -------------------------------------------------------------------------------------


async def wait_for_job(
    request: web.Request,
    job_id: str,
    timeout: Optional[Seconds] = 10.0,
    *,
    cancel_job: bool = False,
    job_route: Optional[str] = None,
) -> JobResult[Any]:
    """Wait for a job until it has ended, the time is over, or the caller has disconnected.

    With ``error_middleware``, the answer is 202 if the time is over, with the job's place and its
    URL in ``Location``. It is 404 for an unknown job, and 410 if the result has expired.

    Args:
        request: The request.
        job_id: The job.
        timeout: Limit in seconds, or a timedelta. None is no limit, 0 only looks.
        cancel_job: True also cancels the job if the caller disconnects and no worker has taken it
            yet.
        job_route: The name of the job's route, if it is not the one of ``error_middleware``.

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
        _job_route.set(job_route)
    client, gone = client_of(request), functools.partial(_disconnected, request)
    stopping = request.config_dict.get(_STOPPING)
    try:
        return await _http.wait_for_job(
            client, job_id, timeout, gone, stopping, cancel_job=cancel_job
        )
    except CallerGoneError:
        raise _CallerGone from None


async def while_connected(request: web.Request, call: Awaitable[T]) -> T:
    """Await a call, and cancel it when the caller disconnects.

    Args:
        request: The request.
        call: A coroutine, such as ``client.submit_and_wait(..., on_timeout="cancel")``.

    Raises:
        HTTPException: The caller has disconnected. The status is 499, and nobody reads it.
    """
    try:
        return await end_with_request(call, functools.partial(_disconnected, request))
    except CallerGoneError:
        raise _CallerGone from None


async def _disconnected(request: web.Request) -> None:
    """Return when the caller has gone."""
    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_AGAIN)


# -- server-sent events --------------------------------------------------------------------------


async def job_events(
    request: web.Request,
    job_id: str,
    *,
    timeout: Optional[Seconds] = None,
    keep_alive: Seconds = 15.0,
    with_result: bool = False,
    show_errors: bool = False,
) -> web.StreamResponse:
    """Send the changes of a job as server-sent events, until it has ended.

    The name of each event is the kind of a change from ``watch`` (``queued``, ``taken``,
    ``attempt-failed``, ``finished`` …). Its data is the change as JSON. A browser that connects
    again continues where it stopped; after the last event it gets a 204 and stops. When the caller
    disconnects, the watch ends.

    Args:
        request: The request.
        job_id: The job.
        timeout: Limit in seconds, or a timedelta. Then the stream ends with the event ``timeout``.
            None is no limit.
        keep_alive: After this many seconds of silence a comment is sent, so that proxies keep the
            connection.
        with_result: True adds the result of a success to the event ``finished``. A number that is
            too large for a double becomes null.
        show_errors: True adds the worker's error text to events.

    Returns:
        The response, which has been sent.

    Raises:
        JobNotFoundError: There is no such job.
        BananasError: All other errors of ``watch``, before the stream begins.
    """
    events = JobEvents(
        client_of(request),
        job_id,
        timeout=timeout,
        keep_alive=keep_alive,
        last_event_id=request.headers.get("Last-Event-ID"),
        stopping=request.config_dict.get(_STOPPING),
        with_result=with_result,
        show_errors=show_errors,
        only_headers=request.method == "HEAD",
    )
    if not await events.open():
        return web.Response(status=204)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **EVENT_HEADERS})
    sending = _send(events, response, request)
    try:
        await end_with_request(sending, functools.partial(_disconnected, request))
    except (CallerGoneError, ConnectionResetError):
        pass  # nobody reads on
    finally:
        await events.aclose()
    return response


async def _send(events: JobEvents, response: web.StreamResponse, request: web.Request) -> None:
    await response.prepare(request)
    async for chunk in events:
        await response.write(chunk)
    await response.write_eof()
