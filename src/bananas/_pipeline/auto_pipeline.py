"""The auto-pipeline: concurrent calls share round trips on one connection."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from importlib import import_module
from typing import Any, Awaitable, Callable, List, Optional, Sequence, Union

from .. import exceptions as exc
from .._event_loops import running_loop
from .._fork_safety import OwnProcess
from .._redis import Command, Connection, Link, Reply
from .connection_owner import ConnectionOwner, closed
from .large_documents import LargeDocuments
from .recovery import LinkFacts
from .requests import SILENCE, Call, Callback, NotQueued, Submit
from .transaction import Entry

__all__ = ["AutoPipeline"]

#: anyio imports it when it is used first, which would take from the time of the first request.
_ANYIO_BACKEND = "anyio._backends._asyncio"


class AutoPipeline:
    """Runs the calls of all callers over one connection, one pipeline at a time.

    A caller hands over a request and awaits a future: cancelling it abandons the future and never
    the connection. Whatever waits when the connection is free goes out as one pipeline. Large
    documents do not hold it up: see ``LargeDocuments``.

    Args:
        open_link: Makes a connected link, or raises ``exceptions.ConnectionError``.
        connect_timeout: How long a request that was never sent waits for a connection, in seconds.
        submit_timeout: Limit of a submit, in seconds.
        read_timeout: Limit of all else, in seconds.
        server: What is connected to, for messages.

    Attributes:
        is_closed: Whether it was closed.
        loop: The loop that it has been used in, if it has.
        process: The process that it has been used in, if it has.
    """

    def __init__(
        self,
        open_link: Callable[[], Awaitable[Link]],
        *,
        connect_timeout: float,
        submit_timeout: float,
        read_timeout: float,
        server: str = "Redis",
    ) -> None:
        self._connect_timeout = connect_timeout
        self._submit_timeout = submit_timeout
        self._read_timeout = read_timeout
        self._new_owner = functools.partial(
            ConnectionOwner,
            open_link=open_link,
            connect_timeout=connect_timeout,
            silence=SILENCE * min(submit_timeout, read_timeout),
            server=server,
        )
        self.loop: Optional[asyncio.AbstractEventLoop] = None
        self.process: Optional[OwnProcess] = None
        self.is_closed = False
        self._connections: LargeDocuments  # made with the first call, when its loop is known

    # -- what callers use ------------------------------------------------------------------------

    async def connect(self) -> None:
        """Make sure of a connection, with one attempt; more while the server is busy or loading.

        Raises:
            exceptions.ConnectionError: No connection could be made.
        """
        future: asyncio.Future[List[Reply]] = self.running_loop().create_future()
        request = self._new_call(future, [(b"PING",)], self._connect_timeout)
        request.impatient = True
        self._connections.main.ask(request)
        try:
            await future
        except exc.ServerError as error:
            raise exc.ConnectionError(str(error)) from error

    async def call(
        self,
        commands: Sequence[Command],
        size: int = 0,
        timeout: Optional[float] = None,
        *,
        writes: bool = False,
    ) -> List[Reply]:
        """Run commands that may be run again, and return a reply for each.

        Args:
            commands: Reads, or writes that are idempotent; MULTI and EXEC included if need be.
            size: Bytes to be written, where they are many.
            timeout: Limit in seconds; None is the read time-out.
            writes: Whether they write: then none is applied late, after its repetition.

        Raises:
            exceptions.ConnectionError: No connection could be made.
            exceptions.TimeoutError: No reply came in time.
        """
        future: asyncio.Future[List[Reply]] = self.running_loop().create_future()
        request = self._new_call(
            future, commands, self._read_timeout if timeout is None else timeout
        )
        request.size = size
        request.writes = writes
        self._connections.for_call(size, writes=writes).ask(request)
        return await future

    def start(
        self,
        commands: Sequence[Command],
        then: Callable[[Optional[List[Reply]], Optional[BaseException]], None],
    ) -> None:
        """Run reads as ``call`` does, and have ``then`` called with the replies or an error.

        It is called in the turn of the loop in which they are here.
        """
        self.running_loop()
        request = self._new_call(Callback(then), commands, self._read_timeout)
        self._connections.for_call().ask(request, at_once=True)

    def start_submit(
        self, entries: Sequence[Entry], *, idempotent: bool = False, since: Optional[float] = None
    ) -> asyncio.Future[Optional[NotQueued]]:
        """Queue entries once, in one transaction shared with whatever else is being submitted.

        Args:
            entries: The jobs. One with a large document comes alone.
            idempotent: An entry whose document exists is left alone and noted as existing.
            since: When its time limit began, in the loop's time; None is now.

        Returns:
            A future of what was not queued, or None. It fails with ``exceptions.ConnectionError``
            where nothing was sent, and with ``OutcomeUnknownError`` where something was, and what
            became of it can't be found out before the deadline.
        """
        request = self._new_submit(entries, idempotent, since)
        self._connections.for_submit(entries, idempotent=idempotent).ask(request)
        future: asyncio.Future[Optional[NotQueued]] = request.future
        return future

    async def settle(
        self, entry: Entry, lost: Connection[Any], since: float
    ) -> Optional[NotQueued]:
        """Find out what became of an entry that was sent elsewhere, and whose reply was lost there.

        Args:
            entry: The entry, sent in a transaction of its own.
            lost: The connection that it was sent on.
            since: When its time limit began, in the loop's time.

        Returns:
            As for ``start_submit``.
        """
        request = self._new_submit((entry,), False, since)
        self._connections.not_held_up().settle(request, LinkFacts.of(lost))
        not_queued: Optional[NotQueued] = await request.future
        return not_queued

    def refuse_closed(self) -> None:
        """Raise ``exceptions.ClientClosedError`` if the client was closed."""
        if self.is_closed:
            raise closed()

    def running_loop(self) -> asyncio.AbstractEventLoop:
        """Return the running loop; the first one is the client's from then on.

        Raises:
            RuntimeError: It is another one, or there is none.
            exceptions.ClientClosedError: The client was closed, in whichever loop.
        """
        loop = asyncio._get_running_loop()
        if loop is None or loop is not self.loop:
            self.refuse_closed()
            loop = running_loop()
            if self.loop is not None:
                raise RuntimeError(_foreign(self.loop))
            with contextlib.suppress(ImportError):
                import_module(_ANYIO_BACKEND)
            self._connections = LargeDocuments(functools.partial(self._new_owner, loop))
            self.loop = loop
            self.process = OwnProcess()
        return loop

    # -- requests --------------------------------------------------------------------------------

    def _new_call(
        self,
        future: Union[asyncio.Future[List[Reply]], Callback],
        commands: Sequence[Command],
        timeout: float,
    ) -> Call:
        assert self.loop is not None
        call = Call(future, self.loop.time(), timeout, self._connect_timeout, commands)
        if timeout < self._read_timeout:
            # The short time-out of one read must not end the connection of all others.
            call.silence = SILENCE * self._read_timeout
        return call

    def _new_submit(
        self, entries: Sequence[Entry], idempotent: bool, since: Optional[float]
    ) -> Submit:
        loop = self.running_loop()
        return Submit(
            loop.create_future(),
            loop.time() if since is None else since,
            self._submit_timeout,
            self._connect_timeout,
            entries,
            idempotent,
        )

    # -- closing ---------------------------------------------------------------------------------

    async def close(self) -> None:
        """Drop the connections, and fail what is under way."""
        self.let_go()
        async with contextlib.AsyncExitStack() as stack:
            for owner in self._owners:
                stack.push_async_callback(owner.close)

    def let_go(self) -> None:
        """Begin to close: nothing new is taken, and what is under way fails."""
        self.is_closed = True
        if self.loop is not None:
            self._connections.let_go()

    def shut_down(self) -> None:
        """End the connections on whichever thread; their loop does not run, and may never again."""
        for owner in self._owners:
            owner.shut_down()

    def abandon(self) -> None:
        """End all where the loop is closed, and nobody waits any more."""
        self.is_closed = True
        for owner in self._owners:
            owner.abandon()

    # -- counters --------------------------------------------------------------------------------

    @property
    def _owners(self) -> Sequence[ConnectionOwner]:
        return () if self.loop is None else self._connections.owners

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self.loop is not None and self._connections.main.is_connected

    @property
    def open_requests(self) -> int:
        """How many requests are under way."""
        return sum(len(owner.machine.pending.deadlines) for owner in self._owners)

    @property
    def connections(self) -> int:
        """How many connections were made."""
        return sum(owner.machine.connections for owner in self._owners)

    @property
    def reconnects(self) -> int:
        """How many of them have replaced another one."""
        return sum(max(0, owner.machine.connections - 1) for owner in self._owners)

    @property
    def batches(self) -> int:
        """How many batches were sent."""
        return sum(owner.machine.round_trip.batches for owner in self._owners)


def _foreign(loop: asyncio.AbstractEventLoop) -> str:
    if loop.is_closed():
        return (
            "this client belongs to another event loop, which has ended: close() the client before "
            "its asyncio.run ends, and make a new one in the next"
        )
    return "this client belongs to another event loop; make one client for each loop"
