"""Opens a blocking socket to a server, with one time limit for all steps."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from typing import Any, Iterator, List, Optional, Sequence

from .._redis import (
    ATTEMPT_DELAY,
    Address,
    AddressesFailed,
    Opening,
    Step,
    new_socket,
    resolve_here,
)

__all__ = ["HandshakeSocket", "SocketOpening"]


class SocketOpening(Opening):
    """An attempt to open a blocking socket.

    Attributes:
        until: When the time is over, by the monotonic clock.
    """

    until = 0.0

    def open(self) -> socket.socket:
        """Connect, with TLS if the endpoint asks for it.

        Raises:
            OSError: It can't be done; ``socket.timeout`` where the time is over.
            TlsOptionError: A file for TLS can't be used.
        """
        try:
            connected = self._open()
        except (TimeoutError, socket.timeout):
            raise socket.timeout("timed out") from None
        except Exception as error:
            self.error = error
            raise
        self.step = Step.TALK
        return connected

    def time_left(self) -> float:
        """Return how many seconds are left.

        Raises:
            socket.timeout: None.
        """
        left = self.until - time.monotonic()
        if left <= 0:
            raise socket.timeout("timed out")
        return left

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self.until

    def _open(self) -> socket.socket:
        self.step = Step.CONNECT
        endpoint = self.endpoint
        if endpoint.scheme == "unix":
            return self._connect_to_path(endpoint.path)
        context = self.tls_context()
        self.step = Step.RESOLVE
        addresses = resolve_here(endpoint.host, endpoint.port, self.time_left())
        self.step = Step.CONNECT
        connected = self._connect_to_any(addresses)
        if context is None:
            return connected
        self.step = Step.TLS
        with _closed_on_error(connected):
            connected.settimeout(self.time_left())
            return context.wrap_socket(connected, server_hostname=endpoint.host)

    def _connect_to_path(self, path: str) -> socket.socket:
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _closed_on_error(found):
            found.settimeout(self.time_left())
            found.connect(path)
        return found

    def _connect_to_any(self, addresses: Sequence[Address]) -> socket.socket:
        """Connect to the first address that answers; the next one is tried after a delay."""
        left = list(addresses)
        failures: List[OSError] = []
        with selectors.DefaultSelector() as pending:
            try:
                while left or pending.get_map():
                    if left:
                        _begin(left.pop(0), pending, failures)
                    limit = self.time_left()
                    for key, _ in pending.select(min(ATTEMPT_DELAY, limit) if left else limit):
                        found: Any = key.fileobj
                        pending.unregister(found)
                        code = found.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                        if not code:
                            return found  # type: ignore[no-any-return]
                        found.close()
                        failures.append(_error(code))
            finally:
                for key in list(pending.get_map().values()):
                    key.fileobj.close()  # type: ignore[union-attr]
        raise failures[0] if len(failures) == 1 else AddressesFailed(failures)


class HandshakeSocket:
    """A socket as redis-py needs it for the handshake, whose waits all end in time."""

    def __init__(self, connected: socket.socket, opening: SocketOpening) -> None:
        self._socket = connected
        self._opening = opening

    def settimeout(self, _: Optional[float]) -> None:
        """Ignore what redis-py wants: the time for all is what is left."""

    def recv(self, size: int) -> bytes:
        """Read what is here."""
        self._socket.settimeout(self._opening.time_left())
        data = self._socket.recv(size)
        self._opening.hear(data)
        return data

    def recv_into(self, buffer: Any, size: int = 0) -> int:
        """Read what is here into a buffer."""
        self._socket.settimeout(self._opening.time_left())
        count = self._socket.recv_into(buffer, size)
        self._opening.hear(bytes(memoryview(buffer)[:count]))
        return count

    def sendall(self, data: bytes) -> None:
        """Write; where the server has ended the connection, hear what it has said before."""
        self._socket.settimeout(self._opening.time_left())
        try:
            self._socket.sendall(data)
        except OSError:
            with contextlib.suppress(OSError):
                self._socket.settimeout(0)
                self._opening.hear_last(self._socket)
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def _begin(address: Address, pending: selectors.BaseSelector, failures: List[OSError]) -> None:
    """Begin to connect to an address."""
    try:
        found = new_socket(address)
    except OSError as error:
        failures.append(error)
        return
    with _closed_on_error(found):
        try:
            found.connect(address[4])
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            found.close()
            failures.append(error)
            return
        pending.register(found, selectors.EVENT_WRITE)


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


@contextlib.contextmanager
def _closed_on_error(opened: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        opened.close()
        raise
