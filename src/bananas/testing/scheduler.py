"""SchedulerEmulator: puts due jobs back on their lists, as the Go scheduler does."""

from __future__ import annotations

import asyncio
import logging
import math
from datetime import datetime, timedelta
from types import TracebackType
from typing import List, Optional, Type, TypeVar

from .. import exceptions as exc
from .._arguments import check_routing_key
from .._tasks import cancel_and_wait
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
    """Looks once a second of its clock for jobs that are due, both scheduled ones and retries.

    In the background: ``async with scheduler``, or ``start()`` and ``stop()``; under a
    ``ManualClock`` it looks again when the test has moved the clock by a second. One look at a
    time: ``move_due()``, ended with ``stop()`` too. One scheduler belongs to one event loop.

    Args:
        redis_url: Where the queue is.
        key_prefix: What every key starts with.
        clock: Tells what is due.
        default_route: Where jobs whose document names no route go: None for the flat lists;
            ``default`` in a deployment with routing.

    Raises:
        ValueError: An argument is refused.
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
        """Queue every job whose score is not above the current whole second.

        The document loses ``scheduled_for`` and nothing else changes in it, neither ``status`` nor
        ``updated_at``. An id whose document is missing or unreadable stays where it is.

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
        """Return when the next job is due after the current second; None where none waits.

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
        """Begin to look in the background.

        Raises:
            ConnectionError: Redis can't be reached now; once started, it tries again and again.
        """
        if self._task is None:
            await self._wire.call(("PING",))
            self._task = asyncio.create_task(self._watch(), name="bananas scheduler")

    async def stop(self) -> None:
        """Look no more, and close the connection."""
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
