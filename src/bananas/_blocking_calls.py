"""What the methods of the blocking client stand on: how it begins, runs a call, and ends."""

from __future__ import annotations

import functools
import weakref
from types import TracebackType
from typing import (
    Any,
    Callable,
    Coroutine,
    Iterable,
    List,
    Optional,
    Protocol,
    Type,
    TypeVar,
)

from . import exceptions as exc
from ._in_process import InProcess
from ._loop_thread import after_fork, keep_forever, loop_thread, refuse_running_loop
from ._pipeline import Entry
from ._stepping import in_task
from ._submission import Chunk, Submission
from ._types import IfExists
from ._waits import AsCompleted
from .client import AsyncClient, ClientStats
from .models import JobResult, JobSpec

__all__ = ["BlockingCalls", "BlockingPart", "CompletedResults", "Run"]

T = TypeVar("T")
Self = TypeVar("Self", bound="BlockingCalls")

_clients: weakref.WeakSet[BlockingCalls] = weakref.WeakSet()


class Run(Protocol):
    """Runs a coroutine of a client, and waits for it."""

    def __call__(self, call: Callable[[AsyncClient], Coroutine[Any, Any, T]]) -> T: ...


class BlockingCalls(InProcess):
    """Runs the calls of a blocking client.

    ``Client``'s methods are generated from those of ``AsyncClient``; it has each method that can't
    be made that way from here.
    """

    def _set_up(self, make: Callable[[], AsyncClient]) -> None:
        self._make = make
        self._closed = True
        self._inner = self._new_inner()
        self._closed = False
        _clients.add(self)
        try:
            self.connect()
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return self._named(self._inner)

    def _named(self, inner: AsyncClient) -> str:
        return repr(inner).replace(AsyncClient.__name__, type(self).__name__, 1)

    def _run(self, call: Callable[[AsyncClient], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine of the inner client in the loop thread; the one hop of every call."""
        self._refuse_misuse()
        thread, inner = loop_thread(), self._inner
        thread.ring()
        return thread.run(call(inner), inner._send_now)

    def _refuse_misuse(self) -> None:
        refuse_running_loop("use AsyncClient, or asyncio.to_thread")
        if self._closed:
            raise exc.ClientClosedError("the client is closed; make a new one")

    def _after_fork(self) -> None:
        """In a forked child: leave the parent's connections alone and start with none."""
        keep_forever(self._inner)
        self._inner = self._new_inner()

    def _new_inner(self) -> AsyncClient:
        inner = self._make()
        inner._life.name = self._named(inner)
        return inner

    def connect(self) -> None:
        """Make sure of a connection, with one attempt."""
        self._run(lambda client: client.connect())

    def close(self) -> None:
        """Close both connections and end all that is under way."""
        if not self._closed:
            try:
                self._run(lambda client: in_task(client.close))
            except (exc.ClientClosedError, exc.ConnectionError):
                pass  # the thread could not be started, or has ended, and all with it
            self._closed = True

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
        return self._run(_stats)

    def _new_entry(self, *job: Any) -> Entry:
        # The payload is read here: json_default may be bound to its thread, or be slow.
        return self._inner._queue._new_entry(*job)

    def _submit(self, entry: Entry, if_exists: IfExists, *, fresh: bool) -> str:
        return self._run(lambda client: client._queue._submit(entry, if_exists, fresh=fresh))

    def submit_jobs(self, specs: Iterable[JobSpec], *, if_exists: IfExists = "return") -> List[str]:
        """Submit many jobs, whose iterable runs in the caller's thread."""
        self._refuse_misuse()
        # The caller's iterable runs here: it may be bound to its thread, or be slow.
        chunks, submission = self._inner._queue._begin(specs, if_exists)
        if isinstance(chunks, list):
            return self._run(lambda client: submission.run(chunks))
        try:
            for chunk in chunks:
                self._send(submission, chunk)
            self._run(lambda client: submission.settle())
        except Exception as error:
            self._add_facts(submission, error)
            raise
        except BaseException:
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


class CompletedResults(InProcess):
    """The blocking iterator that ``Client.as_completed`` returns."""

    def __init__(
        self,
        run: Callable[[Callable[[AsyncClient], Coroutine[Any, Any, Any]]], Any],
        make: Callable[[AsyncClient], AsCompleted],
    ) -> None:
        self._run = run
        self._inner: AsCompleted = run(lambda client: _made(make, client))

    def __iter__(self) -> CompletedResults:
        return self

    def __next__(self) -> JobResult[Any]:
        found: Optional[JobResult[Any]] = self._run(
            lambda client: in_task(functools.partial(_next, self._inner))
        )
        if found is None:
            raise StopIteration
        return found

    def close(self) -> None:
        """End the waits that are left."""
        self._run(lambda client: self._inner.aclose())

    def __enter__(self) -> CompletedResults:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()


async def _made(make: Callable[[AsyncClient], AsCompleted], client: AsyncClient) -> AsCompleted:
    return make(client)


async def _next(results: AsCompleted) -> Optional[JobResult[Any]]:
    # A StopAsyncIteration can't leave a coroutine.
    try:
        return await results.__anext__()
    except StopAsyncIteration:
        return None


async def _abandon(submission: Submission) -> None:
    submission.abandon()


async def _stats(client: AsyncClient) -> ClientStats:
    return client.stats()


def _after_fork_in_child() -> None:
    for client in list(_clients):
        client._after_fork()


after_fork(_after_fork_in_child)
