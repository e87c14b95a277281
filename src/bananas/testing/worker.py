"""WorkerEmulator: does what a Go worker does, with handlers in Python."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from types import TracebackType
from typing import Callable, List, Optional, Sequence, Type, TypeVar

from .. import exceptions as exc
from .._arguments import check_integer, check_routing_key
from .._tasks import cancel_and_wait
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
    """A worker whose every write to Redis, and the order of them, are those of a Go worker.

    In the background: ``async with worker``, or ``start()`` and ``stop()``. Step by step, for a
    test that wants to see what lies between: ``run_one()``, or ``take()`` and then one step at a
    time; end that with ``stop()`` too. One worker belongs to one event loop.

    Args:
        redis_url: Where the queue is.
        key_prefix: What every key starts with.
        routing_keys: The routes to work for; None for the flat lists.
        clock: Tells the time that is written, and that retries are counted from.
        success_ttl: Expiry of a stored success.
        failure_ttl: The same of a failure.
        concurrency: Jobs that run at the same time in the background.
        strict: Whether a job without a handler is a dead letter at once, without retries.
        report: Called with each attempt, once it has run and before Redis knows what it came to.

    Raises:
        ValueError: An argument is refused.
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
        """Move the next id to ``processing`` and read its document; None where nothing waits.

        Raises:
            ConnectionError: Redis can't be reached.
        """
        return await self._take(self._wire)

    async def waiting(self) -> int:
        """Return how many jobs wait in the lists that this worker empties.

        Raises:
            ConnectionError: Redis can't be reached.
        """
        return sum(await self._wire.call(*[("LLEN", name) for name in self._lists]))

    async def run_one(self) -> Optional[Attempt]:
        """Take the next job and carry it out; None where nothing waits."""
        attempt = await self.take()
        if attempt is not None:
            await attempt.finish()
        return attempt

    async def start(self) -> None:
        """Begin to work in the background.

        Raises:
            ConnectionError: Redis can't be reached now; once started, it tries again and again.
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
        """Take no more jobs, and close the connections.

        Args:
            grace: Seconds to wait for handlers that run; then they are left to themselves, and
                their ids in ``processing``.
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
