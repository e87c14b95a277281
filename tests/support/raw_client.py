"""A blocking Redis connection that leaves every byte to its user."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any, Optional, Type

import hiredis

from .framing import Argument, encode_command
from .ports import HOST

__all__ = ["RawClient", "RespError"]

_INCOMPLETE = object()


class RespError(Exception):
    """An error reply of the server."""


class RawClient:
    """One connection to a port on loopback, closed at the end of a `with` block.

    Args:
        port: Where to connect.
        timeout: Seconds after which a read raises `socket.timeout`.
    """

    def __init__(self, port: int, timeout: float = 30.0) -> None:
        self.socket = socket.create_connection((HOST, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader(replyError=RespError, notEnoughData=_INCOMPLETE)

    def send(self, *args: Argument) -> None:
        """Send one command."""
        self.socket.sendall(encode_command(*args))

    def receive(self) -> Any:
        """Return the next reply.

        Raises:
            RespError: The reply is an error.
            EOFError: The connection was closed first.
        """
        reply = self._reader.gets()
        while reply is _INCOMPLETE:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("the connection was closed")
            self._reader.feed(data)
            reply = self._reader.gets()
        if isinstance(reply, RespError):
            raise reply
        return reply

    def command(self, *args: Argument) -> Any:
        """Send one command and return its reply."""
        self.send(*args)
        return self.receive()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        tb: Optional[TracebackType],
    ) -> None:
        self.close()
