"""Server-sent events of a Django view."""

from __future__ import annotations

import asyncio
from typing import Any, AsyncIterator, Dict, Optional

import django
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from .._http import EVENT_HEADERS, BlockingJobEvents, JobEvents, until_termination
from .._types import Seconds
from ._client import get_async_client, get_client

__all__ = ["job_events"]

#: Whether Django ends the response of a caller who has gone, under ASGI.
_TELLS_WHO_LEAVES = django.VERSION >= (5, 0)
#: Where it does not, a stream ends after so many seconds: whoever is there connects again.
_LONGEST = 60.0


async def job_events(
    request: HttpRequest,
    job_id: str,
    *,
    timeout: Optional[Seconds] = None,
    keep_alive: Seconds = 15.0,
    with_result: bool = False,
    show_errors: bool = False,
) -> HttpResponseBase:
    """Return the changes of a job as a stream of server-sent events, until it has ended.

    It is for ``async def`` views under ASGI and WSGI. Under WSGI the stream uses a thread of the
    server until it ends. The name of each event is the kind of a change from ``watch`` (``queued``,
    ``taken``, ``attempt-failed``, ``finished`` …). Its data is the change as JSON. A browser that
    connects again continues where it stopped; after the last event it gets a 204 and stops.

    When the caller disconnects, the watch ends: at once under ASGI from Django 5.0 on, after a
    minute with Django 4.2, and with the next event or comment under WSGI.

    Args:
        request: The request.
        job_id: The job.
        timeout: Limit in seconds, or a timedelta. Then the stream ends with the event ``timeout``.
            None is no limit.
        keep_alive: After this many seconds of silence a comment is sent, so that proxies keep the
            connection, and to find out under WSGI whether the caller has disconnected.
        with_result: True adds the result of a success to the event ``finished``. A number that is
            too large for a double becomes null.
        show_errors: True adds the worker's error text to events.

    Raises:
        JobNotFoundError: There is no such job.
        BananasError: All other errors of ``watch``, before the stream begins.
        ImproperlyConfigured: A setting is not valid.
    """
    options: Dict[str, Any] = {
        "timeout": timeout,
        "keep_alive": keep_alive,
        "last_event_id": request.headers.get("Last-Event-ID"),
        "with_result": with_result,
        "show_errors": show_errors,
        "only_headers": request.method == "HEAD",
    }
    if isinstance(request, ASGIRequest):
        return await _from_loop(JobEvents(get_async_client(), job_id, **options))
    return await _from_thread(BlockingJobEvents(get_client(), job_id, **options))


async def _from_loop(events: JobEvents) -> HttpResponseBase:
    return _response(_chunks(events)) if await events.open() else _no_content()


async def _from_thread(events: BlockingJobEvents) -> HttpResponseBase:
    # An async iterator would be read to its end under WSGI, before anything of it is sent.
    is_open = await sync_to_async(events.open, thread_sensitive=False)()
    return _response(events) if is_open else _no_content()


async def _chunks(events: JobEvents) -> AsyncIterator[bytes]:
    # A generator, since Django closes nothing else; what it forgets, the loop closes.
    try:
        with until_termination() as told:
            stopping: asyncio.Future[Any] = told
            if not _TELLS_WHO_LEAVES:
                stopping = asyncio.ensure_future(asyncio.wait({told}, timeout=_LONGEST))
            try:
                events.stop_with(stopping)
                async for chunk in events:
                    yield chunk
            finally:
                if stopping is not told:
                    stopping.cancel()
    finally:
        await events.aclose()


def _response(stream: Any) -> HttpResponseBase:
    return StreamingHttpResponse(stream, content_type="text/event-stream", headers=EVENT_HEADERS)


def _no_content() -> HttpResponseBase:
    return HttpResponse(status=204)
