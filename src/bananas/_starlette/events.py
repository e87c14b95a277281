"""Server-sent events of a Starlette application."""

from __future__ import annotations

from typing import Optional

import anyio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from .._http import EVENT_HEADERS, JobEvents
from .._types import Seconds
from .client import client_of, stopping_of

__all__ = ["job_events"]


async def job_events(
    request: Request,
    job_id: str,
    *,
    timeout: Optional[Seconds] = None,
    keep_alive: Seconds = 15.0,
    with_result: bool = False,
    show_errors: bool = False,
) -> Response:
    """Return a stream of server-sent events that tell what becomes of a job, until it has ended.

    Each event has as its name what ``watch`` says has changed (``queued``, ``taken``,
    ``attempt-failed``, ``finished`` …), and as data the change as JSON. A browser that connects
    again goes on where it was, and after the end it is told to stop (204). When the caller goes,
    the watch ends.

    Args:
        request: The request.
        job_id: The job.
        timeout: Limit in seconds, or a timedelta, after which the stream ends with the event
            ``timeout``; None is no limit.
        keep_alive: Seconds of silence after which a comment is sent, for proxies.
        with_result: Whether the event ``finished`` has the result of a success; a number beyond a
            double is null there.
        show_errors: Whether events have what the worker recorded of failures.

    Raises:
        JobNotFoundError: There is no such job.
        BananasError: Whatever else ``watch`` raises, before the stream begins.
    """
    events = JobEvents(
        client_of(request),
        job_id,
        timeout=timeout,
        keep_alive=keep_alive,
        last_event_id=request.headers.get("last-event-id"),
        stopping=stopping_of(request),
        with_result=with_result,
        show_errors=show_errors,
        only_headers=request.method == "HEAD",
    )
    return _EventStream(events) if await events.open() else Response(status_code=204)


class _EventStream(StreamingResponse):
    """Sends events, and ends with the connection whichever version of ASGI the server speaks."""

    media_type = "text/event-stream"

    def __init__(self, events: JobEvents) -> None:
        super().__init__(events, headers=EVENT_HEADERS)
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watch_connection() -> None:
            await self.listen_for_disconnect(receive)
            group.cancel_scope.cancel()

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(watch_connection)
                try:
                    await self.stream_response(send)
                except OSError:
                    pass  # the caller has gone
                group.cancel_scope.cancel()
        finally:
            await self._events.aclose()
