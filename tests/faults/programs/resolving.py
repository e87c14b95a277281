"""Uses clients by host name: after the main thread has ended, or with a resolver that hangs."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from typing import Any

import bananas


def after_main(port: int) -> None:
    """Connect, lose the connection, and connect again, in a thread that outlives the main one."""
    url = f"redis://localhost:{port}"
    client = bananas.Client(url)
    client.submit_job("work", 1)

    def work() -> None:
        threading.main_thread().join()
        _drop_all(port)
        client.submit_job("work", 2)
        bananas.Client(url).close()
        asyncio.run(_submit(url))
        client.close()
        print("done", flush=True)

    threading.Thread(target=work).start()


async def _submit(url: str) -> None:
    async with bananas.AsyncClient(url) as client:
        await client.submit_job("work", 3)


def _drop_all(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"CLIENT KILL TYPE normal SKIPME yes\r\n")
        assert connection.recv(100).startswith(b":")


def hanging(kind: str) -> None:
    """Give up on a resolver that hangs, and end."""

    def hang(*_: Any, **__: Any) -> Any:
        time.sleep(60)

    socket.getaddrinfo = hang
    try:
        if kind == "sync":
            bananas.Client("redis://slow.example:6379", connect_timeout=0.5)
        else:
            asyncio.run(
                bananas.AsyncClient("redis://slow.example:6379", connect_timeout=0.5).connect()
            )
    except bananas.ConnectionError as error:
        print(error, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "after_main":
        after_main(int(sys.argv[2]))
    else:
        hanging(sys.argv[2])
