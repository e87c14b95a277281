"""EmbeddedBroker: a Redis for tests and demos, inside this process, on a loopback port."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Any, Optional, Type, TypeVar

from ._fake_server import make_server

__all__ = ["EmbeddedBroker"]

Self = TypeVar("Self", bound="EmbeddedBroker")

_HOST = "127.0.0.1"
_STOP_LIMIT = 2.0
_POLL_INTERVAL = 0.05


class EmbeddedBroker:
    """fakeredis behind a real port. Everything that the queue needs works, except Lua scripts.

    It keeps its data in memory, has no password, and is reachable only from this machine. Use it as
    a context manager, or call ``start`` and ``stop``. You can start it again: it is then empty and
    has another port.

    Raises:
        ImportError: From ``start``, if fakeredis is not installed; the extra ``testing`` installs
            it.
    """

    def __init__(self) -> None:
        self._server: Any = None
        self._thread: Optional[threading.Thread] = None

    def __repr__(self) -> str:
        return f"<EmbeddedBroker {self.url if self._server is not None else 'stopped'}>"

    @property
    def port(self) -> int:
        """The port; raises while the broker is stopped."""
        if self._server is None:
            raise RuntimeError("the embedded broker is not running: call start()")
        port: int = self._server.server_address[1]
        return port

    @property
    def url(self) -> str:
        """The URL for clients and workers; raises while the broker is stopped."""
        return f"redis://{_HOST}:{self.port}/0"

    def start(self: Self) -> Self:
        """Start it, if it does not run yet; clients can connect when this returns."""
        if self._server is None:
            server = make_server(_HOST)
            self._thread = threading.Thread(
                target=server.serve_forever, args=(_POLL_INTERVAL,), name="bananas broker",
                daemon=True,
            )  # fmt: skip
            self._thread.start()
            self._server = server
        return self

    def stop(self) -> None:
        """Close the port and all connections, and delete the data."""
        server, self._server = self._server, None
        thread, self._thread = self._thread, None
        if server is None or thread is None:
            return
        server.shutdown()
        server.server_close()
        server.connections.close(_STOP_LIMIT)
        thread.join(_STOP_LIMIT)

    def clear(self) -> None:
        """Delete all keys of all databases."""
        with socket.create_connection((_HOST, self.port), _STOP_LIMIT) as connection:
            connection.sendall(b"*1\r\n$8\r\nFLUSHALL\r\n")
            connection.recv(100)

    def __enter__(self: Self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.stop()
