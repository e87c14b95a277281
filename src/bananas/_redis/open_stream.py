"""Opens a byte stream to the first of a host's addresses that answers."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import functools
import socket
import ssl
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from .._daemon_thread import run_in_daemon_thread, wait_for_daemon_thread
from .tls import make_context
from .url import Endpoint, ip_version

__all__ = [
    "ATTEMPT_DELAY",
    "Address",
    "AddressesFailed",
    "Opening",
    "Step",
    "StreamOpening",
    "new_socket",
    "resolve_here",
]

#: Seconds after which the next address is tried too (the Connection Attempt Delay of RFC 8305).
ATTEMPT_DELAY = 0.25
_HEARD_LIMIT = 2048
# The kernel takes no more bytes than this before it can send them. It would take megabytes, and a
# slow upload would look like a silent connection for as long as it sends them.
_MOST_UNSENT = 1 << 17

#: Family, type, protocol, canonical name and address, as getaddrinfo returns them.
Address = Tuple[Any, Any, int, str, Any]


class AddressesFailed(OSError):
    """No address of a host could be connected to.

    Attributes:
        errors: Why, for each address.
    """

    def __init__(self, errors: Sequence[OSError]) -> None:
        super().__init__("no address could be connected to")
        self.errors = tuple(errors)


class Step(enum.Enum):
    """What is being done."""

    CREDENTIALS = "the credential provider is asked"
    RESOLVE = "the name is looked up"
    CONNECT = "a connection is made"
    TLS = "TLS is agreed upon"
    TALK = "the stream is open"


@dataclass
class Opening:
    """One attempt to connect, of whichever kind: what is known of it where it fails.

    Attributes:
        endpoint: Where to connect to, and as whom.
        what: What listens there, for messages.
        limit: How long it may take, in seconds.
        context: What TLS uses in place of the endpoint's options.
        has_provider: Whether a credential provider gives user name and password.
        step: What is being done, or was when it failed.
        heard: The first bytes that the server sent, decrypted.
        error: Why no stream could be opened.
    """

    endpoint: Endpoint
    what: str
    limit: float
    context: Optional[ssl.SSLContext]
    has_provider: bool
    step: Step = Step.CONNECT
    heard: bytes = b""
    error: Optional[Exception] = None

    @property
    def where(self) -> str:
        """What is connected to, for messages."""
        return f"{self.what} at {self.endpoint}"

    @property
    def patience(self) -> float:
        """How long to try: callers give up after the whole of the time, and are to be told why."""
        return self.limit - min(0.1 * self.limit, 0.25)

    def hear(self, data: bytes) -> None:
        """Keep what the server says first."""
        if len(self.heard) < _HEARD_LIMIT:
            self.heard += data[:_HEARD_LIMIT]

    def hear_last(self, connected: socket.socket) -> None:
        """Keep what a server has said before it ended the connection, and nobody has read."""
        with contextlib.suppress(OSError, AttributeError):
            self.hear(connected.recv(_HEARD_LIMIT))

    def tls_context(self) -> Optional[ssl.SSLContext]:
        """Return the context that was given, or one as the endpoint asks for; None without TLS.

        Raises:
            TlsOptionError: A file for TLS can't be used.
        """
        if self.endpoint.scheme != "rediss":
            return None
        return self.context or make_context(dict(self.endpoint.tls))


class StreamOpening(Opening):
    """An attempt to open a stream of asyncio's."""

    async def open(self) -> Tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, with TLS if the endpoint asks for it.

        Raises:
            OSError: It can't be done.
            TlsOptionError: A file for TLS can't be used.
        """
        try:
            return await self._open()
        except Exception as error:
            self.error = error
            raise

    async def _open(self) -> Tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.step = Step.CONNECT
        endpoint, loop = self.endpoint, asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = _Hearing(reader, self)
        if endpoint.scheme == "unix":
            transport, _ = await loop.create_unix_connection(lambda: protocol, endpoint.path)
            protocol.socket = transport.get_extra_info("socket")
        else:
            context = self.tls_context()
            self.step = Step.RESOLVE
            addresses = await _resolve(endpoint.host, endpoint.port)
            self.step = Step.CONNECT
            connected = await _connect_to_any(addresses)
            if context is None:
                protocol.socket = connected
            else:
                self.step = Step.TLS
            transport, _ = await loop.create_connection(
                lambda: protocol,
                sock=connected,
                ssl=context,
                server_hostname=endpoint.host if context else None,
            )
        self.step = Step.TALK
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


class _Hearing(asyncio.StreamReaderProtocol):
    """Keeps the first bytes that arrive, also those that a reset would throw away."""

    def __init__(self, reader: asyncio.StreamReader, opening: Opening) -> None:
        super().__init__(reader)
        self.socket: Optional[socket.socket] = None
        self._opening = opening

    def data_received(self, data: bytes) -> None:
        self._opening.hear(data)
        super().data_received(data)

    def connection_lost(self, exc: Optional[Exception]) -> None:
        # A server that ends a connection says why before it closes, and a write that fails then
        # keeps the loop from reading it.
        if exc is not None and self.socket is not None:
            self._opening.hear_last(self.socket)
        super().connection_lost(exc)


async def _resolve(host: str, port: int) -> List[Address]:
    """Return the addresses of a host, in the order in which to try them.

    The look-up runs in a thread of its own. The threads of the loop's executor can't be used once
    the main thread has ended, and the interpreter waits for them when it ends.
    """
    look_up = functools.partial(_look_up, host, port)
    if ip_version(host):
        return look_up()
    return _alternate(await run_in_daemon_thread(look_up, "bananas resolver"))


def resolve_here(host: str, port: int, limit: float) -> List[Address]:
    """Do the same where there is no event loop, for ``limit`` seconds at most.

    Raises:
        OSError: The name can't be resolved, or not in time.
    """
    look_up = functools.partial(_look_up, host, port)
    if ip_version(host):
        return look_up()
    return _alternate(wait_for_daemon_thread(look_up, "bananas resolver", limit))


def _look_up(host: str, port: int) -> List[Address]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _alternate(addresses: Sequence[Address]) -> List[Address]:
    """Put addresses of different families in turns, each family in its own order."""
    turns: Dict[Any, int] = {}
    ranked = []
    for address in addresses:
        turns[address[0]] = turns.get(address[0], -1) + 1
        ranked.append((turns[address[0]], address))
    return [address for _, address in sorted(ranked, key=lambda one: one[0])]


def new_socket(address: Address) -> socket.socket:
    """Return a socket that does not block, and is to be connected to an address."""
    family, kind, protocol, _, _ = address
    found = socket.socket(family, kind, protocol)
    try:
        found.setblocking(False)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        with contextlib.suppress(OSError, AttributeError):  # not every system's sockets have it
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MOST_UNSENT)
    except BaseException:
        found.close()
        raise
    return found


async def _connect_to_any(addresses: Sequence[Address]) -> socket.socket:
    """Return a socket that is connected to one of some addresses.

    Raises:
        OSError: None of them can be connected to.
    """
    if len(addresses) == 1:
        return await _connect(addresses[0])
    left = list(addresses)
    failures: List[OSError] = []
    running: Set[asyncio.Task[socket.socket]] = set()
    try:
        while left or running:
            if left:
                running.add(asyncio.ensure_future(_connect(left.pop(0))))
            done, _ = await asyncio.wait(
                running,
                timeout=ATTEMPT_DELAY if left else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                running.discard(task)
                error = task.exception()
                if error is None:
                    running.update(done - {task})
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                failures.append(error)
    finally:
        await _discard(running)
    raise AddressesFailed(failures)


async def _connect(address: Address) -> socket.socket:
    found = new_socket(address)
    try:
        await asyncio.get_running_loop().sock_connect(found, address[4])
    except BaseException:
        found.close()
        raise
    return found


async def _discard(tasks: Set[asyncio.Task[socket.socket]]) -> None:
    """End attempts that are not needed, and close what they have connected."""
    for task in tasks:
        task.cancel()
        task.add_done_callback(_close)
    if tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait(tasks)


def _close(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
