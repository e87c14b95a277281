"""arq: coroutines only, one job for each call."""

from __future__ import annotations

from typing import Any

import arq
from arq.connections import RedisSettings

from tests.benchmarks.peers.adapter import PORT, peer_main, run, worker
from tests.benchmarks.timing import PAYLOAD, alone, by_tasks, median_time

SETTINGS = RedisSettings(port=PORT)


async def echo(_context: Any, payload: Any) -> Any:
    return payload


class WorkerSettings:
    functions = (echo,)
    redis_settings = SETTINGS


async def e1(count: int) -> float:
    pool = await arq.create_pool(SETTINGS)
    return await alone(lambda: pool.enqueue_job("echo", PAYLOAD), count)


async def e2(count: int) -> float:
    pool = await arq.create_pool(SETTINGS)
    return await by_tasks(lambda: pool.enqueue_job("echo", PAYLOAD), count)


async def rt(count: int) -> float:
    pool = await arq.create_pool(SETTINGS)

    async def call() -> Any:
        job = await pool.enqueue_job("echo", PAYLOAD)
        assert job is not None
        return await job.result()

    with worker("arq", "tests.benchmarks.peers.arq.WorkerSettings"):
        return await median_time(call, count)


if __name__ == "__main__":
    peer_main({"E1": run(e1), "E2": run(e2), "RT": run(rt)})
