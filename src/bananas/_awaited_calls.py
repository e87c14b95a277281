"""Calls of a blocking client that are awaited, in whichever event loop the caller has."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import (
    Any,
    Callable,
    Coroutine,
    Generic,
    List,
    Optional,
    Type,
    TypeVar,
    cast,
)

from . import exceptions as exc
from ._argument_checks import check_job_id, check_job_ids, check_timeout
from ._blocking import ProcessConnections
from ._blocking_calls import Source, next_item
from ._in_process import InProcess
from ._operating import ListedJobs, OperatingCalls
from ._pipeline import AutoPipeline, Entry, NotQueued
from ._redis import Command, Reply
from ._types import Seconds
from ._waits import AsCompleted, JobChanges, Waits
from ._wire import Keys
from .client import AsyncClient, ClientStats
from .dead_letters import DeadLetters
from .models import JobResult
from .operating import JobChange, JobEntry
from .queue import RedisQueue
from .result_backend import RedisResultBackend
from .sync import Client

__all__ = ["AwaitedClient"]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
Iteration = TypeVar("Iteration", bound="_Steps[Any]")


def _in_the_loops_thread(method: F) -> F:
    """Return a method that runs another one there, on the object that it stands for."""

    @functools.wraps(method)
    async def call(self: Any, *args: Any, **options: Any) -> Any:
        args = tuple(map(_at_hand, args))
        options = {name: _at_hand(value) for name, value in options.items()}
        return await self._calls.run(lambda client: method(self._of(client), *args, **options))

    return cast(F, call)


def _page_by_page(method: F) -> F:
    """Return a method that gives what another one lists there."""

    @functools.wraps(method)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        return _Pages(self._calls, lambda client: method(self._of(client), *args, **options))

    return cast(F, call)


def _at_hand(value: Any) -> Any:
    """Return an argument that holds all that it gives: the caller's code runs in its own thread."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping, Sequence)):
        return list(value)
    return value


class _Calls:
    """Runs calls in the thread of a blocking client, and has what its parts use of a pipeline."""

    def __init__(self, connections: ProcessConnections) -> None:
        self.connections = connections

    def run(self, call: Callable[[AsyncClient], Coroutine[Any, Any, T]]) -> asyncio.Future[T]:
        """Start a call, and return its future in the running loop."""
        started: Future[T] = self.connections.start(call)
        return asyncio.wrap_future(started)

    def refuse_closed(self) -> None:
        """Raise an error if the client was closed."""
        self.connections.refuse_closed()

    def start_submit(
        self, entries: Sequence[Entry], *, idempotent: bool = False
    ) -> asyncio.Future[Optional[NotQueued]]:
        """Queue entries once; see ``AutoPipeline.start_submit``."""

        async def submit(client: AsyncClient) -> Optional[NotQueued]:
            return await client._pipeline.start_submit(entries, idempotent=idempotent)

        return self.run(submit)

    async def call(
        self, commands: Sequence[Command], size: int = 0, *, writes: bool = False
    ) -> List[Reply]:
        """Run commands that may be run again; see ``AutoPipeline.call``."""
        return await self.run(
            lambda client: client._pipeline.call(commands, size=size, writes=writes)
        )


class _Queue(RedisQueue):
    """The queue's part; what it submits and reads by itself goes through ``_Calls``."""

    _calls: _Calls

    def _of(self, client: AsyncClient) -> RedisQueue:
        return client.queue

    depths = _in_the_loops_thread(RedisQueue.depths)

    jobs = _page_by_page(RedisQueue.jobs)


class _DeadLetters(DeadLetters):
    """The dead letters."""

    _calls: _Calls

    def _of(self, client: AsyncClient) -> DeadLetters:
        return client.dead_letters

    requeue = _in_the_loops_thread(DeadLetters.requeue)
    purge = _in_the_loops_thread(DeadLetters.purge)

    jobs = _page_by_page(DeadLetters.jobs)


class _Results(RedisResultBackend):
    """The results' part; what it reads and writes by itself goes through ``_Calls``."""

    _calls: _Calls

    def _of(self, client: AsyncClient) -> RedisResultBackend:
        return client.results

    wait_for_result = _in_the_loops_thread(RedisResultBackend.wait_for_result)


class AwaitedClient(AsyncClient):
    """An ``AsyncClient`` on the connections of a blocking client, for callers in any event loop.

    Its calls run in the thread of the blocking client's loop, so that any number of event loops,
    one after another or at the same time, may share it; a fork does it no harm either. A call that
    is cancelled is cancelled there. Payloads, and the iterables of the caller, are read in the
    caller's thread. Closing it closes the blocking client.

    Args:
        client: The blocking client.
    """

    def __init__(self, client: Client) -> None:  # pylint: disable=super-init-not-called
        # Nothing of AsyncClient that could be used in the caller's loop is made.
        self._client = client
        self._calls = _Calls(client._connections)
        self._settings = client._connections.here.client._settings
        self._make_parts(Keys(self._settings.key_prefix))

    def _make_parts(self, keys: Keys) -> None:
        settings, calls = self._settings, self._calls
        pipeline = cast(AutoPipeline, calls)
        # The methods that would use them are replaced.
        operating, waits = cast(OperatingCalls, None), cast(Waits, None)
        queue = _Queue(
            pipeline,
            keys,
            operating,
            routing_key=settings.routing_key,
            json_default=settings.json_default,
        )
        dead_letters = _DeadLetters(operating)
        results = _Results(
            pipeline,
            keys,
            waits,
            success_ttl=settings.success_ttl,
            failure_ttl=settings.failure_ttl,
        )
        queue._calls = dead_letters._calls = results._calls = calls
        self._queue, self._dead_letters, self._results = queue, dead_letters, results

    def _of(self, client: AsyncClient) -> AsyncClient:
        return client

    connect = _in_the_loops_thread(AsyncClient.connect)
    _submit_and_wait = _in_the_loops_thread(AsyncClient._submit_and_wait)
    locate = _in_the_loops_thread(AsyncClient.locate)
    explain = _in_the_loops_thread(AsyncClient.explain)
    wait_for_result = _in_the_loops_thread(AsyncClient.wait_for_result)
    cancel = _in_the_loops_thread(AsyncClient.cancel)
    reschedule = _in_the_loops_thread(AsyncClient.reschedule)
    delete = _in_the_loops_thread(AsyncClient.delete)
    requeue = _in_the_loops_thread(AsyncClient.requeue)
    recover = _in_the_loops_thread(AsyncClient.recover)
    doctor = _in_the_loops_thread(AsyncClient.doctor)
    repair = _in_the_loops_thread(AsyncClient.repair)

    async def close(self) -> None:
        """Close the blocking client, in a thread."""
        await asyncio.get_running_loop().run_in_executor(None, self._client.close)

    def as_completed(
        self,
        job_ids: Iterable[str],
        timeout: Optional[Seconds] = 30.0,
        *,
        wait_for_retries: bool = True,
    ) -> AsCompleted:
        """Iterate over results; see ``AsyncClient.as_completed``."""
        ids, limit = check_job_ids(job_ids), check_timeout(timeout)
        self._calls.refuse_closed()
        return _CompletedSteps(
            self._calls,
            lambda client: client.as_completed(ids, limit, wait_for_retries=wait_for_retries),
        )

    def watch(self, job_id: str, timeout: Optional[Seconds] = None) -> JobChanges:
        """Iterate over the changes of a job; see ``AsyncClient.watch``."""
        checked, limit = check_job_id(job_id), check_timeout(timeout)
        return _ChangeSteps(self._calls, lambda client: client.watch(checked, limit))

    def stats(self) -> ClientStats:
        """Return counters and states of the blocking client."""
        return self._calls.connections.stats()


class _Steps(InProcess, Generic[T]):
    """Takes each item of an async iterator of the loop's thread; it is made with the first one."""

    def __init__(self, calls: _Calls, make: Callable[[AsyncClient], Source[T]]) -> None:
        self._calls = calls
        self._make = make
        self._inner: Optional[Source[T]] = None
        self._is_closed = False

    def __aiter__(self: Iteration) -> Iteration:
        return self

    async def __anext__(self) -> T:
        if self._is_closed:
            raise StopAsyncIteration
        found = await self._calls.run(self._next)
        if found is None:
            raise StopAsyncIteration
        return found

    async def _next(self, client: AsyncClient) -> Optional[T]:
        if self._inner is None:
            self._inner = self._make(client)
        return await next_item(self._inner)

    async def aclose(self) -> None:
        """End it, with the steps of other consumers that are under way."""
        self._is_closed = True
        inner = self._inner
        if inner is not None:
            with contextlib.suppress(exc.ClientClosedError):  # then it has ended
                await self._calls.run(lambda client: inner.aclose())

    async def __aenter__(self: Iteration) -> Iteration:
        return self

    async def __aexit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.aclose()

    def _left(self) -> List[Any]:
        return []  # the waits are those of the inner iterator


class _CompletedSteps(_Steps[JobResult[Any]], AsCompleted):
    """The results of many jobs; of its second base it has the type alone."""


class _ChangeSteps(_Steps[JobChange], JobChanges):
    """The changes of a job; of its second base it has the type alone."""


class _Pages(InProcess):
    """Takes the jobs of a place from the loop's thread, a page at a time."""

    def __init__(self, calls: _Calls, make: Callable[[AsyncClient], ListedJobs]) -> None:
        self._calls = calls
        self._make = make
        self._inner: Optional[ListedJobs] = None
        self._entries: List[JobEntry] = []

    def __aiter__(self) -> _Pages:
        return self

    async def __anext__(self) -> JobEntry:
        if not self._entries:
            self._entries = (await self._calls.run(self._take))[::-1]
        if not self._entries:
            raise StopAsyncIteration
        return self._entries.pop()

    async def _take(self, client: AsyncClient) -> List[JobEntry]:
        if self._inner is None:
            self._inner = self._make(client)
        return await self._inner._take()
