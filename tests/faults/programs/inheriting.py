"""Closes its clients while a forked child, which has inherited their connections, lives on."""

from __future__ import annotations

import asyncio
import os
import sys

from bananas import AsyncClient, Client


def _fork() -> int:
    """Return the child's id; the child lives until its standard input ends."""
    child = os.fork()
    if not child:
        sys.stdin.readline()
        os._exit(0)
    return child


async def _use(url: str) -> int:
    async with AsyncClient(url) as client:
        wait = asyncio.ensure_future(client.wait_for_result("job", None))
        while not client.stats().listening:
            await asyncio.sleep(0.005)
        child = _fork()
        wait.cancel()
    return child


def main(url: str) -> None:
    """Fork with a client of either kind in use, close it, and wait for the children."""
    with Client(url) as client:
        client.submit_job("work", None)
        children = [_fork()]
    children.append(asyncio.run(_use(url)))
    print("closed", flush=True)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0


if __name__ == "__main__":
    main(sys.argv[1])
