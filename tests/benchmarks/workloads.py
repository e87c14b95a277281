"""The workloads, each once with this library and once directly on redis-py."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import statistics
import subprocess
import sys
import time
import uuid
from typing import Any, AsyncIterator, Awaitable, Callable, Dict, Iterator, List, Sequence

import redis
import redis.asyncio

import bananas
from tests.support import RawClient

from . import baseline, responder
from .timing import PAYLOAD, alone, alone_blocking, by_tasks, by_threads, median_time

__all__ = ["SIDES", "Baseline", "Figures", "Ours", "Side", "import_time"]

Figures = Dict[str, float]

NAME = "send_email"
_LIMIT = 120.0


class Side:
    """One side's way of doing each workload; a figure is a rate, a time in seconds, or a size."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.control = redis.Redis(port=port, protocol=2)
        self.asking = RawClient(port, timeout=90.0)

    def close(self) -> None:
        self.asking.close()
        self.control.close()

    def run(self, workload: str, count: int, payload: Any = PAYLOAD, **options: int) -> Figures:
        """Run a workload on an empty server."""
        self.control.flushdb()
        gc.collect()
        found = getattr(self, workload.lower())(count, payload, **options)
        return asyncio.run(found) if asyncio.iscoroutine(found) else found

    def sp(self, count: int, payload: Any) -> Figures:
        with self.on_one_core():
            return self.run("S1", count, payload)

    @contextlib.contextmanager
    def on_one_core(self) -> Iterator[None]:
        """Keep this process and the server's on one core, where the system can."""
        if not hasattr(os, "sched_setaffinity"):
            yield
            return
        server = int(self.control.info("server")["process_id"])
        cores = os.sched_getaffinity(0)
        try:
            for process in (0, server):
                os.sched_setaffinity(process, {min(cores)})
            yield
        finally:
            for process in (0, server):
                os.sched_setaffinity(process, cores)

    async def many_waits(self, count: int, wait: Callable[[str], Awaitable[Any]]) -> Figures:
        """All waits at once: CPU of this process from the first subscription to the last result."""
        ids = [f"w2-{at}" for at in range(count)]
        held, cpu = memory(), time.process_time()
        tasks = [asyncio.ensure_future(wait(job_id)) for job_id in ids]
        with cancelled_at_last(tasks):
            while self.channels() < count:
                await asyncio.sleep(0.05)
            await until_idle()
            own = time.process_time()
            held = memory() - held
            connections = self.connections()
            cpu += time.process_time() - own  # the measuring is not the work
            for start in range(0, count, 1000):
                responder.ask(self.asking, ids[start : start + 1000])
                responder.asked(self.asking)
            await asyncio.gather(*tasks)
        ended, cpu = time.perf_counter_ns(), time.process_time() - cpu
        last = max(responder.stored(self.asking) for _ in range(0, count, 1000))
        return {
            "cpu": cpu / count,
            "lag": max(0.0, (ended - last) / 1e9),
            "memory": held / count,
            "connections": connections,
        }

    async def one_by_one(
        self, count: int, wait: Callable[[str], Awaitable[int]], channels: int
    ) -> Figures:
        """One wait at a time: from just before the store to the waiter's resumption."""

        async def lag(job_id: str) -> int:
            sent = await wait(job_id)
            return time.perf_counter_ns() - sent

        times: List[int] = []
        loop = asyncio.get_running_loop()
        for at in range(count):
            task = asyncio.ensure_future(lag(f"w1-{at}"))
            with cancelled_at_last([task]):
                while self.channels() < channels:
                    await asyncio.sleep(0)
                await asyncio.sleep(0.005)  # the look after the confirmation must not find it
                responder.ask(self.asking, [f"w1-{at}"])
                await asyncio.wait([task], timeout=1)  # if it takes longer, they may know why
                responder.asked(self.asking)
                await loop.run_in_executor(None, responder.stored, self.asking)
                times.append(await task)
            while self.channels() >= channels:
                await asyncio.sleep(0)
        return {"time": statistics.median(times) / 1e9}

    def channels(self) -> int:
        return int(self.control.info("stats")["pubsub_channels"])

    def connections(self) -> int:
        return int(self.control.info("clients")["connected_clients"])


class Ours(Side):
    """This library."""

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[bananas.AsyncClient]:
        async with bananas.AsyncClient(f"redis://127.0.0.1:{self.port}") as client:
            yield client

    @contextlib.contextmanager
    def blocking(self) -> Iterator[bananas.Client]:
        with bananas.Client(f"redis://127.0.0.1:{self.port}") as client:
            yield client

    def m1(self, count: int, _payload: Any) -> Figures:
        return {"time": import_time("bananas", count)}

    async def e1(self, count: int, payload: Any) -> Figures:
        async with self.client() as client:
            return {"rate": await alone(lambda: client.submit_job(NAME, payload), count)}

    async def e2(self, count: int, payload: Any, tasks: int = 100) -> Figures:
        async with self.client() as client:
            return {"rate": await by_tasks(lambda: client.submit_job(NAME, payload), count, tasks)}

    async def e3(self, count: int, payload: Any) -> Figures:
        async with self.client() as client:
            specs = [bananas.JobSpec(NAME, payload) for _ in range(count)]
            await client.submit_jobs(specs[:1])
            began = time.perf_counter()
            await client.submit_jobs(specs)
            return {"rate": count / (time.perf_counter() - began)}

    def s1(self, count: int, payload: Any) -> Figures:
        with self.blocking() as client:
            return {"rate": alone_blocking(lambda: client.submit_job(NAME, payload), count)}

    def s2(self, count: int, payload: Any) -> Figures:
        with self.blocking() as client:
            return {"rate": by_threads(lambda: client.submit_job(NAME, payload), count)}

    def sr(self, count: int, payload: Any) -> Figures:
        with self.blocking() as client:
            job_id = client.submit_job(NAME, payload)
            return {"rate": alone_blocking(lambda: client.get_job(job_id), count)}

    def si(self, count: int, payload: Any) -> Figures:
        with self.blocking() as client:

            def call() -> Any:
                return client.submit_job(NAME, payload, job_id=str(uuid.uuid4()))

            return {"rate": alone_blocking(call, count)}

    async def w1(self, count: int, _payload: Any) -> Figures:
        async with self.client() as client:

            async def wait(job_id: str) -> Any:
                return (await client.wait_for_result(job_id, _LIMIT)).get_result()

            return await self.one_by_one(count, wait, 1)

    async def rt(self, count: int, payload: Any) -> Figures:
        high = bananas.JobPriority.HIGH
        async with self.client() as client:

            def call() -> Awaitable[Any]:
                return client.submit_and_wait(NAME, payload, high, _LIMIT)

            return {"time": await median_time(call, count)}

    async def w2(self, count: int, _payload: Any) -> Figures:
        before = self.connections()
        async with self.client() as client:
            found = await self.many_waits(count, lambda id_: client.wait_for_result(id_, _LIMIT))
        return _with_extra_connections(found, before)

    async def jobs(self, count: int, payload: Any) -> Figures:
        """Jobs from a generator: bytes by which the process grew at most, but for the ids."""
        async with self.client() as client:
            await client.submit_jobs(bananas.JobSpec(NAME, payload) for _ in range(10_000))
            before, began = memory(), time.perf_counter()
            ids = await client.submit_jobs(bananas.JobSpec(NAME, payload) for _ in range(count))
            took = time.perf_counter() - began
            held = sys.getsizeof(ids) + sum(map(sys.getsizeof, ids))
            return {"rate": count / took, "growth": memory("VmHWM") - before - held}


class Baseline(Side):
    """The same work directly on redis-py."""

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[redis.asyncio.Redis]:
        client = baseline.connect(self.port)
        try:
            yield client
        finally:
            await client.aclose()

    @contextlib.asynccontextmanager
    async def waits(self) -> AsyncIterator[baseline.Waits]:
        async with self.client() as client:
            waits = baseline.Waits(client)
            await waits.start()
            try:
                yield waits
            finally:
                await waits.close()

    @contextlib.contextmanager
    def blocking(self) -> Iterator[redis.Redis]:
        client = redis.Redis(port=self.port)
        try:
            yield client
        finally:
            client.close()

    def m1(self, count: int, _payload: Any) -> Figures:
        return {"time": import_time("redis.asyncio", count)}

    async def e1(self, count: int, payload: Any) -> Figures:
        async with self.client() as client:
            return {"rate": await alone(lambda: baseline.submit(client, NAME, payload), count)}

    async def e2(self, count: int, payload: Any, tasks: int = 100) -> Figures:
        async with self.client() as client:

            def call() -> Awaitable[Any]:
                return baseline.submit(client, NAME, payload)

            return {"rate": await by_tasks(call, count, tasks)}

    async def e3(self, count: int, payload: Any) -> Figures:
        async with self.client() as client:
            jobs = [(NAME, payload) for _ in range(count)]
            await baseline.submit_many(client, jobs[:1])
            began = time.perf_counter()
            await baseline.submit_many(client, jobs)
            return {"rate": count / (time.perf_counter() - began)}

    def s1(self, count: int, payload: Any) -> Figures:
        with self.blocking() as client:

            def call() -> Any:
                return baseline.submit_blocking(client, NAME, payload)

            return {"rate": alone_blocking(call, count)}

    def s2(self, count: int, payload: Any) -> Figures:
        with self.blocking() as client:

            def call() -> Any:
                return baseline.submit_blocking(client, NAME, payload)

            return {"rate": by_threads(call, count)}

    def sr(self, count: int, payload: Any) -> Figures:
        with self.blocking() as client:
            job_id = baseline.submit_blocking(client, NAME, payload)
            return {"rate": alone_blocking(lambda: baseline.read_blocking(client, job_id), count)}

    def si(self, count: int, payload: Any) -> Figures:
        with self.blocking() as client:

            def call() -> Any:
                return baseline.submit_once_blocking(client, str(uuid.uuid4()), NAME, payload)

            return {"rate": alone_blocking(call, count)}

    async def w1(self, count: int, _payload: Any) -> Figures:
        async with self.waits() as waits:
            return await self.one_by_one(count, waits.wait, 2)

    async def rt(self, count: int, payload: Any) -> Figures:
        async with self.waits() as waits:

            def call() -> Awaitable[Any]:
                return asyncio.wait_for(waits.submit_and_wait(NAME, payload), _LIMIT)

            return {"time": await median_time(call, count)}

    async def w2(self, count: int, _payload: Any) -> Figures:
        before = self.connections()
        async with self.waits() as waits:
            found = await self.many_waits(
                count, lambda job_id: asyncio.wait_for(waits.wait(job_id), _LIMIT)
            )
        return _with_extra_connections(found, before)


@contextlib.contextmanager
def cancelled_at_last(tasks: Sequence[asyncio.Task[Any]]) -> Iterator[None]:
    """Leave no wait behind when something goes wrong."""
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


async def until_idle() -> None:
    """Wait until this process has next to nothing to do; another one's load changes nothing."""
    for _ in range(400):
        used = time.process_time()
        await asyncio.sleep(0.05)
        if time.process_time() - used < 0.005:
            return


SIDES = {"baseline": Baseline, "ours": Ours}


def _with_extra_connections(found: Figures, before: int) -> Figures:
    """Leave out of the connections what was there before, and the one that any client has."""
    return {**found, "connections": found["connections"] - before - 1}


def memory(field: str = "VmRSS") -> int:
    """Bytes of this process in memory, now or at most (``VmHWM``); elsewhere than on Linux, 0."""
    gc.collect()
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            found = next(line for line in file if line.startswith(field))
    except OSError:
        return 0
    return int(found.split()[1]) * 1024


def import_time(module: str, count: int) -> float:
    """Seconds of an import, the least of some fresh interpreters; their start is not in it.

    They may keep the bytecode, as of an installed package: else only ours would be compiled anew.
    """
    program = (
        "import time; began = time.perf_counter()\n"
        f"import {module}\n"
        "print(time.perf_counter() - began)"
    )
    command = [sys.executable, "-c", program]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    runs = [
        subprocess.run(command, check=True, stdout=subprocess.PIPE, env=env, timeout=60)
        for _ in range(count)
    ]
    return min(float(run.stdout) for run in runs)
