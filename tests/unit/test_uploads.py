"""How much of an upload is still to be sent can be seen, whatever holds it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import anyio

from bananas._redis.open_stream import new_socket
from bananas._redis.private_api import unwritten

_CERTIFICATE = str(Path(__file__).parent.parent / "behaviour" / "localhost.pem")


def test_kernel_holds_little() -> None:
    """It takes no megabytes that the other side is not ready for."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        address = (socket.AF_INET, socket.SOCK_STREAM, 0, "", listener.getsockname())
        with new_socket(address) as client:
            client.setblocking(True)
            client.connect(address[4])
            client.setblocking(False)
            assert client.send(bytes(8_000_000)) < 1_000_000


async def test_what_tls_has_handed_down_counts() -> None:
    """The transport of TLS does not count what the one below it has not written."""
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(_CERTIFICATE)
    client_side = ssl.create_default_context(cafile=_CERTIFICATE)
    over, ended = asyncio.Event(), asyncio.Event()

    async def reads_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        await _abort(writer)
        ended.set()

    with anyio.fail_after(60):
        server = await asyncio.start_server(reads_nothing, "127.0.0.1", 0, ssl=server_side)
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_side, server_hostname="localhost"
        )
        writer.write(bytes(20_000_000))
        left = unwritten(writer.transport)
        await _abort(writer)
        over.set()
        await ended.wait()
        server.close()
    assert left > 5_000_000


async def _abort(writer: asyncio.StreamWriter) -> None:
    """Drop a connection, and wait until its socket is closed."""
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
