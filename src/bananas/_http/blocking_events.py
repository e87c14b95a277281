"""The same events for servers that give each request a thread."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Optional

from .. import exceptions as exc
from ..client import AsyncClient
from ..sync import Client
from .events import JobEvents

__all__ = ["BlockingJobEvents"]


class BlockingJobEvents:
    """An iterator over the bytes of an event stream, for a WSGI server.

    Each piece is fetched in a call of its own, which takes ``keep_alive`` seconds at most. A server
    closes it when it can't send the last piece any more.

    Args:
        client: The client.
        job_id: The job, as the caller has named it.
        options: As ``JobEvents`` has them.
    """

    def __init__(self, client: Client, job_id: str, **options: Any) -> None:
        self._client = client
        self._make: Callable[[AsyncClient], JobEvents] = lambda inner: JobEvents(
            inner, job_id, **options
        )
        self._events: Optional[JobEvents] = None

    def open(self) -> bool:
        """Look at the job; return whether there is anything to tell; see ``JobEvents.open``."""

        async def begin(client: AsyncClient) -> bool:
            self._events = self._make(client)
            return await self._events.open()

        return self._client._run(begin)

    def __iter__(self) -> BlockingJobEvents:
        return self

    def __next__(self) -> bytes:
        events = self._events
        if events is None:
            raise StopIteration
        found = self._client._run(lambda _: _next(events))
        if found is None:
            raise StopIteration
        return found

    def close(self) -> None:
        """End the watch; a server calls it however a response ends."""
        events, self._events = self._events, None
        if events is not None:
            with contextlib.suppress(exc.ClientClosedError):
                self._client._run(lambda _: events.aclose())


async def _next(events: JobEvents) -> Optional[bytes]:
    try:
        return await events.__anext__()
    except StopAsyncIteration:  # it can't leave a coroutine
        return None
