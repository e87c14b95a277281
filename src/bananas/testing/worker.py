"""WorkerEmulator: does what a Go worker does, with handlers in Python."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from types import TracebackType
from typing import Callable, List, Optional, Sequence, Type, TypeVar

from .. import exceptions as exc
from .._argument_checks import check_integer, check_routing_key
from .._background_tasks import cancel_and_wait
from .._types import Seconds
from .._wire import Keys
from ._wire import Wire, emulator_settings
from .attempt import Attempt, Rules
from .clock import Clock, SystemClock
from .handlers import Handlers
from .runs import Run

__all__ = ["WorkerEmulator"]

Self = TypeVar("Self", bound="WorkerEmulator")

_logger = logging.getLogger("bananas.testing")

# A Go worker blocks in BRPOPLPUSH. fakeredis wakes no one for another client's push, so look often
# while there is work, and less so when there is none.
_SHORTEST_PAUSE = 0.002
_LONGEST_PAUSE = 0.03
_AFTER_AN_ERROR = 0.5


class WorkerEmulator(Handlers):
    """A worker that writes the same data to Redis as a Go worker, in the same order.

    To run it in the background, write ``async with worker``, or call ``start()`` and ``stop()``. To
    run single jobs, call ``run_one()``. To run single steps of a job, call ``take()``. Call
    ``stop()`` at the end. A worker belongs to one event loop.

    Args:
        redis_url: The URL of Redis.
        key_prefix: The beginning of every key.
        routing_keys: The routes to work for; None means the flat lists.
        clock: The clock for written times and for retries.
        success_ttl: How long Redis keeps a success.
        failure_ttl: The same for a failure.
        concurrency: How many jobs run at the same time in the background.
        strict: True: a job without a handler becomes a dead letter at once, without retries.
        report: Called with each attempt after it has run, before its outcome is written to Redis.

    Raises:
        ValueError: An argument is not valid.
    """

    def __init__(
        self,
        redis_url: str,
        *,
        key_prefix: str = "bananas:",
        routing_keys: Optional[Sequence[str]] = None,
        clock: Optional[Clock] = None,
        success_ttl: Seconds = timedelta(hours=1),
        failure_ttl: Seconds = timedelta(hours=24),
        concurrency: int = 1,
        strict: bool = False,
        report: Optional[Callable[[Run], None]] = None,
    ) -> None:
        super().__init__()
        self._settings = emulator_settings(redis_url, key_prefix, success_ttl, failure_ttl)
        if routing_keys is not None and (isinstance(routing_keys, str) or not routing_keys):
            raise ValueError("routing_keys must be a list of at least one key, or None")
        routes: List[Optional[str]] = [None]
        if routing_keys is not None:
            routes = [check_routing_key(key) for key in routing_keys]
        keys = Keys(key_prefix)
        self._lists = keys.all_ready(routes)
        self._rules = Rules(
            keys=keys,
            clock=SystemClock() if clock is None else clock,
            success_ttl=self._settings.success_ttl,
            failure_ttl=self._settings.failure_ttl,
            strict=strict,
            names=self._handlers.keys(),
            report=(lambda run: None) if report is None else report,
        )
        self._concurrency = check_integer(concurrency, "concurrency", at_least=1)
        self._wire = Wire(self._settings)
        self._tasks: List[asyncio.Task[None]] = []
        self._stopping = False

    def __repr__(self) -> str:
        return f"<WorkerEmulator of {', '.join(sorted(self._handlers)) or 'nothing'}>"

    async def take(self) -> Optional[Attempt]:
        """Move the next id to ``processing`` and read its document; None if no job waits.

        Raises:
            ConnectionError: Redis can't be reached.
        """
        return await self._take(self._wire)

    async def waiting(self) -> int:
        """Return how many jobs wait in the lists of this worker.

        Raises:
            ConnectionError: Redis can't be reached.
        """
        return sum(await self._wire.call(*[("LLEN", name) for name in self._lists]))

    async def run_one(self) -> Optional[Attempt]:
        """Take the next job and run it; None if no job waits."""
        attempt = await self.take()
        if attempt is not None:
            await attempt.finish()
        return attempt

    async def start(self) -> None:
        """Start in the background.

        Raises:
            ConnectionError: Redis can't be reached now. Later it tries again until Redis is back.
        """
        if self._tasks:
            return
        await self._wire.call(("PING",))
        self._stopping = False
        turn = asyncio.Lock()
        self._tasks = [
            asyncio.create_task(self._work(turn), name=f"bananas worker {number}")
            for number in range(self._concurrency)
        ]

    async def stop(self, grace: float = 1.0) -> None:
        """Stop taking jobs, and close the connections.

        Args:
            grace: Seconds to wait for running handlers. After this, their ids stay in
                ``processing``.
        """
        self._stopping = True
        tasks, self._tasks = self._tasks, []
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for task in tasks:
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

    async def _take(self, wire: Wire) -> Optional[Attempt]:
        waiting = await wire.call(*[("LLEN", name) for name in self._lists])
        for name, length in zip(self._lists, waiting):
            if not length:
                continue
            [taken] = await wire.call(("RPOPLPUSH", name, self._rules.keys.processing))
            if taken is not None:
                job_id = taken.decode("utf-8", "surrogateescape")
                [data] = await wire.call(("GET", self._rules.keys.job(job_id)))
                return Attempt(job_id, data, self._handlers.get, self._rules, wire)
        return None

    async def _work(self, turn: asyncio.Lock) -> None:
        """Take and carry out one job after the other; only one task at a time looks for one."""
        wire = Wire(self._settings)
        try:
            while not self._stopping:
                try:
                    async with turn:
                        attempt = await self._next(wire)
                    if attempt is not None:
                        await attempt.finish()
                except (exc.ConnectionError, exc.ServerError) as error:
                    _logger.warning("the worker tries again in %s s: %s", _AFTER_AN_ERROR, error)
                    await asyncio.sleep(_AFTER_AN_ERROR)
        finally:
            await wire.close()

    async def _next(self, wire: Wire) -> Optional[Attempt]:
        """Wait for a job; None when the worker is being stopped."""
        pause = _SHORTEST_PAUSE
        while not self._stopping:
            attempt = await self._take(wire)
            if attempt is not None:
                return attempt
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return None
