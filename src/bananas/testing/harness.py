"""LocalQueue: a whole deployment of the queue inside this process, in one line."""

from __future__ import annotations

from datetime import timedelta
from types import TracebackType
from typing import Any, Callable, Dict, Optional, Sequence, Type, TypeVar, overload

from .._blocking import LoopThread
from .._daemon_thread import run_in_daemon_thread
from .._types import Seconds
from ..job_type import JobType
from .attempt import Handler
from .clock import Clock, SystemClock
from .embedded import EmbeddedBroker
from .scheduler import SchedulerEmulator
from .typed import TypedHandler, named_handler
from .worker import WorkerEmulator

__all__ = ["LocalQueue"]

Self = TypeVar("Self", bound="LocalQueue")
H = TypeVar("H", bound=Handler)
P = TypeVar("P")
R = TypeVar("R")


class LocalQueue:
    """An embedded broker, a worker and a scheduler, in threads of their own.

    ```python
    with LocalQueue() as queue:
        queue.handle("add", lambda job: job.payload["a"] + job.payload["b"])
        with Client(queue.url) as client:
            client.submit_and_wait("add", {"a": 1, "b": 2}).get_result()
    ```

    Works as ``with`` and as ``async with``, and serves clients of either kind. Handlers are called
    in threads of their own, async ones on the event loop of the queue's thread.

    Args:
        redis_url: A Redis to work on; None starts an embedded broker, which needs the ``testing``
            extra.
        key_prefix: What every key starts with.
        routing_keys: The routes to work for; None for the flat lists.
        clock: The worker's and the scheduler's; a ``ManualClock`` lets a test skip the waiting.
        success_ttl: Expiry of a stored success.
        failure_ttl: The same of a failure.
        concurrency: Jobs that run at the same time.
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
    ) -> None:
        self.clock: Clock = SystemClock() if clock is None else clock
        self._given_url = redis_url
        self._broker: Optional[EmbeddedBroker] = None
        self._thread: Optional[LoopThread] = None
        self._worker: Optional[WorkerEmulator] = None
        self._scheduler: Optional[SchedulerEmulator] = None
        self._handlers: Dict[str, Handler] = {}
        self._make_worker: Callable[[str], WorkerEmulator] = lambda url: WorkerEmulator(
            url,
            key_prefix=key_prefix,
            routing_keys=routing_keys,
            clock=self.clock,
            success_ttl=success_ttl,
            failure_ttl=failure_ttl,
            concurrency=concurrency,
        )
        self._make_scheduler: Callable[[str], SchedulerEmulator] = lambda url: SchedulerEmulator(
            url,
            key_prefix=key_prefix,
            clock=self.clock,
            default_route=None if routing_keys is None else "default",
        )

    @property
    def url(self) -> str:
        """The URL for clients; of an embedded broker, only while it runs."""
        if self._given_url is not None:
            return self._given_url
        if self._broker is None:
            raise RuntimeError("the local queue is not running: use it in a with statement")
        return self._broker.url

    @overload
    def handle(self, name: str, handler: Handler) -> None: ...

    @overload
    def handle(self, name: JobType[P, R], handler: TypedHandler[P, R]) -> None: ...

    def handle(self, name: Any, handler: Any) -> None:
        """Run the jobs of a name with a handler, given before or after the start.

        Args:
            name: The job name, or a ``JobType``; a later call for the same replaces its handler.
            handler: Called with the ``Job``, or with the payload of a typed job: a plain function,
                in a thread, or an async one. What it returns becomes the result, None stores no
                data; what it raises fails the attempt, with ``str()`` of the exception as the
                error; ``Panic`` crashes it.
        """
        name, handler = named_handler(name, handler)
        self._handlers[name] = handler
        if self._worker is not None:
            self._worker.handle(name, handler)

    @overload
    def handler(self, name: str) -> Callable[[H], H]: ...

    @overload
    def handler(
        self, name: JobType[P, R]
    ) -> Callable[[TypedHandler[P, R]], TypedHandler[P, R]]: ...

    def handler(self, name: Any) -> Any:
        """Return a decorator that does what ``handle`` does."""

        def register(handler: Any) -> Any:
            self.handle(name, handler)
            return handler

        return register

    def start(self: Self) -> Self:
        """Start everything, unless it runs; clients can connect when this returns.

        Raises:
            ImportError: There is no ``redis_url`` and fakeredis is not installed.
            ConnectionError: The Redis of ``redis_url`` can't be reached.
            ValueError: An argument is refused.
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
        """End everything; with an embedded broker the data are gone."""
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
            self._worker.handle(name, handler)
        self._scheduler = self._make_scheduler(url)
        await self._worker.start()
        await self._scheduler.start()

    async def _stop_emulators(self) -> None:
        scheduler, self._scheduler = self._scheduler, None
        worker, self._worker = self._worker, None
        if scheduler is not None:
            await scheduler.stop()
        if worker is not None:
            await worker.stop()

    def __enter__(self: Self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.stop()

    async def __aenter__(self: Self) -> Self:
        return await run_in_daemon_thread(self.start, "bananas local queue")

    async def __aexit__(
        self,
        exc_type: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await run_in_daemon_thread(self.stop, "bananas local queue")
