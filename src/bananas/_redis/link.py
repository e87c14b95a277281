"""A connection to Redis with every default pinned, for one owner."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from typing import Any, Callable, Iterable, List, Optional, Sequence, Tuple

import anyio

from .. import exceptions as exc
from .attempt import Attempt
from .credentials import ask
from .introduction import introduce
from .login import PinnedConnection
from .opening import Opening
from .packing import pack
from .private import close_transport, has_unread, take_streams
from .protocol import Command, LinkLost, Reply, ReplyError, ReplyProtocol
from .url import Endpoint

__all__ = ["Link"]


class Link:
    """One connection to Redis with every default pinned, for one owner.

    redis-py makes the handshake: credentials and database. What follows is sent and read here.

    redis-py's retries are off (they send a transaction twice), RESP2 is spoken (RESP3 hands out
    dirty connections on 8.1), there is no socket timeout (it kills idle reads, and loses a native
    cancellation below Python 3.12), and nothing reconnects behind the owner's back.

    Args:
        endpoint: Where to connect to, and as whom.
        connect_timeout: Limit of all that ``connect`` does, in seconds.
        what: What listens there, for messages.
        ssl_context: What TLS uses in place of the endpoint's options.
        credential_provider: What is asked for the user name and password.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        connect_timeout: float,
        two_slots: Sequence[bytes] = (b"{a}", b"{b}"),
        *,
        what: str = "Redis",
        ssl_context: Optional[ssl.SSLContext] = None,
        credential_provider: Any = None,
    ) -> None:
        self.endpoint = endpoint
        self._opening = Opening(endpoint, ssl_context)
        self._provider = credential_provider
        self._attempt = Attempt(
            endpoint, what, self._opening, connect_timeout, asks=credential_provider is not None
        )
        self.client_id: Optional[int] = None
        self.role: Optional[str] = None
        self.run_id: Optional[str] = None
        self.no_transactions: Optional[ReplyError] = None
        self._two_slots = two_slots
        self._connection: Any = None
        self._protocol: Optional[ReplyProtocol] = None
        self._writer: Any = None
        self._reading: Optional[asyncio.Future[List[Reply]]] = None
        self._process = os.getpid()
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        #: Called once, with the reason, when the connection has ended or is given up.
        self.on_lost: Optional[Callable[[LinkLost], None]] = None

    def __repr__(self) -> str:
        return f"<Link to {self.endpoint}>"

    async def connect(self, *, sentinel: bool = False) -> None:
        """Connect, authenticate, and learn who we are to the server.

        Raises:
            exceptions.ConnectionError: It can't be done; ``permanent`` says that trying again is
                pointless. Its cause is ``NotReady`` where the server said that it is not.
        """
        self._loop = asyncio.get_running_loop()
        try:
            with anyio.fail_after(self._attempt.patience):
                await self._open()
                if not sentinel:
                    await self._introduce()
        except BaseException as error:
            self.abort()
            if isinstance(error, Exception):
                refusal = self._attempt.refusal(error)
                raise refusal from refusal.__cause__
            raise

    async def _open(self) -> None:
        """Open the stream and have redis-py authenticate, with credentials of this moment."""
        username, password = self.endpoint.username, self.endpoint.password
        if self._provider is not None:
            self._attempt.awaits_provider = True
            username, password = await ask(self._provider)
            self._attempt.awaits_provider = False
        self._connection = PinnedConnection(self._opening, self.endpoint.db, username, password)
        await self._connection.connect()
        self._take_over()

    async def _introduce(self) -> None:
        facts = await introduce(self.ask, self._reopen, self.login_refusal, self._two_slots)
        self.client_id, self.role, self.run_id, self.no_transactions = facts

    async def _reopen(self) -> None:
        await self.aclose()
        await self._open()

    async def ask(self, commands: Sequence[Command], limit: Optional[float] = None) -> List[Reply]:
        """Send commands and read their replies, for ``limit`` seconds at most.

        Raises:
            TimeoutError: They do not come in time.
            LinkLost: The connection is gone.
        """
        with anyio.fail_after(limit):
            self.send(commands)
            return await self.read_replies(len(commands))

    def login_refusal(self, reply: ReplyError) -> exc.AuthenticationError:
        """Say that the server wants a login, or refuses the one that it was given."""
        return self._attempt.login_refusal(reply)

    def _take_over(self) -> None:
        """Read for ourselves from here on, each reply in the turn of the loop that it arrives in.

        redis-py's read_response() costs more than all else that a notification costs, and its
        disconnect() would go on sending what is buffered.

        Raises:
            LinkLost: The connection is gone, or has a reply that nobody asked for.
        """
        reader, writer = self._let_go()
        if writer is None or reader.at_eof() or writer.transport.is_closing():
            raise LinkLost("the connection was closed by the server")
        if has_unread(reader):
            raise LinkLost("it has a reply that nobody asked for")
        self._protocol = ReplyProtocol(self._lost)
        self._writer.transport.set_protocol(self._protocol)

    def _let_go(self) -> Tuple[Any, Any]:
        """Take reader and writer away from redis-py; a writer that is collected would close."""
        connection = self._connection
        if connection is None:
            return None, None
        found = take_streams(connection)
        self._writer = found[1] or self._writer
        return found

    def _lost(self, reason: LinkLost) -> None:
        if self._reading is not None and not self._reading.done():
            self._reading.set_exception(reason)
        if self.on_lost is not None:
            self.on_lost(reason)

    def send(self, commands: Iterable[Command]) -> None:
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
        protocol = self._protocol
        if protocol is None or protocol.lost is not None:
            raise LinkLost("not connected")
        future = self._reading = asyncio.get_running_loop().create_future()

        def arrived(replies: List[Reply]) -> None:
            if future.done():  # cancelled this very moment
                protocol.lose(LinkLost("it has a reply that nobody asked for"))
            else:
                future.set_result(replies)

        try:
            protocol.expect(count, arrived)
            replies: List[Reply] = await future
            return replies
        finally:
            self._reading = None
            protocol.expect_nothing()

    async def listen(self, receiver: Callable[[List[Reply]], None]) -> None:
        """Hand over whatever arrives, as it arrives, until the connection is lost.

        Raises:
            LinkLost: It is.
        """
        protocol = self._protocol
        if protocol is None or protocol.lost is not None:
            raise LinkLost("not connected")
        self._reading = asyncio.get_running_loop().create_future()
        protocol.expect(0, receiver)
        await self._reading

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
        size: int = 0 if self._writer is None else self._writer.transport.get_write_buffer_size()
        return size

    def report_progress(self, receiver: Optional[Callable[[int], None]]) -> None:
        """Have a function called with the number of bytes that came, while more are to come."""
        if self._protocol is not None:
            self._protocol.on_progress = receiver

    def abort(self) -> None:
        """Drop the connection at once; a read in progress ends with ``LinkLost``."""
        self._let_go()
        if self._writer is not None:
            self.shut_down()
            try:
                self._writer.transport.abort()
            except RuntimeError:  # its loop is closed
                close_transport(self._writer.transport)
        if self._protocol is not None:
            self._protocol.lose(LinkLost("the connection was given up"))

    def shut_down(self) -> None:
        """End the connection, on whichever thread, for whoever else has a descriptor of it.

        That is a thread that waits for replies, or a forked child, which would keep it open.
        """
        transport = getattr(self._writer, "transport", None)
        if transport is not None and os.getpid() == self._process:
            with contextlib.suppress(OSError, TypeError):  # TypeError: not every loop's can do it
                transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    async def aclose(self) -> None:
        """Drop the connection and let the loop forget its transport."""
        self.abort()
        closing = self._protocol or self._writer
        if closing is None or self._loop is not asyncio._get_running_loop():
            return
        with anyio.move_on_after(1, shield=True):
            try:
                await closing.wait_closed()
            except Exception:
                pass  # closing is all that is left to do
