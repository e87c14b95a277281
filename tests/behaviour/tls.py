"""TLS in front of a plain server, on the loop at hand."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Set

__all__ = ["CERTIFICATE", "TlsRelay"]

#: Certificate and key in one file; clients trust it as its own authority.
CERTIFICATE = str(Path(__file__).parent / "localhost.pem")


class TlsRelay:
    """Takes TLS connections on a loopback port and passes what they carry to another port.

    Args:
        upstream: The port of the plain server.
    """

    def __init__(self, upstream: int) -> None:
        self.port = 0
        self._upstream = upstream
        self._tasks: Set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> TlsRelay:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        self._server = await asyncio.start_server(self._accepted, "0.0.0.0", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        plain_reader, plain_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            await asyncio.gather(_pump(reader, plain_writer), _pump(plain_reader, writer))
        finally:
            self._tasks.discard(task)
            for end in (writer, plain_writer):
                end.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            data = await reader.read(65536)
            if not data:
                break
            writer.write(data)
    except ConnectionError:
        pass
    writer.close()
