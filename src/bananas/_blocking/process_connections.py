"""The connections of a blocking client: a pool for plain submits, and those of the loop."""

from __future__ import annotations

import dataclasses
import os
import sys
import weakref
from concurrent.futures import Future
from typing import Any, Callable, Coroutine, Dict, NamedTuple, Optional, TypeVar

from .. import exceptions as exc
from .._client_life import warn_unclosed
from .._fork_safety import OwnProcess, keep_forever
from .._pipeline import Entry, NotQueued
from .._redis import connect
from ..client import AsyncClient, ClientStats
from .blocking_connection import BlockingConnection, run_here
from .connection_pool import ConnectionPool, request_of
from .loop_thread import (
    LoopThread,
    loop_thread,
    refuse_running_loop,
    running_loop_thread,
)

__all__ = ["ProcessConnections"]

T = TypeVar("T")


class _PlainSubmits(NamedTuple):
    """The pool of one process, and a client that submits on it."""

    pool: ConnectionPool
    client: AsyncClient


class ProcessConnections:
    """Runs the coroutines of ``AsyncClient`` for callers that block.

    Every process has its own pool and its own loop, which are found by its number: a forked child
    leaves what it inherits alone, whether Python's hooks have told it of the fork or not.

    Args:
        make: Makes a client, which is then used in one loop, or on the pool of one process.

    Attributes:
        is_closed: Whether no call is made any more.
    """

    is_closed = True
    _process: Optional[OwnProcess] = None  # until it is made: an interrupt may come before

    def __init__(self, make: Callable[[], AsyncClient]) -> None:
        process = OwnProcess()
        self._make = make
        self._by_loop: Dict[LoopThread, AsyncClient] = {}
        self._by_process: Dict[int, _PlainSubmits] = {process.number: self._new_pool()}
        self._process = process
        self.is_closed = False

    def in_this_thread(self, call: Callable[[AsyncClient], Coroutine[Any, Any, T]]) -> T:
        """Run the coroutine of a plain submit in the caller's thread, on the pool."""
        self.refuse_misuse()
        return run_here(call(self.here.client))

    def on_loop(self, call: Callable[[AsyncClient], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine in the loop's thread."""
        self.refuse_misuse()
        thread = loop_thread()
        return thread.run(call(self._client_of(thread)))

    def start(self, call: Callable[[AsyncClient], Coroutine[Any, Any, T]]) -> Future[T]:
        """Start a coroutine in the loop's thread, for a caller who does not block.

        Raises:
            exceptions.ClientClosedError: The client was closed.
        """
        self.refuse_closed()
        thread = loop_thread()
        return thread.start_call(call(self._client_of(thread)))

    def connect(self) -> None:
        """Make sure of a blocking connection, or of a connection of the loop."""
        self.refuse_misuse()
        self.here.pool.connect()

    def refuse_misuse(self) -> None:
        """Refuse calls that would stop a running loop, or come after ``close``.

        Raises:
            RuntimeError: The first.
            exceptions.ClientClosedError: The second.
        """
        refuse_running_loop()
        self.refuse_closed()

    def refuse_closed(self) -> None:
        """Refuse calls that come after ``close``.

        Raises:
            exceptions.ClientClosedError: It is closed.
        """
        if self.is_closed:
            raise exc.ClientClosedError("the client is closed; make a new one")

    def close(self) -> None:
        """Close all connections, and end the calls that are under way."""
        if self.is_closed:
            return
        refuse_running_loop()
        self.is_closed = True
        self.here.pool.close()
        thread, client = running_loop_thread(), self.looping
        if thread is not None and client is not None:
            try:
                thread.run(client.close())
            except (exc.ClientClosedError, exc.ConnectionError):
                pass  # the thread has ended, and all with it

    def __del__(self) -> None:
        if self._process is None:
            return
        if not self._process.is_current():
            keep_forever((self._by_loop, self._by_process))
        elif not self.is_closed:
            here = self._by_process[self._process.number]
            if here.pool.open_connections and not sys.is_finalizing():
                if not self._by_loop:  # which warns itself
                    warn_unclosed(here.client._life.name)
                here.pool.close()

    def stats(self) -> ClientStats:
        """Return counters and states of the connections of this process."""
        here = self.here
        pool, stats = here.pool, (self.looping or here.client).stats()
        return dataclasses.replace(
            stats,
            connected=pool.is_connected() or stats.connected,
            connections=stats.connections + pool.opened,
            reconnects=stats.reconnects + min(pool.lost, max(0, pool.opened - 1)),
            pipelines=stats.pipelines + pool.submits,
            open_requests=stats.open_requests + pool.in_use,
        )

    @property
    def here(self) -> _PlainSubmits:
        """What plain submits of this process use."""
        process = os.getpid()
        found = self._by_process.get(process)
        if found is None:
            found = self._by_process.setdefault(process, self._new_pool())
        return found

    def _new_pool(self) -> _PlainSubmits:
        client = self._make()
        settings = client._settings
        pool = ConnectionPool(
            lambda: run_here(connect(settings, BlockingConnection)),
            weakref.proxy(self),
            connect_timeout=settings.connect_timeout,
            submit_timeout=settings.submit_timeout,
        )
        client._submit_over(pool)
        return _PlainSubmits(pool, client)

    @property
    def inner(self) -> AsyncClient:
        """The client in the loop of this process."""
        return self._client_of(loop_thread())

    @property
    def looping(self) -> Optional[AsyncClient]:
        """The same, if there is one."""
        thread = running_loop_thread()
        return None if thread is None else self._by_loop.get(thread)

    def _client_of(self, thread: LoopThread) -> AsyncClient:
        client = self._by_loop.get(thread)
        if client is None:
            client = self._by_loop.setdefault(thread, self._make())
        return client

    # -- what the pool leaves to the loop: see ``LoopSide`` ----------------------------------------

    def connect_loop(self) -> None:
        """Make sure of a connection of the loop, for as long as the server is not ready."""
        self.on_loop(lambda client: client.connect())

    def submit_by_loop(self, entry: Entry, since: float) -> Optional[NotQueued]:
        """Submit what was not sent; its time has begun at ``since``."""

        async def submit(client: AsyncClient) -> Optional[NotQueued]:
            return await client._pipeline.start_submit((entry,), since=since)

        return self.on_loop(submit)

    def settle(
        self, entry: Entry, connection: BlockingConnection, since: float
    ) -> Optional[NotQueued]:
        """Find out what became of what was sent on a connection; send it again if need be.

        Raises:
            exceptions.OutcomeUnknownError: That can't be done, or not in time.
            exceptions.ClientClosedError: The client was closed meanwhile.
        """
        if not self.is_closed:
            try:
                thread = loop_thread()
            except (exc.BananasError, RuntimeError) as error:
                raise request_of(entry).late(None, may_be_applied=True) from error
            pipeline = self._client_of(thread)._pipeline
            try:
                return thread.run(pipeline.settle(entry, connection, since))
            except exc.ClientClosedError as error:
                if error.job_id is not None:
                    raise
        if self.is_closed:
            raise request_of(entry).closed(may_be_applied=True)
        raise request_of(entry).late(None, may_be_applied=True)  # the interpreter is shutting down
