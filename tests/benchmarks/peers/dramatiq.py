"""dramatiq: blocking only, one job for each call."""

from __future__ import annotations

from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from tests.benchmarks.peers.adapter import URL, peer_main, worker
from tests.benchmarks.timing import PAYLOAD, alone_blocking, by_threads, median_time_blocking

broker = RedisBroker(url=URL)
broker.add_middleware(Results(backend=RedisBackend(url=URL)))
dramatiq.set_broker(broker)


def reply(payload: Any) -> Any:
    return payload


echo = dramatiq.actor(reply, actor_name="echo", store_results=True)


def s1(count: int) -> float:
    return alone_blocking(lambda: echo.send(PAYLOAD), count)


def s2(count: int) -> float:
    return by_threads(lambda: echo.send(PAYLOAD), count)


def rt(count: int) -> float:
    with worker("dramatiq", "tests.benchmarks.peers.dramatiq"):
        return median_time_blocking(
            lambda: echo.send(PAYLOAD).get_result(block=True, timeout=60_000), count
        )


if __name__ == "__main__":
    peer_main({"S1": s1, "S2": s2, "RT": rt})
