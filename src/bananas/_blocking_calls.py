"""What the methods of the blocking client stand on: how it begins, runs a call, and ends."""

from __future__ import annotations

import contextlib
from collections import deque
from types import TracebackType
from typing import (
    Any,
    AsyncIterable,
    Callable,
    Coroutine,
    Deque,
    Generic,
    Iterable,
    List,
    Optional,
    Protocol,
    Type,
    TypeVar,
)

from . import exceptions as exc
from ._argument_checks import check_callable
from ._blocking import ProcessConnections
from ._fork_safety import OwnProcess
from ._in_process import InProcess
from ._operating import Clearing, ListedJobs
from ._pipeline import Entry
from ._submission import Submission
from ._submit_chunks import Chunk
from ._types import IfExists
from .client import AsyncClient, ClientStats
from .models import JobResult, JobSpec
from .operating import DeadLetterCounts, JobChange, JobEntry

__all__ = [
    "BlockingCalls",
    "BlockingClearing",
    "BlockingJobChanges",
    "BlockingListedJobs",
    "BlockingPart",
    "CompletedResults",
    "Run",
    "Source",
    "next_item",
]

_ITERABLE = "iterable of submit_jobs: the parent submits its jobs"
_ITERATION = "iteration: the parent goes on with it"

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Iteration = TypeVar("Iteration", bound="_BlockingIterator[Any]")
Self = TypeVar("Self", bound="BlockingCalls")


class Run(Protocol):
    """Runs a coroutine of a client, and waits for it."""

    def __call__(self, call: Callable[[AsyncClient], Coroutine[Any, Any, T]]) -> T: ...


class BlockingCalls(InProcess):
    """Runs the calls of a blocking client.

    ``Client``'s methods are generated from those of ``AsyncClient``; it has each method that can't
    be made that way from here.
    """

    def _set_up(self, make: Callable[[], AsyncClient]) -> None:
        self._prepare(make)
        self._connections.refuse_misuse()
        try:
            self.connect()
        except BaseException:
            self.close()
            raise

    def _prepare(self, make: Callable[[], AsyncClient]) -> None:
        """Set up what the first call will connect."""
        named = self._named  # not self, so that the client can be garbage collected

        def make_inner() -> AsyncClient:
            inner = make()
            inner._life.name = named(inner)
            return inner

        self._connections = ProcessConnections(make_inner)

    def __repr__(self) -> str:
        return self._named(self._connections.here.client)

    @classmethod
    def _named(cls, inner: AsyncClient) -> str:
        return repr(inner).replace(AsyncClient.__name__, cls.__name__, 1)

    def _run(self, call: Callable[[AsyncClient], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine of ``AsyncClient`` in the loop's thread, and wait for it."""
        return self._connections.on_loop(call)

    @property
    def _inner(self) -> AsyncClient:
        return self._connections.inner

    def connect(self) -> None:
        """Make sure of a connection, with one attempt; more while the server is busy or loading."""
        self._connections.connect()

    def close(self) -> None:
        """Close all connections and end all that is under way."""
        self._connections.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def stats(self) -> ClientStats:
        """Return counters and states for a health check."""
        self._connections.refuse_misuse()
        return self._connections.stats()

    def _new_entry(self, *job: Any) -> Entry:
        # The payload is read here: json_default may be bound to its thread, or be slow.
        self._connections.refuse_misuse()
        return self._connections.here.client._queue._new_entry(*job)

    def _submit(self, entry: Entry, if_exists: IfExists, *, fresh: bool) -> str:
        run = self._connections.in_this_thread if fresh else self._connections.on_loop
        return run(lambda client: client._queue._submit(entry, if_exists, fresh=fresh))

    def submit_jobs(
        self,
        specs: Iterable[JobSpec],
        *,
        if_exists: IfExists = "return",
    ) -> List[str]:
        """Submit many jobs, whose iterable runs in the caller's thread."""
        self._connections.refuse_misuse()
        if isinstance(specs, AsyncIterable) and not isinstance(specs, Iterable):
            raise ValueError(
                f"specs is an async iterable ({type(specs).__name__}), which Client can't wait "
                "for: use AsyncClient, or make a list of it first"
            )
        # The caller's iterable runs here: it may be bound to its thread, or be slow.
        chunks, submission = self._inner._queue._begin(specs, if_exists)
        if isinstance(chunks, list):
            return self._run(lambda client: submission.run(chunks))
        process = OwnProcess()
        try:
            for chunk in chunks:
                process.refuse_fork(_ITERABLE)
                self._send(submission, chunk)
            process.refuse_fork(_ITERABLE)
            self._run(lambda client: submission.settle())
        except Exception as error:
            if process.is_current():
                self._add_facts(submission, error)
            raise
        except BaseException:
            if process.is_current():
                self._run(lambda client: _abandon(submission))
            raise
        return submission.outcome()

    def _send(self, submission: Submission, chunk: Chunk) -> None:
        self._run(lambda client: submission.send(chunk))

    def _add_facts(self, submission: Submission, error: Exception) -> None:
        try:
            self._run(lambda client: submission.add_facts(error))
        except exc.ClientClosedError:
            submission.tell(error)


class BlockingPart(InProcess):
    """A part that a blocking client hands out; its methods are generated."""

    def __init__(self, run: Run, client: str) -> None:
        self._run = run
        self._client = client

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._client}>"


class BlockingClearing(BlockingPart):
    """What the dead letters' part stands on: calls that report how far they are."""

    def _clear(
        self,
        begin: Callable[[AsyncClient], Coroutine[Any, Any, Clearing]],
        progress: Optional[Callable[[DeadLetterCounts], None]],
    ) -> DeadLetterCounts:
        report = check_callable(progress, "progress")
        clearing = self._run(begin)
        if report is None:
            return self._run(lambda client: clearing.run())
        process = OwnProcess()
        while self._run(lambda client: clearing.advance()):
            report(clearing.counts)  # in the caller's thread: it may be slow, or call the client
            process.refuse_fork("progress of this call: the parent goes on with it")
        return clearing.counts


class Source(Protocol[T_co]):
    """An async iterator that can be left early."""

    async def __anext__(self) -> T_co: ...

    async def aclose(self) -> None:
        """End what is left of it."""
        ...


class _BlockingIterator(InProcess, Generic[T]):
    """Takes each item of an async iterator in a call of its own."""

    def __init__(self, run: Run, make: Callable[[AsyncClient], Source[T]]) -> None:
        self._run = run
        self._process = OwnProcess()
        self._inner: Source[T] = run(lambda client: _made(make, client))

    def __iter__(self: Iteration) -> Iteration:
        return self

    def __next__(self) -> T:
        self._process.refuse_fork(_ITERATION)
        found = self._run(lambda client: next_item(self._inner))
        if found is None:
            raise StopIteration
        return found

    def _end(self) -> None:
        if not self._process.is_current():
            return  # the parent goes on with it
        with contextlib.suppress(exc.ClientClosedError):  # then it has ended
            self._run(lambda client: self._inner.aclose())

    def __enter__(self: Iteration) -> Iteration:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._end()


class CompletedResults(_BlockingIterator[JobResult[Any]]):
    """The blocking iterator that ``Client.as_completed`` returns."""

    def close(self) -> None:
        """End the waits that are left."""
        self._end()


class BlockingJobChanges(_BlockingIterator[JobChange]):
    """The blocking iterator that ``Client.watch`` returns."""

    def close(self) -> None:
        """End the watch."""
        self._end()


class BlockingListedJobs(InProcess):
    """The blocking iterator that ``client.queue.jobs`` returns."""

    def __init__(self, run: Run, make: Callable[[AsyncClient], ListedJobs]) -> None:
        self._run = run
        self._process = OwnProcess()
        self._inner: ListedJobs = run(lambda client: _made(make, client))
        self._entries: Deque[JobEntry] = deque()

    def __iter__(self) -> BlockingListedJobs:
        return self

    def __next__(self) -> JobEntry:
        self._process.refuse_fork(_ITERATION)
        if not self._entries:
            self._entries.extend(self._run(lambda client: self._inner._take()))
        if not self._entries:
            raise StopIteration
        return self._entries.popleft()


async def _made(make: Callable[[AsyncClient], T], client: AsyncClient) -> T:
    return make(client)


async def next_item(source: Source[T]) -> Optional[T]:
    """Return the next item; None at the end, since a StopAsyncIteration can't leave a coroutine."""
    try:
        return await source.__anext__()
    except StopAsyncIteration:
        return None


async def _abandon(submission: Submission) -> None:
    submission.abandon()
