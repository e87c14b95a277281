"""A long random workload under faults, which must leave memory, descriptors and tasks flat.

``python -m tests.faults.soak --minutes 10 --seed 1`` works in rounds. In each, every operation
meets a fault with a probability of 5 %, and the server is restarted once. After each, the queue is
held against what the client has said, and the process is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
import uuid
from typing import Awaitable, Callable, List, Optional, Sequence

from bananas import AsyncClient
from bananas import exceptions as exc
from tests.support import FaultProxy, RedisServer
from tests.support.event_loop import chosen_event_loop, use_event_loop

from .footprint import Footprint
from .record import Record
from .timing import MachineLag, eventually
from .trouble import Trouble
from .worker import finish

__all__ = ["main"]

_FAULTS = 0.05
_RELENT = 0.2
_ROUND = 8.0
_TASKS = 20
_WARM_UP = 2


class Round:
    """One stretch of work under faults, by many tasks on one client."""

    def __init__(
        self,
        client: AsyncClient,
        server: RedisServer,
        proxy: FaultProxy,
        rng: random.Random,
        lag: MachineLag,
    ) -> None:
        self._client = client
        self._server = server
        self._proxy = proxy
        self._rng = rng
        self._record = Record(lag)
        self._trouble = Trouble(server, proxy, rng)
        self._awaited: List[str] = []
        self._up = True
        self._end = 0.0
        self.operations = 0
        self.faults = 0

    async def run(self, seconds: float) -> None:
        """Work for this long, mend everything, and check what became of it."""
        loop = asyncio.get_running_loop()
        self._end = loop.time() + seconds
        tasks = [asyncio.ensure_future(self._work()) for _ in range(_TASKS)]
        await asyncio.sleep(seconds / 2)
        self._up = False
        await loop.run_in_executor(None, self._server.restart, True)
        self._up = True
        await asyncio.gather(*tasks)
        self._trouble.end()
        await self._record.resolve(self._client)
        await self._listen()
        await eventually(lambda: self._proxy.connections_open <= self._held(), "no old connection")
        self._record.check(self._server)
        self._server.command("FLUSHALL")
        await eventually(lambda: not self._client.stats().waits, "no wait")
        await eventually(lambda: not self._client.stats().open_requests, "no request")

    def _held(self) -> int:
        """Return how many connections the client has: the listener's, and mostly one more."""
        return 1 + sum(owner.is_connected for owner in self._client._pipeline._owners)

    async def _listen(self) -> None:
        """Have the client end the round with both of its connections, as every other one."""
        wait = asyncio.ensure_future(self._client.wait_for_result("last", 20))
        await eventually(lambda: self._client.stats().listening, "the listener")
        with self._server.connect() as redis:
            finish(redis, ["last"])
        await wait

    async def _work(self) -> None:
        operations: Sequence[Callable[[], Awaitable[None]]] = [
            self._submit, self._submit, self._submit_chosen, self._submit_and_cancel, self._read,
            self._wait_in_vain, self._wait, self._wait, self._wait, self._short_life,
        ]  # fmt: skip
        loop = asyncio.get_running_loop()
        while loop.time() < self._end:
            if self._up and self._rng.random() < _FAULTS:
                self.faults += 1
                self._trouble.strike()
            elif self._rng.random() < _RELENT:
                self._trouble.relent()
            self.operations += 1
            await self._rng.choice(operations)()
            # At full speed the queue would outgrow the memory that is being measured.
            await asyncio.sleep(self._rng.uniform(0.0, 0.05))

    async def _submit(self) -> None:
        await self._record.submit(self._client)

    async def _submit_chosen(self) -> None:
        await self._record.submit(self._client, str(uuid.UUID(int=self._rng.getrandbits(128))))

    async def _submit_and_cancel(self) -> None:
        task = asyncio.ensure_future(self._submit())
        await asyncio.wait([task], timeout=self._rng.uniform(0.0, 0.01))
        task.cancel()
        await asyncio.wait([task])

    async def _read(self) -> None:
        jobs = list(self._record.acknowledged)[:5]
        try:
            found = await self._client.get_jobs(jobs)
        except (ConnectionError, TimeoutError):
            return
        except exc.ServerError as error:
            assert error.code == "LOADING"  # a server that was started again, on a slow machine
            return
        assert [job and job.id for job in found] == jobs

    async def _wait_in_vain(self) -> None:
        await self._record.wait(self._client, "never", self._rng.uniform(0.0, 0.5))

    async def _wait(self) -> None:
        job_id = str(uuid.UUID(int=self._rng.getrandbits(128)))
        wait = asyncio.ensure_future(self._record.wait(self._client, job_id, 10.0))
        await asyncio.sleep(self._rng.uniform(0.0, 0.02))
        if self._up:
            with self._server.connect() as redis:
                finish(redis, [job_id])
            self._record.finished.add(job_id)
        else:
            wait.cancel()
        await asyncio.wait([wait])
        if not wait.cancelled():
            wait.result()

    async def _short_life(self) -> None:
        client = _make_client(self._proxy)
        await self._record.submit(client)
        await client.close()


def _make_client(proxy: FaultProxy) -> AsyncClient:
    return AsyncClient(
        proxy.url(), connect_timeout=1.0, submit_timeout=2.0, read_timeout=2.0, ping_interval=0.3
    )


def growth(looks: Sequence[Footprint]) -> List[str]:
    """Compare the last looks at a process with the first ones; say what has grown."""
    part = max(1, len(looks) // 3)
    first, last = looks[:part], looks[-part:]
    found: List[str] = []
    limits = {
        "descriptors": (1.0, 0),
        "threads": (1.0, 0),
        "tasks": (1.0, 0),
        "blocks": (1.03, 2_000),
        "resident": (1.05, 4 << 20),
    }
    for name, (factor, addend) in limits.items():
        # What is held for a moment is in some looks only; what has leaked is in all.
        before = min(getattr(look, name) for look in first)
        after = min(getattr(look, name) for look in last)
        if after > before * factor + addend:
            found.append(f"{name} have grown from {before} to {after}")
    return found


async def soak(seconds: float, seed: int) -> List[Footprint]:
    """Work in rounds until the time is over."""
    rng = random.Random(seed)
    looks: List[Footprint] = []
    end = time.monotonic() + seconds
    data_kept = ["--appendonly", "yes", "--appendfsync", "everysec"]
    with RedisServer(args=data_kept) as server, FaultProxy(server) as proxy, MachineLag() as lag:
        async with _make_client(proxy) as client:
            while time.monotonic() < end or len(looks) < 2 * _WARM_UP:
                step = Round(client, server, proxy, rng, lag)
                await step.run(min(_ROUND, seconds / 12))
                looks.append(Footprint.now())
                stats = client.stats()
                print(
                    f"round {len(looks)}: {step.operations} operations, {step.faults} faults, "
                    f"{stats.reconnects} reconnects so far; {looks[-1]}",
                    flush=True,
                )
    return looks[_WARM_UP:]


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run from the command line; the status is 1 if something has grown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long it takes")
    parser.add_argument("--seed", type=int, help="repeat the faults of a run with this seed")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    print(f"repeat with --seed {seed}", flush=True)
    use_event_loop()
    print(f"event loop: {chosen_event_loop()}", flush=True)
    looks = asyncio.run(soak(60 * options.minutes, seed))
    grown = growth(looks)
    for line in grown:
        print(line)
    if not grown:
        print(f"memory, descriptors, threads and tasks are flat over {len(looks)} rounds")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
