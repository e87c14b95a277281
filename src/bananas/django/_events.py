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
    """Return a stream of server-sent events that tell what becomes of a job, until it has ended.

    For an ``async def`` view, under ASGI and under WSGI, where the stream takes a thread of the
    server as long as it lasts. Each event has as its name what ``watch`` says has changed
    (``queued``, ``taken``, ``attempt-failed``, ``finished`` …), and as data the change as JSON. A
    browser that connects again goes on where it was, and after the end it is told to stop (204).
    When the caller goes, the watch ends: at once under ASGI since Django 5.0, after a minute with
    Django 4.2, and with the next event or comment under WSGI.

    Args:
        request: The request.
        job_id: The job.
        timeout: Limit in seconds, or a timedelta, after which the stream ends with the event
            ``timeout``; None is no limit.
        keep_alive: Seconds of silence after which a comment is sent, for proxies, and to learn
            under WSGI that the caller has gone.
        with_result: Whether the event ``finished`` has the result of a success; a number beyond a
            double is null there.
        show_errors: Whether events have what the worker recorded of failures.

    Raises:
        JobNotFoundError: There is no such job.
        BananasError: Whatever else ``watch`` raises, before the stream begins.
        ImproperlyConfigured: A setting is refused.
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
