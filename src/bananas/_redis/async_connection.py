"""Link: a connection to Redis on an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, Callable, List, Optional, Sequence, Tuple

import anyio

from .connection import Connection
from .credentials import ask_provider
from .login import log_in
from .open_stream import StreamOpening
from .private_api import close_transport, has_unread, unwritten
from .protocol import Command, LinkLost, Reply, ReplyProtocol, pack

__all__ = ["Link"]


class Link(Connection[StreamOpening]):
    """A connection on an event loop, each of whose replies is read in the turn that it arrives in.

    Attributes:
        on_lost: Called once, with the reason, when the connection has ended or is given up.
    """

    _opening_kind = StreamOpening
    _protocol: Optional[ReplyProtocol] = None
    _writer: Any = None  # it would close the connection if it were collected
    _reading: Optional[asyncio.Future[List[Reply]]] = None
    _loop: Optional[asyncio.AbstractEventLoop] = None
    on_lost: Optional[Callable[[LinkLost], None]] = None

    def __repr__(self) -> str:
        return f"<Link to {self.endpoint}>"

    async def _connect(self, sentinel: bool) -> None:
        self._loop = asyncio.get_running_loop()
        with anyio.fail_after(self._opening.patience):
            await super()._connect(sentinel)

    async def _ask_provider(self) -> Tuple[Optional[str], Optional[str]]:
        return await ask_provider(self._provider)

    async def _log_in(self, username: Optional[str], password: Optional[str]) -> None:
        """Open the stream, have redis-py log in, and read for ourselves from there on.

        redis-py's read_response() costs more than all else that a notification costs, and its
        disconnect() would go on sending what is buffered.

        Raises:
            LinkLost: The connection is gone, or has a reply that nobody asked for.
        """
        reader, self._writer = await self._opening.open()
        await log_in(reader, self._writer, self.endpoint.db, username, password)
        if reader.at_eof() or self._writer.transport.is_closing():
            raise LinkLost("the connection was closed by the server")
        if has_unread(reader):
            raise LinkLost("it has an unexpected reply")
        self._protocol = ReplyProtocol(self._lost)
        self._writer.transport.set_protocol(self._protocol)

    def _lost(self, reason: LinkLost) -> None:
        if self._reading is not None and not self._reading.done():
            self._reading.set_exception(reason)
        if self.on_lost is not None:
            self.on_lost(reason)

    async def ask(self, commands: Sequence[Command], limit: Optional[float] = None) -> List[Reply]:
        """Send commands and read their replies, for ``limit`` seconds at most.

        Raises:
            TimeoutError: They do not come in time.
            LinkLost: The connection is gone.
        """
        with anyio.fail_after(limit):
            self.send(commands)
            return await self.read_replies(len(commands))

    def send(self, commands: Sequence[Command]) -> None:
        """Write commands; what the network does not take yet is held in memory.

        Raises:
            LinkLost: The connection is gone.
        """
        protocol = self._protocol
        if protocol is None or protocol.lost is not None:
            raise LinkLost("not connected")
        self._writer.transport.write(pack(commands))

    def expect(self, count: int, receiver: Callable[[List[Reply]], None]) -> None:
        """Have replies handed to ``receiver``, which must not raise; see ``ReplyProtocol``."""
        assert self._protocol is not None
        self._protocol.expect(count, receiver)

    async def read_replies(self, count: int) -> List[Reply]:
        """Read the replies to ``count`` commands, for as long as it takes.

        An error reply is returned as a value.

        Raises:
            LinkLost: The connection is gone.
        """
        protocol, future = self._begin_reading()

        def arrived(replies: List[Reply]) -> None:
            if future.done():  # cancelled this very moment
                protocol.lose(LinkLost("it has an unexpected reply"))
            else:
                future.set_result(replies)

        try:
            protocol.expect(count, arrived)
            return await future
        finally:
            self._reading = None
            protocol.expect_nothing()

    async def listen(self, receiver: Callable[[List[Reply]], None]) -> None:
        """Hand over whatever arrives, as it arrives, until the connection is lost.

        Raises:
            LinkLost: It is.
        """
        protocol, future = self._begin_reading()
        protocol.expect(0, receiver)
        await future

    def _begin_reading(self) -> Tuple[ReplyProtocol, asyncio.Future[List[Reply]]]:
        protocol = self._protocol
        if protocol is None or protocol.lost is not None:
            raise LinkLost("not connected")
        self._reading = asyncio.get_running_loop().create_future()
        return protocol, self._reading

    @property
    def is_lost(self) -> bool:
        """Whether the connection has ended, or was given up."""
        return self._protocol is None or self._protocol.lost is not None

    @property
    def is_dirty(self) -> bool:
        """Whether it is lost, or more has arrived than was asked for."""
        protocol = self._protocol
        return protocol is None or protocol.lost is not None or protocol.has_leftovers

    @property
    def unread(self) -> List[Reply]:
        """Replies that have arrived while others, which belong to them, are missing."""
        return [] if self._protocol is None else self._protocol.unread

    @property
    def unsent(self) -> int:
        """How many bytes were handed over and are not written yet."""
        return 0 if self._writer is None else unwritten(self._writer.transport)

    def report_progress(self, receiver: Optional[Callable[[int], None]]) -> None:
        """Have a function called with the number of bytes that came, while more are to come."""
        if self._protocol is not None:
            self._protocol.on_progress = receiver

    def abort(self) -> None:
        """Drop the connection at once; a read in progress ends with ``LinkLost``."""
        if self._writer is not None:
            self.shut_down()
            try:
                self._writer.transport.abort()
            except RuntimeError:  # its loop is closed
                close_transport(self._writer.transport)
        if self._protocol is not None:
            self._protocol.lose(LinkLost("the connection was given up"))

    def shut_down(self) -> None:
        """End the connection, from any thread, also for others that have a descriptor of it.

        Others are a thread that waits for replies, and a forked child, which would keep it open.
        """
        if self._writer is not None and self._process.is_current():
            with contextlib.suppress(OSError):
                sock = self._writer.get_extra_info("socket")
                if sock is None:  # uvloop forgets it when the connection is lost
                    return
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except TypeError:  # uvloop's has a descriptor alone
                    with socket.fromfd(sock.fileno(), sock.family, sock.type) as copy:
                        copy.shutdown(socket.SHUT_RDWR)

    async def aclose(self) -> None:
        """Drop the connection and let the loop forget its transport."""
        self.abort()
        closing = self._protocol or self._writer
        if closing is None or self._loop is not asyncio._get_running_loop():
            return
        with anyio.move_on_after(1, shield=True):
            with contextlib.suppress(Exception):  # closing is all that is left to do
                await closing.wait_closed()
