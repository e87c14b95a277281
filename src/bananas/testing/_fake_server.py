"""fakeredis's TCP server with connections that behave as a real server's do."""

from __future__ import annotations

import itertools
import re
import socket
import threading
import uuid
from socketserver import BaseRequestHandler
from typing import Any, Iterable, List, Tuple

from .._missing_extras import missing_extra
from .._redis import reply_error

__all__ = ["make_server"]

_END = object()
_CHUNK = 1 << 16
_STATUSES = (b"OK", b"PONG", b"QUEUED", b"RESET")
_CODE = re.compile(r"-?[A-Z][A-Z0-9]+ ")
_SCRIPT_COMMANDS = (b"EVAL", b"EVALSHA", b"EVAL_RO", b"EVALSHA_RO")
_NO_SCRIPT = re.compile(r"ERR unknown command .eval", re.IGNORECASE)
_NO_SCRIPTS = (
    "ERR unknown command 'EVAL': the embedded broker runs no scripts; test this on a real Redis, "
    "with LocalQueue(url) or pytest --bananas-redis-url"
)


def make_server(host: str) -> Any:
    """Return fakeredis's server, bound to a free port and not yet serving.

    Its own connections end with the first error reply, lose what is larger than the socket's
    buffer, look for messages a hundred times a second, stay open after CLIENT KILL, know no INFO,
    and print a traceback when a client is gone; so it is given others.

    Raises:
        ImportError: fakeredis is not installed.
    """
    try:
        from fakeredis import TcpFakeServer
    except ImportError as error:
        raise missing_extra("the embedded broker", "fakeredis", "testing") from error
    server: Any = TcpFakeServer((host, 0))
    server.RequestHandlerClass = _Connection
    server.daemon_threads = True
    server.block_on_close = False  # close_connections() waits, with a limit
    server.request_queue_size = 128
    server.socket.listen(server.request_queue_size)
    server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # its connections inherit
    server.connections = _Connections()
    server.run_id = uuid.uuid4().hex
    return server


class _Connections:
    """The connections of one server, with the threads that serve them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: List[_Connection] = []
        self._closing = False

    def add(self, connection: _Connection) -> bool:
        with self._lock:
            if not self._closing:
                self._open.append(connection)
            return not self._closing

    def remove(self, connection: _Connection) -> None:
        with self._lock:
            self._open.remove(connection)

    def snapshot(self) -> List[_Connection]:
        with self._lock:
            return list(self._open)

    def close(self, timeout: float) -> None:
        """End them all, and wait for each thread for ``timeout`` seconds at most."""
        with self._lock:
            self._closing = True
            connections = list(self._open)
        for connection in connections:
            connection.hang_up()
        for connection in connections:
            connection.thread.join(timeout)


class _Connection(BaseRequestHandler):
    """Serves one client: this thread reads and carries out, a second one writes.

    The second one exists so that a published message goes out at once, while this thread waits
    for the next command.
    """

    request: socket.socket

    def setup(self) -> None:
        server: Any = self.server
        self.thread = threading.current_thread()
        self.client = _new_client(server, self.request, self.client_address)
        self.socket = self.client.get_socket()
        self._fake = server.fake_server
        self._run_id: str = server.run_id
        self._connections: _Connections = server.connections
        self._replies = self.socket.responses
        self._carry_out = self.socket._process_command
        self.socket._process_command = self._process
        self._writer = threading.Thread(target=self._write, name="bananas broker", daemon=True)

    def handle(self) -> None:
        if not self._connections.add(self):
            return
        self._writer.start()
        try:
            self._read()
        finally:
            self._replies.put(_END)
            self._writer.join(1)
            self._connections.remove(self)

    def finish(self) -> None:
        self.client.disconnect()

    def hang_up(self) -> None:
        """End the connection."""
        _shut_down(self.request)
        self.wake()

    def wake(self) -> None:
        """End a blocking command that is being carried out."""
        with self._fake.lock:
            if self.socket._blocked:
                self.socket._unblock_reason = b"timeout"
                self.socket._db.wake_all()

    def _read(self) -> None:
        while True:
            try:
                data = self.request.recv(_CHUNK)
            except OSError:
                return
            if not data:
                return
            try:
                self.socket.sendall(data)
            except Exception as error:
                if not self.socket._killed:
                    self._replies.put(error)
                return

    def _process(self, command: List[bytes]) -> None:
        """Carry out one command, unless the connection was killed while it was on its way."""
        if self.socket._killed:
            raise ConnectionError
        words = [word.upper() for word in command[:2]]
        if words[:1] == [b"INFO"]:
            self._replies.put(f"# Server\r\nrun_id:{self._run_id}\r\n")
            return
        if words[:1] and words[0] in _SCRIPT_COMMANDS:
            # With the package lupa, fakeredis would run some scripts and fail in others.
            command = [b"EVAL_HERE", *command[1:]]
        self._carry_out(command)
        if words == [b"CLIENT", b"KILL"]:
            self._drop_killed()

    def _drop_killed(self) -> None:
        """Close the connections that were killed, after what they still have to read."""
        for connection in self._connections.snapshot():
            if connection.socket._killed:
                connection._replies.put(_END)
                connection.wake()

    def _write(self) -> None:
        replies, ended = self._replies, False
        while not ended:
            batch = [replies.get()]
            while not replies.empty() and len(batch) < 1000:
                batch.append(replies.get())
            ended = _END in batch
            if ended:
                del batch[batch.index(_END) :]
            protocol = self.socket._client_info.protocol_version
            try:
                self.request.sendall(b"".join(_encode(reply, protocol) for reply in batch))
            except OSError:
                break
        _shut_down(self.request)


def _new_client(server: Any, connection: socket.socket, peer: Tuple[str, int]) -> Any:
    """Return what fakeredis keeps of a client."""
    from fakeredis import FakeRedisConnection

    own = connection.getsockname()
    return FakeRedisConnection(
        server=server.fake_server,
        protocol=2,  # until HELLO says otherwise; redis-py 8 would begin with RESP3
        client_info={
            "addr": f"{peer[0]}:{peer[1]}",
            "laddr": f"{own[0]}:{own[1]}",
            "fd": connection.fileno(),
        },
    )


def _shut_down(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the peer was faster


def _encode(value: Any, protocol: int) -> bytes:
    """Return a reply as RESP2, or as RESP3 where the client asked for it.

    fakeredis has given the reply the shape that the protocol can express.
    """
    if isinstance(value, (bytes, str)):
        data = value.encode() if isinstance(value, str) else value
        return b"+%s\r\n" % data if data in _STATUSES else b"$%d\r\n%s\r\n" % (len(data), data)
    if value is None:
        return b"_\r\n" if protocol == 3 else b"$-1\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, float):
        return b",%r\r\n" % value if protocol == 3 else _encode(repr(value), protocol)
    if isinstance(value, BaseException):
        return b"-%s\r\n" % _error(value).encode("utf-8", "replace")
    if isinstance(value, dict):
        return _aggregate(b"%", len(value), itertools.chain(*value.items()), protocol)
    return _aggregate(b"*", len(value), value, protocol)


def _aggregate(mark: bytes, size: int, items: Iterable[Any], protocol: int) -> bytes:
    return b"%s%d\r\n" % (mark, size) + b"".join(_encode(item, protocol) for item in items)


def _error(error: BaseException) -> str:
    """Return an error reply: redis-py made an exception of it, and took off the code it knows."""
    text = str(reply_error(error)).replace("\r", " ").replace("\n", " ")
    text = text if _CODE.match(text) else f"ERR {text}"
    return _NO_SCRIPTS if _NO_SCRIPT.match(text) else text
