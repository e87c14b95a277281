"""What becomes of a job, as server-sent events."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any, Dict, Optional, Set

from .. import exceptions as exc
from .._argument_checks import check_seconds, check_timeout
from .._types import Seconds
from ..client import AsyncClient, JobChanges
from ..operating import JobChange
from .answers import answer_to, log_answer
from .request_life import Stopping, known_id

__all__ = ["END_OF_EVENTS", "EVENT_HEADERS", "JobEvents"]

#: No proxy may keep events back, or keep them for somebody else.
EVENT_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
#: The id of the last event begins with this. A browser that connects again then gets a 204.
END_OF_EVENTS = "end:"

_KEEP_ALIVE = b": keep-alive\n\n"
# Milliseconds after which a browser connects again.
_RETRY = b"retry: 2000\n\n"


class JobEvents:
    """An async iterator over the bytes of an event stream, which ends when the job has ended.

    Args:
        client: The client.
        job_id: The job, as the caller has named it.
        timeout: Limit in seconds, or a timedelta; None is no limit.
        keep_alive: Seconds of silence after which a comment is sent.
        last_event_id: The id of the last event that the caller has, if it connects again.
        stopping: Is done when the server is about to stop, with which the stream ends.
        with_result: Whether the last event has the job's result.
        show_errors: Whether events have what the worker recorded of failures.
        only_headers: Whether the caller wants no event (HEAD).
    """

    def __init__(
        self,
        client: AsyncClient,
        job_id: str,
        *,
        timeout: Optional[Seconds] = None,
        keep_alive: Seconds = 15.0,
        last_event_id: Optional[str] = None,
        stopping: Stopping = None,
        with_result: bool = False,
        show_errors: bool = False,
        only_headers: bool = False,
    ) -> None:
        self._client = client
        self._job_id = job_id
        self._timeout = check_timeout(timeout)
        self._keep_alive = check_seconds(keep_alive, "keep_alive")
        self._last_id = last_event_id or ""
        self._stopping = stopping
        self._with_result = with_result
        self._show_errors = show_errors
        self._only_headers = only_headers
        self._changes: Optional[JobChanges] = None
        self._step: Optional[asyncio.Future[JobChange]] = None
        self._is_over = False
        self._begun = False

    async def open(self) -> bool:
        """Look at the job; return whether there is anything to tell.

        Raises:
            JobNotFoundError: There is no such job.
            BananasError: Whatever else ``watch`` raises.
        """
        job_id = known_id(self._job_id)
        if self._last_id.startswith(END_OF_EVENTS):
            return False
        self._changes = self._client.watch(job_id, self._timeout)
        self._step = asyncio.ensure_future(self._changes.__anext__())
        try:
            first = await asyncio.shield(self._step)
            if first.kind == "missing":
                raise exc.JobNotFoundError(f"there is no job {job_id}", job_id=job_id)
        except BaseException:
            await self.aclose()
            raise
        return True

    def stop_with(self, stopping: Stopping) -> None:
        """End the stream when this is done."""
        self._stopping = stopping

    def __aiter__(self) -> JobEvents:
        return self

    async def __anext__(self) -> bytes:
        if not self._begun:
            self._begun = True
            if not self._only_headers:
                return _RETRY
            self._is_over = True
        while not self._is_over:
            assert self._changes is not None
            if self._step is None:
                self._step = asyncio.ensure_future(self._changes.__anext__())
            ends: Set[asyncio.Future[Any]] = {self._step}
            if self._stopping is not None:
                ends.add(self._stopping)
            await asyncio.wait(ends, timeout=self._keep_alive, return_when=asyncio.FIRST_COMPLETED)
            if not self._step.done():
                if self._stopping is not None and self._stopping.done():
                    break
                return _KEEP_ALIVE
            step, self._step = self._step, None
            text = self._told(step)
            if text:
                return text
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the watch."""
        self._is_over = True
        step, self._step = self._step, None
        if step is not None:
            step.cancel()
            if step.done() and not step.cancelled():
                step.exception()  # retrieved: nobody is left to
        if self._changes is not None:
            await self._changes.aclose()

    def _told(self, step: asyncio.Future[JobChange]) -> bytes:
        """Return the event of a step that is done; nothing where there is none."""
        try:
            change = step.result()
        except StopAsyncIteration:
            self._is_over = True
            return b""
        except exc.BananasError as error:
            return self._trouble(error)
        ended = change.kind in ("finished", "cancelled", "missing")
        self._is_over = ended
        event_id = _event_id(change, ended)
        before, self._last_id = self._last_id, ""
        return b"" if event_id == before else _event(change.kind, self._data(change), event_id)

    def _trouble(self, error: exc.BananasError) -> bytes:
        """Return what to send after an error; a connection that is lost is made again."""
        is_lost = isinstance(error, exc.ConnectionError) and not error.permanent
        if is_lost or (isinstance(error, exc.TimeoutError) and not error.job_ids):
            return _KEEP_ALIVE
        self._is_over = True
        answer = answer_to(error, show_errors=self._show_errors)
        log_answer(error, answer)
        return _event("timeout" if answer.status == 202 else "problem", answer.body)

    def _data(self, change: JobChange) -> Dict[str, Any]:
        data = change.to_dict()
        if not self._show_errors:
            del data["last_error"]
        if self._with_result and change.result is not None and change.result.is_success:
            data["result"] = change.result.result
        return data


def _event_id(change: JobChange, ended: bool) -> str:
    """Return the same id for the same change, whichever server tells of it."""
    where = change.location
    due = "" if where.due is None else f":{where.due.timestamp():.0f}"
    return f"{END_OF_EVENTS if ended else ''}{_name(change.kind)}:{where.attempts}{due}"


def _name(kind: str) -> str:
    return kind.replace(" ", "-")


def _event(kind: str, data: Dict[str, Any], event_id: str = "") -> bytes:
    """Return an event; JSON text has no line breaks."""
    first = f"id: {event_id}\n" if event_id else ""
    text = json.dumps(_finite(data), allow_nan=False)
    return f"{first}event: {_name(kind)}\ndata: {text}\n\n".encode()


def _finite(value: Any) -> Any:
    """Replace numbers beyond a double by null: no browser reads what ``json`` writes for them."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value
