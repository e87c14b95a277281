"""The auto-pipeline: concurrent calls share round trips, and large documents hold up no other."""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, List, Optional, Sequence

from .._protocol import Command, Reply
from .._redis import Link
from .owner import LARGE, Owner
from .requests import NotQueued
from .transaction import Entry

__all__ = ["AutoPipeline"]


class AutoPipeline:
    """Runs the calls of all callers over one connection, one pipeline at a time.

    A caller hands over a request and awaits a future: cancelling it abandons the future and never
    the connection. Whatever waits when the connection is free goes out as one pipeline.

    A second connection is made when a large document is to be sent, or read.

    Args:
        open_link: Makes a connected link, or raises ``exceptions.ConnectionError``.
        connect_timeout: How long a request that was never sent waits for a connection, in seconds.
        submit_timeout: Limit of a submit, in seconds.
        read_timeout: Limit of all else, in seconds.
        server: What is connected to, for messages.
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
        def make_owner(**options: int) -> Owner:
            return Owner(
                open_link,
                server=server,
                connect_timeout=connect_timeout,
                submit_timeout=submit_timeout,
                read_timeout=read_timeout,
                **options,
            )

        self._make_owner = make_owner
        self._main = make_owner()
        self._main.on_held_up = self._pass_reads_on
        self._second: Optional[Owner] = None

    async def connect(self) -> None:
        """Make sure of a connection, with one attempt; more where the server is not ready yet.

        Raises:
            exceptions.ConnectionError: There is none to be had.
        """
        await self._main.connect_once()

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
        owner = self._main
        if size > LARGE or (owner.is_held_up and not writes):
            owner = self._large()
        return await owner.call(commands, size, timeout, writes=writes)

    def start(
        self,
        commands: Sequence[Command],
        then: Callable[[Optional[List[Reply]], Optional[BaseException]], None],
    ) -> None:
        """Run reads as ``call`` does, and have ``then`` called with the replies or an error."""
        owner = self._large() if self._main.is_held_up else self._main
        owner.start(commands, then)

    def start_submit(
        self, entries: Sequence[Entry], *, idempotent: bool = False
    ) -> asyncio.Future[Optional[NotQueued]]:
        """Queue entries once, in one transaction shared with whatever else is being submitted.

        Args:
            entries: The jobs. One with a large document comes alone.
            idempotent: An entry whose document exists is left alone and noted as existing.

        Returns:
            A future of what was not queued, or None. It fails with ``exceptions.ConnectionError``
            where nothing was sent, and with ``OutcomeUnknownError`` where something was, and what
            became of it can't be found out before the deadline.
        """
        if len(entries) == 1 and len(entries[0].document) > LARGE:
            return self._large().submit(entries, idempotent=idempotent)
        return self._main.submit(entries, idempotent=idempotent)

    def send_now(self) -> None:
        """Send what waits, if nothing is on its way; others get no turn in which to join in."""
        self._main.send_now()

    def running_loop(self) -> asyncio.AbstractEventLoop:
        """Return the running loop, once the client's for good.

        Raises:
            RuntimeError: It is another one.
        """
        return self._main.running_loop()

    async def close(self) -> None:
        """Drop the connections, and fail what is under way."""
        try:
            await self._main.close()
        finally:
            if self._second is not None:
                await self._second.close()

    def _large(self) -> Owner:
        if self._second is None:
            if self._main.is_closed:
                return self._main
            self._second = self._make_owner(most_requests=1)
        return self._second

    def _pass_reads_on(self) -> None:
        """Have those reads sent on the second connection that would wait behind a long reply."""
        for call in self._main.core.pending.take_reads():
            second = self._large()
            second.running_loop()
            second.ask(call)

    # -- what it is like -------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._main.is_connected

    @property
    def open_requests(self) -> int:
        """How many requests are under way."""
        return self._sum(lambda owner: len(owner.core.pending.deadlines))

    @property
    def connections(self) -> int:
        """How many connections were made."""
        return self._sum(lambda owner: owner.core.connections)

    @property
    def batches(self) -> int:
        """How many batches were sent."""
        return self._sum(lambda owner: owner.core.batches)

    def _sum(self, value: Callable[[Owner], Any]) -> int:
        total: int = value(self._main)
        return total + (0 if self._second is None else value(self._second))
