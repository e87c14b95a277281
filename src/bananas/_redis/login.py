"""Has redis-py log in and choose the database, with every default pinned."""

from __future__ import annotations

from typing import Any, Dict, Optional

from redis.asyncio.connection import Connection as AsyncConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.connection import Connection as BlockingConnection
from redis.retry import Retry as BlockingRetry

from .private_api import detach_socket

__all__ = ["log_in", "log_in_here"]

#: Every default of redis-py's connections that could do harm; connect() bounds the handshake too.
_PINNED: Dict[str, Any] = {
    "retry_on_timeout": False,
    "socket_timeout": None,
    "socket_connect_timeout": None,
    "health_check_interval": 0,
    "decode_responses": False,
    "protocol": 2,
}


class _OnStream(AsyncConnection):
    """redis-py's connection, over a stream that is open."""

    streams: Any
    _reader: Any = None
    _writer: Any = None

    async def _connect(self) -> None:
        self._reader, self._writer = self.streams


class _OnSocket(BlockingConnection):
    """redis-py's blocking connection, over a socket that is open."""

    socket: Any

    def _connect(self) -> Any:
        return self.socket


async def log_in(
    reader: Any, writer: Any, db: int, username: Optional[str], password: Optional[str]
) -> None:
    """Have redis-py authenticate on a stream, and choose the database."""
    retry = Retry(NoBackoff(), 0)
    connection: Any = _OnStream(
        db=_as_text(db), username=username, password=password, retry=retry, **_PINNED
    )
    connection.streams = reader, writer
    try:
        await connection.connect()
    finally:
        connection._reader = connection._writer = None  # it would close them


def log_in_here(socket: Any, db: int, username: Optional[str], password: Optional[str]) -> None:
    """Do the same on a blocking socket."""
    retry = BlockingRetry(NoBackoff(), 0)
    connection: Any = _OnSocket(  # type: ignore[no-untyped-call]
        db=_as_text(db), username=username, password=password, retry=retry, **_PINNED
    )
    connection.socket = socket
    connection.connect()
    detach_socket(connection)  # it would shut it down when it is collected


def _as_text(db: int) -> str:
    """Return what redis-py sends as it is, but for nothing: hiredis may crash at a number."""
    return str(db or "")
