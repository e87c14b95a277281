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
    """Return the changes of a job as a stream of server-sent events, until it has ended.

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

    Raises:
        JobNotFoundError: There is no such job.
        BananasError: All other errors of ``watch``, before the stream begins.
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
