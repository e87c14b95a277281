"""The private parts of asyncio and redis-py that this package stands on, and their check."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
from typing import Any, List

import redis
from redis.asyncio.connection import AbstractConnection
from redis.connection import AbstractConnection as BlockingConnection

__all__ = [
    "close_transport",
    "detach_socket",
    "has_unread",
    "suppress_pending_warning",
    "unwritten",
]


def _check() -> None:
    """Refuse a release without one of the parts, instead of failing in the middle of a call."""
    redis_py, python = f"redis-py {redis.__version__}", f"Python {sys.version.split()[0]}"
    for name in ("_connect", "_reader", "_writer"):
        _require(hasattr(AbstractConnection, name), redis_py, f"AbstractConnection.{name}")
    made = asyncio.StreamReader.__init__.__code__.co_names
    _require("_buffer" in made, python, "StreamReader._buffer")
    # Its attributes, where the constructor makes them; a release may have decorated that.
    made = inspect.unwrap(BlockingConnection.__init__).__code__.co_names
    for name in ("_connect", "_sock", "disconnect"):
        is_there = name in made or hasattr(BlockingConnection, name)
        _require(is_there, redis_py, f"blocking AbstractConnection.{name}")


def _require(is_there: bool, release: str, part: str) -> None:
    if not is_there:
        raise ImportError(
            f"bananas does not work with {release}, which has no {part}: use an older release of "
            "it, or a newer one of bananas-queue"
        )


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


def unwritten(transport: Any) -> int:
    """Return how many bytes a transport, and under TLS the one below it, still holds.

    From Python 3.11 on, that of TLS does not count what it has handed down, nor does uvloop's.
    """
    below = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    if below is None:
        below = _below_on_uvloop(transport)
    sizes: List[int] = [
        one.get_write_buffer_size() for one in (transport, below) if one is not None
    ]
    return max(sizes)


def _below_on_uvloop(transport: Any) -> Any:
    """Return what uvloop's transport of TLS writes to, which no attribute tells."""
    tls = transport.get_extra_info("uvloop.sslproto")
    if tls is None:
        return None
    # Without gc's knowledge an upload that goes on would look like one that has stopped.
    others = (one for one in gc.get_referents(tls) if one is not transport)
    return next((one for one in others if hasattr(one, "get_write_buffer_size")), None)


def suppress_pending_warning(task: Any) -> None:
    """Prevent asyncio's warning when a task is collected that is still pending."""
    task._log_destroy_pending = False


_check()
