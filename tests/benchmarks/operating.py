"""Operates a queue that is large and in use, and measures whom that holds up.

``python -m tests.benchmarks.operating`` fills a server of its own, lets workers run, and measures
PING from another process while each operating call goes on. It needs some minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from contextlib import ExitStack
from typing import Any, Awaitable, Callable, List, Optional, Sequence, Tuple

from bananas import AsyncClient
from bananas.testing import WorkerEmulator
from tests.faults.footprint import Footprint
from tests.support import Child, RawClient, RedisServer
from tests.support.framing import encode_command

from .responder import ROOT

__all__ = ["main"]

_DEAD, _QUEUED = "bananas:queue:dead", "bananas:queue:low"
_PAUSE = 0.002


def _document(job_id: str, status: str, size: int) -> str:
    document = {
        "id": job_id,
        "name": "work",
        "payload": "x" * size,
        "status": status,
        "priority": "low",
        "created_at": "2025-01-15T10:30:00Z",
        "updated_at": "2025-01-15T10:30:05Z",
        "attempts": 3 if status == "failed" else 0,
        "max_retries": 3,
        "error": "boom" if status == "failed" else "",
    }
    return json.dumps(document)


def fill(port: int, prefix: str, target: str, status: str, count: int, size: int) -> None:
    """Make jobs and put them on a list."""
    page = max(1, min(1000, (8 << 20) // (size + 300)))
    with RawClient(port) as link:
        for start in range(0, count, page):
            ids = [f"{prefix}{number}" for number in range(start, min(start + page, count))]
            parts: List[str] = []
            for job_id in ids:
                parts += (f"bananas:job:{job_id}", _document(job_id, status, size))
            link.socket.sendall(encode_command("MSET", *parts))
            link.receive()
            link.socket.sendall(encode_command("LPUSH", target, *ids))
            link.receive()


def ping(port: int) -> None:
    """Send PING again and again; on each line of input, print the slowest reply since the last."""
    import select  # pylint: disable=import-outside-toplevel

    with RawClient(port) as link:
        slowest, count = 0.0, 0
        print("ready", flush=True)
        while True:
            began = time.perf_counter()
            link.command("PING")
            slowest, count = max(slowest, time.perf_counter() - began), count + 1
            if select.select([sys.stdin], [], [], _PAUSE)[0]:
                if not sys.stdin.readline():
                    return
                print(json.dumps([slowest, count]), flush=True)
                slowest, count = 0.0, 0


async def work(url: str) -> None:
    """Run jobs, until the input ends."""
    worker = WorkerEmulator(url, concurrency=4)
    worker.handle("work", lambda job: None)
    async with worker:
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


class Trial:
    """One server, and what is measured on it."""

    def __init__(self, server: RedisServer, pinger: Child) -> None:
        self._server = server
        self._pinger = pinger

    def _pinged(self) -> Tuple[float, int]:
        self._pinger.say("")
        slowest, count = json.loads(self._pinger.line())
        return slowest, count

    async def run(self, what: str, call: Callable[[], Awaitable[Any]]) -> None:
        """Carry out a call, and print what it took."""
        self._server.command("SLOWLOG", "RESET")
        before = Footprint.now()
        self._pinged()
        began = time.perf_counter()
        found = await call()
        seconds = time.perf_counter() - began
        slowest, count = self._pinged()
        held = max((entry[2] for entry in self._server.command("SLOWLOG", "GET", 128)), default=0)
        grown = (Footprint.now().resident - before.resident) / (1 << 20)
        print(
            f"{what}: {seconds:.2f} s; slowest of {count} PING {slowest * 1e3:.0f} ms, slowest "
            f"command in the server {held / 1e3:.1f} ms; memory +{grown:.0f} MiB; {found}",
            flush=True,
        )


async def _each(jobs: Any) -> int:
    count = 0
    async for _ in jobs:
        count += 1
    return count


async def _idle() -> str:
    await asyncio.sleep(5)  # the length of the measurement
    return "nothing but the workers"


async def _operate(client: AsyncClient, trial: Trial) -> None:
    dead = client.dead_letters
    await trial.run("no call", _idle)
    await trial.run("depths", client.queue.depths)
    await trial.run("depths, discover", lambda: client.queue.depths(discover=True))
    for place in ("queued", "dead", "taken"):
        await trial.run(f"jobs {place}", lambda p=place: _each(client.queue.jobs(p)))  # type: ignore[misc]
    await trial.run("dead letters by error", lambda: _each(dead.jobs(error="boom")))
    await trial.run("explain", lambda: client.explain("dead0"))
    await trial.run("explain one in the middle", lambda: client.explain("queued70"))
    await trial.run("doctor", lambda: _doctor(client))
    await trial.run("recover, preview", lambda: client.recover(3600, dry_run=True))
    await trial.run("requeue, preview", lambda: dead.requeue(all=True, dry_run=True))
    await trial.run("requeue", lambda: dead.requeue(all=True))


async def _doctor(client: AsyncClient) -> str:
    return f"{len((await client.doctor(observe=10)).findings)} findings"


async def measure(letters: int, queued: int, size: int) -> None:
    """Fill a server and operate it."""
    with ExitStack() as stack:
        arguments = ["--slowlog-log-slower-than", "1000"]
        server = stack.enter_context(RedisServer(args=arguments))
        fill(server.port, "dead", _DEAD, "failed", letters, size)
        fill(server.port, "queued", _QUEUED, "pending", queued, size)
        me = [sys.executable, "-m", __name__ if __name__ != "__main__" else __spec__.name]
        pinger = stack.enter_context(Child([*me, "--ping", str(server.port)], cwd=ROOT))
        worker = stack.enter_context(Child([*me, "--work", server.url()], cwd=ROOT))
        pinger.expect("ready")
        worker.expect("ready")
        async with AsyncClient(server.url()) as client:
            await _operate(client, Trial(server, pinger))


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--letters", type=int, default=300_000, help="dead letters (300000)")
    parser.add_argument("--queued", type=int, default=100_000, help="queued jobs (100000)")
    parser.add_argument("--size", type=int, default=100, help="bytes of each payload (100)")
    parser.add_argument("--ping", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.ping is not None:
        ping(options.ping)
    elif options.work is not None:
        asyncio.run(work(options.work))
    else:
        asyncio.run(measure(options.letters, options.queued, options.size))
    return 0


if __name__ == "__main__":
    sys.exit(main())
