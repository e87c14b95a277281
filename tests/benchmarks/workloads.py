"""The workloads: each a pair of coroutines that do the same work, ours and the baseline."""

from __future__ import annotations

import asyncio
import gc
import resource
import statistics
import subprocess
import sys
import threading
import time
import tracemalloc
from typing import Any, Awaitable, Callable, Dict, List, Tuple

import redis
import redis.asyncio

import bananas

from . import baseline

PAYLOAD = {"to": "user@example.com", "subject": "Hello", "retries": 3, "tags": ["a", "b"]}


class Side:
    """One side's clients, and how it does each workload; figures are dicts of name to number."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.control = redis.Redis(port=port, protocol=2)

    def clean(self) -> None:
        """Leave nothing for the next round."""
        self.control.flushdb()
        gc.collect()


async def _timed(work: Awaitable[Any]) -> Tuple[float, Any]:
    began = time.perf_counter()
    value = await work
    return time.perf_counter() - began, value


class Ours(Side):
    """This library."""

    url_template = "redis://127.0.0.1:{}"

    def _client(self) -> bananas.AsyncClient:
        return bananas.AsyncClient(self.url_template.format(self.port))

    async def e1(self, count: int) -> Dict[str, float]:
        async with self._client() as client:
            await client.submit_job("warm", PAYLOAD)
            began = time.perf_counter()
            for _ in range(count):
                await client.submit_job("send_email", PAYLOAD)
            return {"rate": count / (time.perf_counter() - began)}

    async def e2(self, count: int) -> Dict[str, float]:
        async with self._client() as client:
            async def some() -> None:
                for _ in range(count // 100):
                    await client.submit_job("send_email", PAYLOAD)

            await client.submit_job("warm", PAYLOAD)
            took, _ = await _timed(asyncio.gather(*[some() for _ in range(100)]))
            return {"rate": count / took}

    async def e3(self, count: int) -> Dict[str, float]:
        async with self._client() as client:
            specs = [bananas.JobSpec("send_email", PAYLOAD) for _ in range(count)]
            took, ids = await _timed(client.submit_jobs(specs))
            assert len(ids) == count
            return {"rate": count / took}

    def s1(self, count: int) -> Dict[str, float]:
        with bananas.Client(self.url_template.format(self.port)) as client:
            client.submit_job("warm", PAYLOAD)
            began = time.perf_counter()
            for _ in range(count):
                client.submit_job("send_email", PAYLOAD)
            return {"rate": count / (time.perf_counter() - began)}

    def s2(self, count: int) -> Dict[str, float]:
        with bananas.Client(self.url_template.format(self.port)) as client:
            return _threads(lambda: client.submit_job("send_email", PAYLOAD), count)

    async def w1(self, count: int) -> Dict[str, float]:
        async with self._client() as client:
            return await _one_by_one(
                self.control, count,
                lambda job_id: client.wait_for_result(job_id, 30),
                lambda found: found.result,
                1,
            )  # fmt: skip

    async def rt(self, count: int) -> Dict[str, float]:
        async with self._client() as client:
            async def once() -> Any:
                high = bananas.JobPriority.HIGH
                return (await client.submit_and_wait("echo", PAYLOAD, high, 30)).result

            return await _round_trips(once, count)

    async def w2(self, count: int) -> Dict[str, float]:
        async with self._client() as client:
            return await _many_waits(
                self.control, count, lambda job_id: client.wait_for_result(job_id, 120)
            )


class Baseline(Side):
    """The same work directly on redis-py."""

    def _client(self) -> redis.asyncio.Redis:
        # The default pool of 8.x fails at its 101st connection; a careful user bounds it.
        pool = redis.asyncio.BlockingConnectionPool(
            port=self.port, max_connections=100, timeout=None
        )
        return redis.asyncio.Redis.from_pool(pool)

    async def e1(self, count: int) -> Dict[str, float]:
        client = self._client()
        await baseline.submit(client, "warm", PAYLOAD)
        began = time.perf_counter()
        for _ in range(count):
            await baseline.submit(client, "send_email", PAYLOAD)
        took = time.perf_counter() - began
        await client.aclose()
        return {"rate": count / took}

    async def e2(self, count: int) -> Dict[str, float]:
        client = self._client()

        async def some() -> None:
            for _ in range(count // 100):
                await baseline.submit(client, "send_email", PAYLOAD)

        await baseline.submit(client, "warm", PAYLOAD)
        took, _ = await _timed(asyncio.gather(*[some() for _ in range(100)]))
        await client.aclose()
        return {"rate": count / took}

    async def e3(self, count: int) -> Dict[str, float]:
        client = self._client()
        jobs = [("send_email", PAYLOAD) for _ in range(count)]
        took, ids = await _timed(baseline.submit_many(client, jobs))
        assert len(ids) == count
        await client.aclose()
        return {"rate": count / took}

    def s1(self, count: int) -> Dict[str, float]:
        client = redis.Redis(port=self.port)
        baseline.submit_blocking(client, "warm", PAYLOAD)
        began = time.perf_counter()
        for _ in range(count):
            baseline.submit_blocking(client, "send_email", PAYLOAD)
        took = time.perf_counter() - began
        client.close()
        return {"rate": count / took}

    def s2(self, count: int) -> Dict[str, float]:
        client = redis.Redis(port=self.port)
        found = _threads(lambda: baseline.submit_blocking(client, "send_email", PAYLOAD), count)
        client.close()
        return found

    async def w1(self, count: int) -> Dict[str, float]:
        client = self._client()
        waits = baseline.Waits(client)
        await waits.start()
        found = await _one_by_one(
            self.control, count, waits.wait, lambda value: value,
            2,
        )  # fmt: skip
        await waits.close()
        await client.aclose()
        return found

    async def rt(self, count: int) -> Dict[str, float]:
        client = self._client()
        waits = baseline.Waits(client)
        await waits.start()

        async def once() -> Any:
            job_id, text = baseline.document("echo", PAYLOAD)
            future = await waits.register(job_id)
            async with client.pipeline(transaction=True) as pipeline:
                pipeline.set(f"bananas:job:{job_id}", text)
                pipeline.lpush("bananas:queue:high", job_id)
                await pipeline.execute()
            return await asyncio.wait_for(waits.finish(job_id, future), 30)

        found = await _round_trips(once, count)
        await waits.close()
        await client.aclose()
        return found

    async def w2(self, count: int) -> Dict[str, float]:
        client = self._client()
        waits = baseline.Waits(client)
        await waits.start()
        found = await _many_waits(
            self.control, count, lambda job_id: asyncio.wait_for(waits.wait(job_id), 120)
        )
        await waits.close()
        await client.aclose()
        return found


def _threads(submit: Callable[[], Any], count: int) -> Dict[str, float]:
    def some() -> None:
        for _ in range(count // 8):
            submit()

    submit()
    threads = [threading.Thread(target=some) for _ in range(8)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"rate": count / (time.perf_counter() - began)}


async def _until_subscribed(control: redis.Redis, channels: int) -> None:
    while _channels(control) < channels:
        await asyncio.sleep(0)


async def _one_by_one(
    control: redis.Redis,
    count: int,
    wait: Callable[[str], Awaitable[Any]],
    value: Callable[[Any], int],
    subscribed: int,
) -> Dict[str, float]:
    """One wait at a time: from just before the store to the waiter's resumption."""
    times: List[float] = []
    loop = asyncio.get_running_loop()
    for at in range(count):
        job_id = f"w1-{at}"
        task = loop.create_task(wait(job_id))  # type: ignore[arg-type]
        await _until_subscribed(control, subscribed)
        await asyncio.sleep(0.005)  # the look that follows the confirmation must not find it
        await loop.run_in_executor(None, control.lpush, "control", job_id)
        sent = value(await task)
        times.append((time.perf_counter_ns() - sent) / 1e9)
        await loop.run_in_executor(None, control.blpop, ["stored"], 10)
        while _channels(control) >= subscribed:
            await asyncio.sleep(0)
    return {"time": statistics.median(times)}


async def _round_trips(once: Callable[[], Awaitable[Any]], count: int) -> Dict[str, float]:
    times: List[float] = []
    await once()
    for _ in range(count):
        began = time.perf_counter()
        await once()
        times.append(time.perf_counter() - began)
    return {"time": statistics.median(times)}


async def _many_waits(
    control: redis.Redis, count: int, wait: Callable[[str], Awaitable[Any]]
) -> Dict[str, float]:
    """All waits at once; CPU of this process, from the first subscription to the last result."""
    loop = asyncio.get_running_loop()
    ids = [f"w2-{at}" for at in range(count)]
    connections = control.info("clients")["connected_clients"]
    before = _memory()
    cpu = time.process_time()
    tasks = [loop.create_task(wait(job_id)) for job_id in ids]  # type: ignore[arg-type]
    while _channels(control) < count:
        await asyncio.sleep(0.05)
    own = time.process_time()
    memory = (_memory() - before) / count
    extra = control.info("clients")["connected_clients"] - connections
    cpu += time.process_time() - own  # the measuring is not the work
    for start in range(0, count, 1000):
        control.lpush("control", " ".join(ids[start : start + 1000]))
    await asyncio.gather(*tasks)
    ended = time.perf_counter_ns()
    used = time.process_time() - cpu
    last_store = 0
    for _ in range(0, count, 1000):
        reply = await loop.run_in_executor(None, control.blpop, ["stored"], 30)
        last_store = max(last_store, int(reply[1]))
    return {
        "cpu": used / count,
        "lag": max(0.0, (ended - last_store) / 1e9),
        "memory": memory,
        "connections": extra,
    }


def _channels(control: redis.Redis) -> int:
    return int(control.info("stats")["pubsub_channels"])


def _memory() -> float:
    """Bytes of resident memory."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def import_times(count: int) -> Dict[str, List[float]]:
    """Seconds of fresh interpreters, in turn: nothing, redis.asyncio, bananas."""
    programs = {"nothing": "pass", "redis": "import redis.asyncio", "bananas": "import bananas"}
    times: Dict[str, List[float]] = {name: [] for name in programs}
    for _ in range(count):
        for name, program in programs.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True)
            times[name].append(time.perf_counter() - began)
    return times


__all__ = ["Baseline", "Ours", "import_times", "tracemalloc"]
