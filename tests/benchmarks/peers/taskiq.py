"""taskiq with taskiq-redis: coroutines only, one job for each call."""

from __future__ import annotations

from typing import Any

from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from tests.benchmarks.peers.adapter import URL, peer_main, run, worker
from tests.benchmarks.timing import PAYLOAD, alone, by_tasks, median_time

broker = RedisStreamBroker(url=URL).with_result_backend(RedisAsyncResultBackend(redis_url=URL))


async def reply(payload: Any) -> Any:
    return payload


echo = broker.register_task(reply, task_name="echo")


async def e1(count: int) -> float:
    await broker.startup()
    return await alone(lambda: echo.kiq(PAYLOAD), count)


async def e2(count: int) -> float:
    await broker.startup()
    return await by_tasks(lambda: echo.kiq(PAYLOAD), count)


async def rt(count: int) -> float:
    async def call() -> Any:
        return await (await echo.kiq(PAYLOAD)).wait_result()

    await broker.startup()
    with worker("taskiq", "worker", "tests.benchmarks.peers.taskiq:broker"):
        return await median_time(call, count)


if __name__ == "__main__":
    peer_main({"E1": run(e1), "E2": run(e2), "RT": run(rt)})
