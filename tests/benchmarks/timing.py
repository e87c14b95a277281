"""Loops that time a call, the same for every side; they need nothing but the standard library."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from typing import Any, Awaitable, Callable, List

__all__ = [
    "PAYLOAD",
    "alone",
    "alone_blocking",
    "by_tasks",
    "by_threads",
    "median_time",
    "median_time_blocking",
]

#: The payload of every job, unless its size is what is measured.
PAYLOAD = {"to": "user@example.com", "subject": "Hello", "retries": 3, "tags": ["a", "b"]}

Call = Callable[[], Awaitable[Any]]


async def alone(call: Call, count: int) -> float:
    """Calls a second, one at a time; one call before is not counted, here and below."""
    await call()
    began = time.perf_counter()
    for _ in range(count):
        await call()
    return count / (time.perf_counter() - began)


async def by_tasks(call: Call, count: int, tasks: int = 100) -> float:
    """Calls a second of many tasks at once; what can't be shared out evenly is left out."""

    async def some() -> None:
        for _ in range(each):
            await call()

    each = count // tasks
    await call()
    began = time.perf_counter()
    await asyncio.gather(*[some() for _ in range(tasks)])
    return each * tasks / (time.perf_counter() - began)


def alone_blocking(call: Callable[[], Any], count: int) -> float:
    """Blocking calls a second, one at a time."""
    call()
    began = time.perf_counter()
    for _ in range(count):
        call()
    return count / (time.perf_counter() - began)


def by_threads(call: Callable[[], Any], count: int, threads: int = 8) -> float:
    """Blocking calls a second of many threads; what can't be shared out evenly is left out."""

    def some() -> None:
        for _ in range(each):
            call()

    each = count // threads
    call()
    started = [threading.Thread(target=some) for _ in range(threads)]
    began = time.perf_counter()
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return each * threads / (time.perf_counter() - began)


async def median_time(call: Call, count: int, limit: float = 30.0) -> float:
    """Seconds that a call takes, the median of many; no new one begins after ``limit`` seconds."""
    times: List[float] = []
    await call()
    end = time.perf_counter() + limit
    while len(times) < count and time.perf_counter() < end:
        began = time.perf_counter()
        await call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def median_time_blocking(call: Callable[[], Any], count: int, limit: float = 30.0) -> float:
    """The same for a blocking call."""
    times: List[float] = []
    call()
    end = time.perf_counter() + limit
    while len(times) < count and time.perf_counter() < end:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
