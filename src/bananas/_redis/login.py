"""Has redis-py open a connection, log in and choose the database, with every default pinned."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from redis.asyncio.connection import Connection as AsyncConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.connection import Connection as BlockingConnection
from redis.retry import Retry as BlockingRetry

from .opening import Opening
from .private import detach_socket, give_streams

__all__ = ["PinnedConnection", "log_in"]

#: Every default of redis-py's connections that could do harm; connect() bounds the handshake too.
_PINNED: Dict[str, Any] = {
    "retry_on_timeout": False,
    "socket_timeout": None,
    "socket_connect_timeout": None,
    "health_check_interval": 0,
    "decode_responses": False,
    "protocol": 2,
}


class PinnedConnection(AsyncConnection):
    """redis-py's connection, over a stream that we open, with every default pinned."""

    def __init__(
        self, opening: Opening, db: int, username: Optional[str], password: Optional[str]
    ) -> None:
        self._opening = opening
        retry = Retry(NoBackoff(), 0)
        super().__init__(db=db, username=username, password=password, retry=retry, **_PINNED)

    async def _connect(self) -> None:
        give_streams(self, await self._opening.open())


class _BlockingConnection(BlockingConnection):
    """The same for redis-py's blocking connection, over a socket that we open."""

    def __init__(
        self, open_socket: Callable[[], Any], db: int, username: Any, password: Any
    ) -> None:
        self._open_socket = open_socket
        retry = BlockingRetry(NoBackoff(), 0)
        super().__init__(  # type: ignore[no-untyped-call]
            db=db, username=username, password=password, retry=retry, **_PINNED
        )

    def _connect(self) -> Any:
        return self._open_socket()


def log_in(
    open_socket: Callable[[], Any], db: int, username: Optional[str], password: Optional[str]
) -> None:
    """Have redis-py open a blocking socket, authenticate and choose the database."""
    connection: Any = _BlockingConnection(open_socket, db, username, password)
    connection.connect()
    # It would shut the socket down when it is collected.
    detach_socket(connection)
