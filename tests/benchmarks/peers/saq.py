"""SAQ: coroutines only, one job for each call."""

from __future__ import annotations

import contextlib
from typing import Any

from saq import Queue
from saq.queue import JobError

from tests.benchmarks.peers.adapter import URL, peer_main, run, worker
from tests.benchmarks.timing import PAYLOAD, alone, by_tasks, median_time


async def echo(_context: Any, *, payload: Any) -> Any:
    return payload


queue = Queue.from_url(URL)
settings = {"queue": queue, "functions": [echo]}


async def e1(count: int) -> float:
    return await alone(lambda: queue.enqueue("echo", payload=PAYLOAD), count)


async def e2(count: int) -> float:
    return await by_tasks(lambda: queue.enqueue("echo", payload=PAYLOAD), count)


async def rt(count: int) -> float:
    with worker("saq", "tests.benchmarks.peers.saq.settings"):
        # The sweep with which a worker starts may take the first job.
        with contextlib.suppress(JobError):
            await queue.apply("echo", payload=PAYLOAD)
        return await median_time(lambda: queue.apply("echo", payload=PAYLOAD), count)


if __name__ == "__main__":
    peer_main({"E1": run(e1), "E2": run(e2), "RT": run(rt)})
