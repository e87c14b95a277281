"""A relay in front of a server that lets so many bytes a second through."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from types import TracebackType
from typing import Optional, Set, Type

__all__ = ["SlowLink"]

_TURN_S = 0.02
# What a kernel would hold for a reader that is slow: without this limit, megabytes.
_BUFFER = 32 * 1024


class SlowLink:
    """Relays connections on the loop of the test.

    Args:
        port: Of the server.
        rate: Bytes a second, in each direction of each connection.
    """

    def __init__(self, port: int, rate: float) -> None:
        self.port = 0
        self.connections = 0
        self.carried_up = 0
        self._upstream = port
        self._rate = rate
        self._server: Optional[asyncio.AbstractServer] = None
        self._tasks: Set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> SlowLink:
        listener = socket.socket()
        # Those that it accepts inherit it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._serve, sock=listener, limit=_BUFFER)
        return self

    async def __aexit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):  # asyncio would complain of it
            await self._relay(reader, writer)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        with socket.socket() as upstream:
            upstream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            upstream.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(upstream, ("127.0.0.1", self._upstream))
            far_reader, far_writer = await asyncio.open_connection(
                sock=upstream.dup(), limit=_BUFFER
            )
        try:
            ways = [
                asyncio.ensure_future(self._carry(reader, far_writer, up=True)),
                asyncio.ensure_future(self._carry(far_reader, writer, up=False)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
        finally:
            self._tasks.discard(task)
            for one in (writer, far_writer):
                one.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while True:
                data = await reader.read(int(self._rate * _TURN_S) or 1)
                if not data:
                    return
                if up:
                    self.carried_up += len(data)
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(len(data) / self._rate)
