"""Opens the byte stream to a server, and keeps what is known of it when that fails."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
import ssl
from typing import Optional, Protocol, Tuple

from .addresses import connect_socket, resolve
from .tls import make_context
from .url import Endpoint

__all__ = ["HEARD_LIMIT", "AnyOpening", "Opening", "Step", "tls_context"]

#: So many bytes of what a server says first are kept.
HEARD_LIMIT = 2048


class Step(enum.Enum):
    """What is being done."""

    RESOLVE = "the name is looked up"
    CONNECT = "a connection is made"
    TLS = "TLS is agreed upon"
    TALK = "the stream is open"


class AnyOpening(Protocol):
    """What is known of an attempt to open a stream, of whichever kind.

    Attributes:
        step: What is being done, or was when it failed.
        heard: The first bytes that the server sent, decrypted.
        error: Why it failed.
    """

    step: Step
    heard: bytes
    error: Optional[Exception]


def tls_context(endpoint: Endpoint, context: Optional[ssl.SSLContext]) -> Optional[ssl.SSLContext]:
    """Return the context for an endpoint, the given one if there is one; None without TLS.

    Raises:
        _tls.TlsOptionError: A file for TLS can't be used.
    """
    if endpoint.scheme != "rediss":
        return None
    return context or make_context(dict(endpoint.tls))


class Opening:
    """One attempt to open a stream.

    Attributes:
        step: What is being done, or was when it failed.
        heard: The first bytes that the server sent, decrypted.
        error: Why it failed.
    """

    def __init__(self, endpoint: Endpoint, context: Optional[ssl.SSLContext] = None) -> None:
        self.step = Step.CONNECT
        self.heard = b""
        self.error: Optional[Exception] = None
        self._endpoint = endpoint
        self._context = context

    async def open(self) -> Tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, with TLS if the endpoint asks for it.

        Raises:
            OSError: It can't be done.
            _tls.TlsOptionError: A file for TLS can't be used.
        """
        try:
            return await self._open()
        except Exception as error:
            self.error = error
            raise

    async def _open(self) -> Tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        endpoint, loop = self._endpoint, asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = _Hearing(reader, self)
        if endpoint.scheme == "unix":
            transport, _ = await loop.create_unix_connection(lambda: protocol, endpoint.path)
            protocol.socket = transport.get_extra_info("socket")
        else:
            context = tls_context(endpoint, self._context)
            self.step = Step.RESOLVE
            addresses = await resolve(endpoint.host, endpoint.port)
            self.step = Step.CONNECT
            connected = await connect_socket(addresses)
            if context is None:
                protocol.socket = connected
                transport, _ = await loop.create_connection(lambda: protocol, sock=connected)
            else:
                self.step = Step.TLS
                transport, _ = await loop.create_connection(
                    lambda: protocol, sock=connected, ssl=context, server_hostname=endpoint.host
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
        self._hear(data)
        super().data_received(data)

    def connection_lost(self, exc: Optional[Exception]) -> None:
        # A server that ends a connection says why before it closes, and a write that fails then
        # keeps the loop from reading it.
        if exc is not None and self.socket is not None:
            with contextlib.suppress(OSError, AttributeError):
                self._hear(self.socket.recv(HEARD_LIMIT))
        super().connection_lost(exc)

    def _hear(self, data: bytes) -> None:
        heard = self._opening.heard
        if len(heard) < HEARD_LIMIT:
            self._opening.heard = heard + data[:HEARD_LIMIT]
