"""The private parts of asyncio and redis-py that this package stands on, and their check."""

from __future__ import annotations

import asyncio
import inspect
import sys
from typing import Any, Tuple

import redis
from redis.asyncio.connection import AbstractConnection
from redis.connection import AbstractConnection as BlockingConnection

__all__ = [
    "close_transport",
    "detach_socket",
    "give_streams",
    "has_unread",
    "take_streams",
    "without_complaint",
]


def _check() -> None:
    """Refuse a release without one of the parts, instead of failing in the middle of a call."""
    for name in ("_connect", "_reader", "_writer"):
        if not hasattr(AbstractConnection, name):
            raise _unknown(f"redis-py {redis.__version__}", f"AbstractConnection.{name}")
    if "_buffer" not in asyncio.StreamReader.__init__.__code__.co_names:
        raise _unknown(_python(), "StreamReader._buffer")
    # Its attributes, where the constructor makes them; a release may have decorated that.
    made = inspect.unwrap(BlockingConnection.__init__).__code__.co_names
    for name in ("_connect", "_sock", "disconnect"):
        if name not in made and not hasattr(BlockingConnection, name):
            raise _unknown(f"redis-py {redis.__version__}", f"blocking AbstractConnection.{name}")


def _python() -> str:
    return f"Python {sys.version.split()[0]}"


def _unknown(release: str, part: str) -> ImportError:
    return ImportError(
        f"bananas does not work with {release}, which has no {part}: use an older release of it, "
        "or a newer one of bananas-queue"
    )


def give_streams(connection: Any, streams: Tuple[Any, Any]) -> None:
    """Have a connection of redis-py use a stream that it has not opened itself."""
    connection._reader, connection._writer = streams


def take_streams(connection: Any) -> Tuple[Any, Any]:
    """Take reader and writer away from a connection of redis-py, which would close them."""
    found = connection._reader, connection._writer
    connection._reader = connection._writer = None
    return found


def detach_socket(connection: Any) -> None:
    """Take its socket away from a blocking connection of redis-py, which would shut it down."""
    connection._sock = None
    connection._parser.on_disconnect()


def has_unread(reader: Any) -> bool:
    """Whether something has arrived that nobody has read."""
    return bool(reader._buffer)


def close_transport(transport: Any) -> None:
    """Close the socket of a transport whose loop is closed, which can't do it any more."""
    tls = getattr(transport, "_ssl_protocol", None)
    transport = getattr(tls, "_transport", transport)
    sock = getattr(transport, "_sock", None)
    if sock is not None:
        transport._sock = None
        sock.close()


def without_complaint(task: Any) -> None:
    """Let asyncio not complain of a pending task when it is collected."""
    task._log_destroy_pending = False


_check()
