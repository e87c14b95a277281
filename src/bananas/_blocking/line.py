"""A line: one blocking connection, whose coroutines never suspend."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import struct
import time
from typing import Any, Callable, Coroutine, List, Optional, Sequence, TypeVar

from .. import exceptions as exc
from .._redis import (
    Attempt,
    Command,
    Endpoint,
    LinkLost,
    NeedsLoop,
    Reply,
    ReplyError,
    ask_here,
    introduce,
    log_in,
    new_reader,
    pack,
)
from .opening import BlockingOpening

__all__ = ["Line", "NotSent", "run_here"]

T = TypeVar("T")

_MOST_AT_ONCE = 65536
_HAS_TIMEVAL = os.name == "posix"


class NotSent(Exception):
    """The connection was gone before the first byte was written."""


def run_here(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends, and return what it returns."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    coroutine.close()
    raise RuntimeError("a coroutine that runs on a line has suspended")


class Line:
    """One blocking connection to Redis, used by one thread at a time.

    redis-py makes the handshake; what follows is written and read here, and judged by what judges
    every other connection.

    Args:
        endpoint: Where to connect to, and as whom.
        connect_timeout: Limit of all that ``connect`` does, in seconds.
        what: What listens there, for messages.
        ssl_context: What TLS uses in place of the endpoint's options.
        credential_provider: What is asked for the user name and password.

    Attributes:
        client_id: The server's number for the connection; None where it tells none.
        role: ``master``, or another word; None where it tells none.
        run_id: Names the server's process; None where it tells none.
        no_transactions: Why MULTI and EXEC may not be used, if they may not.
        used_at: When it was used last, by the clock of whoever uses it.
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
        self.client_id: Optional[int] = None
        self.role: Optional[str] = None
        self.run_id: Optional[str] = None
        self.no_transactions: Optional[ReplyError] = None
        self.used_at = 0.0
        self._endpoint = endpoint
        self._two_slots = two_slots
        self._provider = credential_provider
        self._opening = BlockingOpening(endpoint, ssl_context)
        self._attempt = Attempt(
            endpoint, what, self._opening, connect_timeout, asks=credential_provider is not None
        )
        self._is_plain = endpoint.scheme != "rediss"
        self._process = os.getpid()
        self._socket: Optional[socket.socket] = None
        self._limit = -1.0
        self._is_readable: Callable[[], bool]
        self._reader = new_reader()

    # -- connecting ------------------------------------------------------------------------------

    async def connect(self, *, sentinel: bool = False) -> None:
        """Connect, authenticate, and learn who we are to the server.

        Raises:
            exceptions.ConnectionError: It can't be done; ``permanent`` says that trying again is
                pointless. Its cause is ``NotReady`` where the server said that it is not, and
                ``NeedsLoop`` where the credentials can't be had here.
        """
        self._opening.until = time.monotonic() + self._attempt.patience
        try:
            await self._open()
            if not sentinel:
                facts = await introduce(
                    self.ask, self._reopen, self._attempt.login_refusal, self._two_slots
                )
                self.client_id, self.role, self.run_id, self.no_transactions = facts
        except BaseException as error:
            self.close()
            if isinstance(error, NeedsLoop):
                raise exc.ConnectionError("the credential_provider needs an event loop") from error
            if isinstance(error, Exception):
                if isinstance(error.__context__, TimeoutError) and self._opening.is_over:
                    error = error.__context__  # what some releases of redis-py make another error
                refusal = self._attempt.refusal(error)
                raise refusal from refusal.__cause__
            raise

    async def _open(self) -> None:
        opening, endpoint = self._opening, self._endpoint
        username, password = endpoint.username, endpoint.password
        if self._provider is not None:
            self._attempt.awaits_provider = True
            username, password = ask_here(self._provider, opening.time_left())
            self._attempt.awaits_provider = False
        try:
            log_in(opening.open, endpoint.db, username, password)
        finally:
            self._socket = opening.socket
        assert self._socket is not None
        self._limit = -1.0  # the handshake's is another one
        self._is_readable = _watch(self._socket)

    async def _reopen(self) -> None:
        self.close()
        self._reader = new_reader()
        await self._open()

    async def ask(self, commands: Sequence[Command], limit: Optional[float] = None) -> List[Reply]:
        """Send commands and read their replies, for ``limit`` seconds at most.

        Args:
            commands: The commands.
            limit: None is what is left of the time for connecting.

        Raises:
            TimeoutError: They do not come in time.
            LinkLost: The connection is gone.
        """
        until = self._opening.until if limit is None else time.monotonic() + limit
        try:
            left = _left(until, self._attempt.limit)
            return self.exchange(pack(commands), len(commands), until, left)
        except NotSent as error:
            raise LinkLost(str(error)) from None

    def login_refusal(self, reply: ReplyError) -> exc.AuthenticationError:
        """Say that the server wants a login, or refuses the one that it was given."""
        return self._attempt.login_refusal(reply)

    # -- using it --------------------------------------------------------------------------------

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has arrived, nor the connection ended, since the last replies."""
        if self._socket is None or self.has_leftovers:
            return False
        if not self._is_readable():
            return True
        return not self._is_plain and self._has_no_data()

    @property
    def has_leftovers(self) -> bool:
        """Whether more has arrived than was asked for."""
        has_data = getattr(self._reader, "has_data", None)  # from hiredis 2.2
        return has_data is not None and has_data()

    def _has_no_data(self) -> bool:
        """Whether what has arrived is of TLS itself."""
        assert self._socket is not None
        self._limit_waits(self._socket, 0)
        try:
            self._socket.recv(1)
        except ssl.SSLWantReadError:
            return True
        except OSError:
            pass
        return False

    def exchange(self, data: bytes, count: int, until: float, silence: float) -> List[Reply]:
        """Write, and read replies.

        Args:
            data: What to write.
            count: How many replies it brings.
            until: When all replies must be here, by the monotonic clock.
            silence: For how many seconds the server may take or send nothing.

        Raises:
            NotSent: The connection was gone before the first byte was written.
            TimeoutError: The replies do not come in time.
            LinkLost: The connection was lost while they were awaited.
        """
        line = self._socket
        if line is None:
            raise NotSent("not connected")
        if os.getpid() != self._process:
            raise LinkLost("a signal handler has forked during the call")
        written = 0
        try:
            self._limit_waits(line, silence)
            written = line.send(data)
            while written < len(data):
                self._limit_waits(line, _left(until, silence))
                written += line.send(data[written:])
            return self._read(line, count, until, silence)
        except (OSError, ValueError) as error:
            if not written and self._is_plain:
                raise NotSent(type(error).__name__) from None
            if isinstance(error, (TimeoutError, socket.timeout, BlockingIOError)):
                raise TimeoutError("no reply came in time") from None
            raise LinkLost(type(error).__name__) from None

    def _read(self, line: socket.socket, count: int, until: float, silence: float) -> List[Reply]:
        reader = self._reader
        replies: List[Reply] = []
        while True:
            data = line.recv(_MOST_AT_ONCE)
            if not data:
                raise LinkLost("the connection was closed by the server")
            try:
                reader.feed(data)
                reply = reader.gets()
                while reply is not False:
                    replies.append(reply)
                    if len(replies) == count:
                        return replies
                    reply = reader.gets()
            except Exception as error:
                name = type(error).__name__
                raise LinkLost(f"it does not speak the protocol of Redis ({name})") from None
            self._limit_waits(line, _left(until, silence))

    def _limit_waits(self, line: socket.socket, limit: float) -> None:
        """Have no wait of the socket take longer."""
        if limit == self._limit:
            return
        if self._is_plain and _HAS_TIMEVAL:
            # The system's own limit, where Python's would cost a call of poll() before each other.
            line.settimeout(None)
            timeval = struct.pack("@ll", int(limit), max(1, int(limit % 1 * 1e6)))
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
        else:
            line.settimeout(limit)
        self._limit = limit

    # -- ending it -------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the connection; nothing is sent for that."""
        line = self._socket
        if line is not None:
            self.shut_down()  # a forked child that lives would keep it open
            line.close()
            self._socket = None

    async def aclose(self) -> None:
        """Do the same."""
        self.close()

    def shut_down(self) -> None:
        """End the connection, also under the thread that uses it; in a forked child, do nothing."""
        line = self._socket
        if line is not None and os.getpid() == self._process:
            with contextlib.suppress(OSError):
                # Not the method of a TLS socket, which would have the thread read what is not its.
                socket.socket.shutdown(line, socket.SHUT_RDWR)


def _left(until: float, silence: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return min(left, silence)


def _watch(line: socket.socket) -> Callable[[], bool]:
    """Return what tells whether something, or the end, has arrived on a socket."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(line, select.POLLIN)
        look = poll.poll
        return lambda: bool(look(0))
    return lambda: bool(select.select([line], [], [], 0)[0])  # pragma: no cover
