"""LocalQueue: a whole deployment of the queue inside this process, in one line."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from types import TracebackType
from typing import (
    Any,
    Callable,
    Coroutine,
    List,
    Optional,
    Sequence,
    Type,
    TypeVar,
    Union,
)

from .._argument_checks import check_integer, check_seconds
from .._blocking import LoopThread
from .._daemon_thread import run_in_daemon_thread
from .._types import Seconds
from .._wire import Keys
from ..client import AsyncClient
from ..sync import Client
from ._clients import async_client, blocking_client
from ._journal import Journal
from ._stepping import Steps
from ._wire import Wire, emulator_settings
from .assertions import Assertions
from .clock import Clock, ManualClock, SystemClock
from .embedded import EmbeddedBroker
from .handlers import Handlers
from .runs import Run
from .scheduler import SchedulerEmulator
from .scripts import Handler
from .submitted import SubmittedJobs
from .worker import WorkerEmulator

__all__ = ["LocalQueue"]

Self = TypeVar("Self", bound="LocalQueue")
T = TypeVar("T")

_GRACE = 10.0


class _ClockOf:
    """The clock that a queue has at the time."""

    def __init__(self, queue: LocalQueue) -> None:
        self._queue = queue

    def now(self) -> datetime:
        return self._queue.clock.now()

    async def sleep_until(self, moment: datetime) -> None:
        await self._queue.clock.sleep_until(moment)


class LocalQueue(Assertions, Handlers):
    """An embedded broker, a worker and a scheduler, for tests and demos.

    ```python
    with LocalQueue() as queue:
        queue.handle("add", lambda job: job.payload["a"] + job.payload["b"])
        with queue.client() as client:
            client.submit_and_wait("add", {"a": 1, "b": 2}).get_result()
    ```

    Use it with ``with`` or ``async with``, and with clients of both kinds. In the background, each
    plain handler runs in its own thread, and async handlers run on the event loop of the queue's
    thread. With ``background=False`` jobs run only when you call ``run_until_idle()``: in the
    caller's thread, without waiting for due times.

    Args:
        redis_url: A Redis to use. None starts an embedded broker, which needs the extra
            ``testing``.
        key_prefix: The beginning of every key.
        routing_keys: The routes to work for; None means the flat lists.
        clock: The clock of the worker, the scheduler and the queue's own clients. A ``ManualClock``
            moves only when you move it. The default is the time of this machine, or a
            ``ManualClock`` with ``background=False``.
        success_ttl: How long Redis keeps a success, in real time.
        failure_ttl: The same for a failure.
        concurrency: How many jobs run at the same time in the background.
        background: Whether a worker and a scheduler run in the background.
        strict: True: a job without a handler raises ``UnknownJobError``, when a client of this
            queue submits it, or else in ``run_until_idle()`` and at the end. The job becomes a dead
            letter without retries.

    Attributes:
        clock: The clock that is used now.
    """

    def __init__(
        self,
        redis_url: Optional[str] = None,
        *,
        key_prefix: str = "bananas:",
        routing_keys: Optional[Sequence[str]] = None,
        clock: Optional[Clock] = None,
        success_ttl: Seconds = timedelta(hours=1),
        failure_ttl: Seconds = timedelta(hours=24),
        concurrency: int = 4,
        background: bool = True,
        strict: bool = False,
    ) -> None:
        super().__init__()
        self.clock: Clock = clock or (SystemClock() if background else ManualClock())
        self._given_url = redis_url
        self._key_prefix = key_prefix
        self._background = background
        self._is_in_background = False
        self._broker: Optional[EmbeddedBroker] = None
        self._thread: Optional[LoopThread] = None
        self._worker: Optional[WorkerEmulator] = None
        self._scheduler: Optional[SchedulerEmulator] = None
        self._wire: Optional[Wire] = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._journal = Journal(self._handlers.keys(), strict=strict)
        self._make_worker: Callable[[str], WorkerEmulator] = lambda url: WorkerEmulator(
            url,
            key_prefix=key_prefix,
            routing_keys=routing_keys,
            clock=_ClockOf(self),
            success_ttl=success_ttl,
            failure_ttl=failure_ttl,
            concurrency=concurrency,
            strict=strict,
            report=self._journal.note_run,
        )
        self._default_route = None if routing_keys is None else "default"

    def _make_scheduler(self, url: str) -> SchedulerEmulator:
        return SchedulerEmulator(
            url,
            key_prefix=self._key_prefix,
            clock=_ClockOf(self),
            default_route=self._default_route,
        )

    @property
    def url(self) -> str:
        """The URL for clients. With an embedded broker, it exists only while the queue runs."""
        if self._given_url is not None:
            return self._given_url
        if self._broker is None:
            raise RuntimeError("the local queue is not running: use it in a with statement")
        return self._broker.url

    # -- clients --------------------------------------------------------------------------------

    def _add(self, name: str, handler: Handler) -> None:
        super()._add(name, handler)
        if self._worker is not None:
            self._worker._add(name, handler)

    def client(self, **settings: Any) -> Client:
        """Return a connected blocking client of this queue, which uses the queue's clock.

        Args:
            settings: Arguments of ``Client``, except the URL.
        """
        settings = {"key_prefix": self._key_prefix, **settings}
        return blocking_client(self.url, settings, _ClockOf(self).now, self._journal.note_job)

    def async_client(self, **settings: Any) -> AsyncClient:
        """Return an async client of this queue, not yet connected, which uses the queue's clock.

        Args:
            settings: Arguments of ``AsyncClient``, except the URL.
        """
        settings = {"key_prefix": self._key_prefix, **settings}
        return async_client(self.url, settings, _ClockOf(self).now, self._journal.note_job)

    # -- running jobs without a worker in the background -----------------------------------------

    def run_until_idle(
        self, within: Union[Seconds, datetime, None] = None, *, limit: int = 10_000
    ) -> List[Run]:
        """Run all jobs that are due, in this thread, and return the attempts.

        Jobs run one after the other, in the order in which a worker takes them. It never sleeps. If
        a worker runs in the background, it is stopped first and does not start again.

        Args:
            within: How far the clock may move in total, to run jobs that are due later, retries
                included: seconds, a timedelta, or a time. None does not move it. The clock stops at
                the last due time. If the queue uses the time of this machine, a ``ManualClock``
                replaces it.
            limit: It gives up after this many attempts.

        Returns:
            The attempts since the start, or since the last call.

        Raises:
            RuntimeError: The queue is not running; its jobs never end; or this thread has a running
                event loop (then use ``run_until_idle_async()``).
            UnknownJobError: In strict mode, a job without a handler was taken.
            ConnectionError: Redis can't be reached.
        """
        if asyncio._get_running_loop() is not None:
            raise RuntimeError(
                "run_until_idle() would stop this thread's running event loop: "
                "use await queue.run_until_idle_async()"
            )
        for attempt in self._steps(within, limit):
            attempt.run_here(self._pass, self._run_coroutine)
        self._journal.raise_unknown()
        return self._journal.news()

    async def run_until_idle_async(
        self, within: Union[Seconds, datetime, None] = None, *, limit: int = 10_000
    ) -> List[Run]:
        """Do the same as ``run_until_idle``, on the running event loop.

        Args:
            within: How far the clock may move, as for ``run_until_idle``.
            limit: It gives up after this many attempts.

        Returns:
            The attempts since the start, or since the last call.

        Raises:
            RuntimeError: The queue is not running, or its jobs never end.
            UnknownJobError: In strict mode, a job without a handler was taken.
            ConnectionError: Redis can't be reached.
        """
        for attempt in self._steps(within, limit):
            await attempt.run_in_this_loop(self._pass)
        self._journal.raise_unknown()
        return self._journal.news()

    @property
    def runs(self) -> List[Run]:
        """All attempts since the start, in the order in which they ended."""
        return list(self._journal.runs)

    def _steps(self, within: Union[Seconds, datetime, None], limit: int) -> Steps:
        check_integer(limit, "limit", at_least=1)
        thread, worker, scheduler = self._thread, self._worker, self._scheduler
        if thread is None or worker is None or scheduler is None:
            raise RuntimeError("the local queue is not running: use it in a with statement")
        if self._is_in_background:
            self._is_in_background = False
            thread.run(worker.stop(_GRACE))
            thread.run(scheduler.stop())
        until = self._until(within)
        return Steps(thread.run, worker, scheduler, self._move_to, until, limit)

    def _until(self, within: Union[Seconds, datetime, None]) -> Optional[datetime]:
        if within is None:
            return None
        if isinstance(self.clock, SystemClock):
            self.clock = ManualClock(self.clock.now())
        if not isinstance(self.clock, ManualClock):
            raise ValueError("within needs a ManualClock: give the queue one, or leave it out")
        now = self.clock.now()
        if isinstance(within, datetime):
            if within.utcoffset() is None:
                raise ValueError("within must be seconds, a timedelta or an aware datetime")
            return within
        if not isinstance(within, timedelta):
            within = timedelta(seconds=check_seconds(within, "within"))
        if within < timedelta(0):
            raise ValueError(f"within must be 0 or more, not {within!s}")
        try:
            return now + within
        except OverflowError:
            return datetime.max.replace(tzinfo=now.tzinfo)

    def _move_to(self, moment: datetime) -> None:
        assert isinstance(self.clock, ManualClock)
        self.clock.advance_to(moment)

    def _pass(self, span: timedelta) -> None:
        """Let a slow handler take its time."""
        if isinstance(self.clock, ManualClock):
            self.clock.advance(span)
        elif span:
            time.sleep(span.total_seconds())

    def _run_coroutine(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(coroutine)

    # -- what was submitted ----------------------------------------------------------------------

    @property
    def submitted(self) -> SubmittedJobs:
        """The jobs that any client has submitted, in the order of the submits.

        Jobs of the queue's own clients are shown as they were submitted, others as they are now.
        """
        if self._thread is None:
            raise RuntimeError("the local queue is not running: use it in a with statement")
        if self._wire is None:
            self._wire = Wire(emulator_settings(self.url, self._key_prefix))
        reading = self._journal.read_jobs(self._wire, Keys(self._key_prefix))
        return self._thread.run(reading)

    # -- life ------------------------------------------------------------------------------------

    def start(self: Self) -> Self:
        """Start everything, if it does not run yet; clients can connect when this returns.

        Raises:
            ImportError: There is no ``redis_url`` and fakeredis is not installed.
            ConnectionError: The Redis of ``redis_url`` can't be reached.
            ValueError: An argument is not valid.
        """
        if self._thread is not None:
            return self
        if self._given_url is None:
            self._broker = EmbeddedBroker().start()
        try:
            thread = LoopThread()
            thread.start()
            self._thread = thread
            thread.run(self._start_emulators(self.url))
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop everything; the data of an embedded broker is lost."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.close()
        thread, self._thread = self._thread, None
        broker, self._broker = self._broker, None
        if thread is not None:
            thread.run(self._stop_emulators())
            thread.stop()
        if broker is not None:
            broker.stop()

    async def _start_emulators(self, url: str) -> None:
        self._worker = self._make_worker(url)
        for name, handler in self._handlers.items():
            self._worker._add(name, handler)
        self._scheduler = self._make_scheduler(url)
        if self._background:
            self._is_in_background = True
            await self._worker.start()
            await self._scheduler.start()
        else:
            await self._scheduler.move_due()  # makes sure of Redis

    async def _stop_emulators(self) -> None:
        scheduler, self._scheduler = self._scheduler, None
        worker, self._worker = self._worker, None
        if scheduler is not None:
            await scheduler.stop()
        if worker is not None:
            await worker.stop()
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()

    def __enter__(self: Self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.stop()
        if error is None:
            self._journal.raise_unknown()

    async def __aenter__(self: Self) -> Self:
        return await run_in_daemon_thread(self.start, "bananas local queue")

    async def __aexit__(
        self,
        exc_type: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await run_in_daemon_thread(self.stop, "bananas local queue")
        if error is None:
            self._journal.raise_unknown()
