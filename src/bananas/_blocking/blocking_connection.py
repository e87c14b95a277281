"""A blocking connection, whose coroutines never suspend."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import struct
import time
from typing import Any, Callable, Coroutine, List, Optional, Sequence, Tuple, TypeVar

from .._redis import (
    Command,
    Connection,
    LinkLost,
    Reply,
    ask_here,
    log_in_here,
    new_reader,
    pack,
)
from .open_socket import HandshakeSocket, SocketOpening

__all__ = ["BlockingConnection", "NotSent", "run_here"]

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
    raise RuntimeError("a coroutine that runs on a blocking connection has suspended")


class BlockingConnection(Connection[SocketOpening]):
    """A blocking connection, used by one thread at a time.

    Attributes:
        used_at: When it was used last, by the clock of whoever uses it.
    """

    _opening_kind = SocketOpening
    _socket: Optional[socket.socket] = None
    _is_plain = True
    _is_readable: Callable[[], bool]
    _reader: Any = None
    _limit = -1.0
    used_at = 0.0

    # -- connecting ------------------------------------------------------------------------------

    async def _connect(self, sentinel: bool) -> None:
        self._opening.until = time.monotonic() + self._opening.patience
        try:
            await super()._connect(sentinel)
        except Exception as error:
            if isinstance(error.__context__, TimeoutError) and self._opening.is_over:
                raise error.__context__ from None  # some releases of redis-py make another of it
            raise

    async def _ask_provider(self) -> Tuple[Optional[str], Optional[str]]:
        return ask_here(self._provider, self._opening.time_left())

    async def _log_in(self, username: Optional[str], password: Optional[str]) -> None:
        opening = self._opening
        self._socket = opening.open()
        self._is_plain = self.endpoint.scheme != "rediss"
        self._limit = -1.0  # what the socket's is now, nobody knows
        self._is_readable = _watch(self._socket)
        self._reader = new_reader()
        connected = HandshakeSocket(self._socket, opening)
        log_in_here(connected, self.endpoint.db, username, password)

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
            left = _left(until, self._opening.limit)
            return self.exchange(pack(commands), len(commands), until, left)
        except NotSent as error:
            raise LinkLost(str(error)) from None

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
        sock = self._socket
        if sock is None:
            raise NotSent("not connected")
        if not self._process.is_current():
            raise LinkLost("a signal handler has forked during the call")
        written = 0
        try:
            self._limit_waits(sock, silence)
            written = sock.send(data)
            while written < len(data):
                self._limit_waits(sock, _left(until, silence))
                written += sock.send(data[written:])
            return self._read(sock, count, until, silence)
        except (OSError, ValueError) as error:
            if not written and self._is_plain:
                raise NotSent(type(error).__name__) from None
            if isinstance(error, (TimeoutError, socket.timeout, BlockingIOError)):
                raise TimeoutError("no reply came in time") from None
            raise LinkLost(type(error).__name__) from None

    def _read(self, sock: socket.socket, count: int, until: float, silence: float) -> List[Reply]:
        reader = self._reader
        replies: List[Reply] = []
        while True:
            data = sock.recv(_MOST_AT_ONCE)
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
                raise LinkLost(f"it does not speak the Redis protocol ({name})") from None
            self._limit_waits(sock, _left(until, silence))

    def _limit_waits(self, sock: socket.socket, limit: float) -> None:
        """Have no wait of the socket take longer."""
        if limit == self._limit:
            return
        if self._is_plain and _HAS_TIMEVAL:
            # The system's own limit, where Python's would cost a call of poll() before each other.
            sock.settimeout(None)
            timeval = struct.pack("@ll", int(limit), max(1, int(limit % 1 * 1e6)))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
        else:
            sock.settimeout(limit)
        self._limit = limit

    # -- ending it -------------------------------------------------------------------------------

    def abort(self) -> None:
        """Close the connection; nothing is sent for that."""
        sock = self._socket
        if sock is not None:
            self.shut_down()  # a forked child that lives would keep it open
            sock.close()
            self._socket = None

    def shut_down(self) -> None:
        """End the connection, also under the thread that uses it; in a forked child, do nothing."""
        sock = self._socket
        if sock is not None and self._process.is_current():
            with contextlib.suppress(OSError):
                # Not the method of a TLS socket, which would have the thread read what is not its.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _left(until: float, silence: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return min(left, silence)


def _watch(sock: socket.socket) -> Callable[[], bool]:
    """Return what tells whether something, or the end, has arrived on a socket."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        look = poll.poll
        return lambda: bool(look(0))
    return lambda: bool(select.select([sock], [], [], 0)[0])  # pragma: no cover
