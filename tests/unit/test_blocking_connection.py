"""A blocking connection, on one end of a pair of sockets."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from typing import Any, Iterator, List, Tuple

import pytest

from bananas._blocking.blocking_connection import BlockingConnection, NotSent, _watch
from bananas._redis import LinkLost, new_reader
from bananas._redis.url import parse_url
from tests.behaviour.tls import CERTIFICATE

SCHEMES = ["redis", "rediss"]


class InPieces:
    """A socket that takes a few bytes at a time, and fails after so many of these writes."""

    def __init__(self, within: socket.socket, writes: int) -> None:
        self._socket = within
        self._writes = writes

    def send(self, data: bytes) -> int:
        """Take a few bytes."""
        if not self._writes:
            raise ConnectionResetError
        self._writes -= 1
        return self._socket.send(data[:7])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


@contextlib.contextmanager
def connected(scheme: str) -> Iterator[Tuple[BlockingConnection, socket.socket]]:
    """Give a connection that is open, and the server's end of it."""
    connection = BlockingConnection(parse_url(f"{scheme}://localhost"), 60)
    near, far = socket.socketpair()
    far.settimeout(60)
    if scheme == "rediss":
        near, far = _with_tls(near, far)
    with near, far:
        connection._socket = near
        connection._is_plain = scheme == "redis"
        connection._is_readable = _watch(near)
        connection._reader = new_reader()
        yield connection, far


def _with_tls(near: socket.socket, far: socket.socket) -> Tuple[socket.socket, socket.socket]:
    """Make the handshake of TLS 1.3, after which the server sends tickets that nobody reads."""

    def serve() -> None:
        served.append(server.wrap_socket(far, server_side=True))

    served: List[socket.socket] = []
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.minimum_version = ssl.TLSVersion.TLSv1_3
    server.load_cert_chain(CERTIFICATE)
    thread = threading.Thread(target=serve)
    thread.start()
    near.settimeout(60)
    client = ssl.create_default_context(cafile=CERTIFICATE)
    wrapped = client.wrap_socket(near, server_hostname="localhost")
    thread.join(60)
    return wrapped, served[0]


def write_in_pieces(connection: BlockingConnection, writes: int = 1000) -> None:
    """Have it write a few bytes at a time, and fail after so many of these writes."""
    near: Any = connection._socket
    pieces: Any = InPieces(near, writes)
    connection._socket = pieces


def is_quiet(connection: BlockingConnection) -> bool:
    """Whether nothing has arrived; each call looks anew."""
    return connection.is_quiet


def exchange(connection: BlockingConnection, data: bytes = b"PING\r\n") -> Any:
    """Write, and read one reply."""
    return connection.exchange(data, 1, time.monotonic() + 60, 60)


@pytest.mark.parametrize(("scheme", "error"), [("redis", NotSent), ("rediss", LinkLost)])
def test_first_write_fails(scheme: str, error: Any) -> None:
    """Under TLS it may have written all the same, and nobody may write the job again."""
    with connected(scheme) as (connection, _):
        write_in_pieces(connection, writes=0)
        with pytest.raises(error, match="^ConnectionResetError$"):
            exchange(connection)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_write_in_pieces(scheme: str) -> None:
    """All is written, in its order, however little the system takes at a time."""
    data = bytes(range(100))
    with connected(scheme) as (connection, far):
        write_in_pieces(connection)
        far.sendall(b"+PONG\r\n")
        assert exchange(connection, data) == [b"PONG"]
        received = b""
        while len(received) < len(data):
            received += far.recv(1000)
        assert received == data


@pytest.mark.parametrize("scheme", SCHEMES)
def test_later_write_fails(scheme: str) -> None:
    """What was written in part was sent."""
    with connected(scheme) as (connection, _):
        write_in_pieces(connection, writes=2)
        with pytest.raises(LinkLost, match="^ConnectionResetError$"):
            exchange(connection, bytes(100))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_write_that_takes_too_long(scheme: str) -> None:
    """It is given up between two pieces."""
    with connected(scheme) as (connection, far):
        write_in_pieces(connection)
        with pytest.raises(TimeoutError):
            connection.exchange(bytes(100), 1, time.monotonic(), 60)
        assert len(far.recv(1000)) == 7


def test_traffic_of_tls_itself() -> None:
    """A connection that has received nothing but tickets can be used; data or an end spoil it."""
    with connected("rediss") as (connection, far):
        assert connection._is_readable()
        assert is_quiet(connection)
        assert not connection._is_readable()
        assert is_quiet(connection)
        far.sendall(b"+PONG\r\n")
        assert exchange(connection) == [b"PONG"]
        assert is_quiet(connection)
        far.sendall(b"+OK\r\n")
        assert not is_quiet(connection)
    with connected("rediss") as (connection, far):
        assert is_quiet(connection)
        far.close()
        assert not is_quiet(connection)


def test_data_on_a_quiet_connection() -> None:
    """Without TLS whatever arrives spoils a connection."""
    with connected("redis") as (connection, far):
        assert is_quiet(connection)
        far.sendall(b"+OK\r\n")
        assert not is_quiet(connection)
