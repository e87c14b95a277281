"""A socket on the event loop whose data wait until they are read."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Callable, Optional, cast

__all__ = ["Inbox"]


class Inbox(asyncio.Protocol):
    """A socket, and what was received on it, however fast that is taken out.

    Args:
        gone: Called once when the other end has closed, or this one.
        limit: Stop receiving while this many bytes wait to be read.
    """

    def __init__(
        self, gone: Optional[Callable[[], None]] = None, limit: Optional[int] = None
    ) -> None:
        self.transport: Optional[asyncio.Transport] = None
        self.connected = asyncio.Event()
        self.closed = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()
        self._gone = gone
        self._limit = limit
        self._received: asyncio.Queue[bytes] = asyncio.Queue()
        self._waiting = 0

    async def read(self) -> bytes:
        """Return what was received next; nothing means that no more will come."""
        data = await self._received.get()
        self._waiting -= len(data)
        if self._limit is not None and self._waiting < self._limit and self.transport is not None:
            self.transport.resume_reading()
        return data

    def write(self, data: bytes) -> None:
        """Send, unless the socket is closed."""
        if data and self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def end(self) -> None:
        """Send an end of file and go on receiving."""
        if self.transport is not None and not self.transport.is_closing():
            with suppress(OSError):
                self.transport.write_eof()

    def close(self, *, reset: bool = False) -> None:
        """Close once everything is sent, or at once with a reset."""
        if self.transport is None:
            return
        if not reset:
            self.transport.close()
            return
        sock = self.transport.get_extra_info("socket")
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def abort(self) -> None:
        """Close now, whatever was not sent yet."""
        if self.transport is not None:
            self.transport.abort()
            await self.closed.wait()

    # Below: called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.connected.set()

    def data_received(self, data: bytes) -> None:
        self._waiting += len(data)
        self._received.put_nowait(data)
        if self._limit is not None and self._waiting >= self._limit and self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self._end_of_stream()
        return True

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self.closed.set()
        self.writable.set()
        self._end_of_stream()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def _end_of_stream(self) -> None:
        self._received.put_nowait(b"")
        if self._gone is not None:
            self._gone()
            self._gone = None
