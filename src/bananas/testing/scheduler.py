"""SchedulerEmulator: puts due jobs back on their lists, as the Go scheduler does."""

from __future__ import annotations

import asyncio
import logging
import math
from datetime import datetime, timedelta
from types import TracebackType
from typing import List, Optional, Type, TypeVar

from .. import exceptions as exc
from .._argument_checks import check_routing_key
from .._background_tasks import cancel_and_wait
from .._wire import UTC, Keys
from ._documents import Document
from ._wire import Wire, emulator_settings
from .clock import Clock, SystemClock

__all__ = ["SchedulerEmulator"]

Self = TypeVar("Self", bound="SchedulerEmulator")

_logger = logging.getLogger("bananas.testing")

_INTERVAL = timedelta(seconds=1)
_AFTER_AN_ERROR = 0.5


class SchedulerEmulator:
    """Queues the scheduled jobs and retries that are due, once in each second of its clock.

    To run it in the background, write ``async with scheduler``, or call ``start()`` and ``stop()``.
    With a ``ManualClock`` it looks again when the test has moved the clock by a second. To look
    once, call ``move_due()``, and ``stop()`` at the end. A scheduler belongs to one event loop.

    Args:
        redis_url: The URL of Redis.
        key_prefix: The beginning of every key.
        clock: The clock that decides which jobs are due.
        default_route: The route of jobs without a route in their document. None means the flat
            lists; use ``default`` for a server with routing.

    Raises:
        ValueError: An argument is not valid.
    """

    def __init__(
        self,
        redis_url: str,
        *,
        key_prefix: str = "bananas:",
        clock: Optional[Clock] = None,
        default_route: Optional[str] = None,
    ) -> None:
        self._wire = Wire(emulator_settings(redis_url, key_prefix))
        self._keys = Keys(key_prefix)
        self._clock: Clock = SystemClock() if clock is None else clock
        self._default_route = check_routing_key(default_route, "default_route")
        self._task: Optional[asyncio.Task[None]] = None

    async def move_due(self) -> List[str]:
        """Queue every job that is due in the current second or before.

        It removes ``scheduled_for`` from the document and changes nothing else in it. If a document
        is missing or unreadable, the id stays among the scheduled jobs.

        Returns:
            The ids that were moved, in the order in which they were due.

        Raises:
            ConnectionError: Redis can't be reached.
        """
        now = int(self._clock.now().timestamp())
        [due] = await self._wire.call(("ZRANGEBYSCORE", self._keys.scheduled, "-inf", now))
        ids = [name.decode("utf-8", "surrogateescape") for name in due]
        return [job_id for job_id in ids if await self._move(job_id)]

    async def _move(self, job_id: str) -> bool:
        [data] = await self._wire.call(("GET", self._keys.job(job_id)))
        if data is None:
            return False
        try:
            document = Document(data)
        except ValueError:
            return False
        document.schedule(None)
        job = document.job
        ready = self._keys.ready(job.priority, job.routing_key or self._default_route)
        await self._wire.call(
            ("SET", self._keys.job(job_id), document.to_json()),
            ("LPUSH", ready, job_id),
            ("ZREM", self._keys.scheduled, job_id),
        )
        return True

    async def next_due(self) -> Optional[datetime]:
        """Return when the next job is due after the current second; None if there is none.

        Raises:
            ConnectionError: Redis can't be reached.
        """
        after = f"({int(self._clock.now().timestamp())}"
        [found] = await self._wire.call(
            ("ZRANGEBYSCORE", self._keys.scheduled, after, "+inf", "WITHSCORES", "LIMIT", 0, 1)
        )
        if not found:
            return None
        try:
            return datetime.fromtimestamp(math.ceil(float(found[1])), UTC)
        except (OverflowError, ValueError, OSError):
            return datetime.max.replace(tzinfo=UTC)

    async def start(self) -> None:
        """Start in the background.

        Raises:
            ConnectionError: Redis can't be reached now. Later it tries again until Redis is back.
        """
        if self._task is None:
            await self._wire.call(("PING",))
            self._task = asyncio.create_task(self._watch(), name="bananas scheduler")

    async def stop(self) -> None:
        """Stop, and close the connection."""
        task, self._task = self._task, None
        if task is not None:
            await cancel_and_wait(task)
        await self._wire.close()

    async def __aenter__(self: Self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.stop()

    async def _watch(self) -> None:
        while True:
            # Counted from before the look: a clock that is moved during it is not slept through.
            again = self._clock.now() + _INTERVAL
            try:
                await self.move_due()
            except (exc.ConnectionError, exc.ServerError) as error:
                _logger.warning("the scheduler tries again in %s s: %s", _AFTER_AN_ERROR, error)
                await asyncio.sleep(_AFTER_AN_ERROR)
                continue
            await self._clock.sleep_until(again)
