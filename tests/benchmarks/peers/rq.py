"""RQ: blocking only, many jobs in a call."""

from __future__ import annotations

from typing import Any

from redis import Redis
from rq import Queue

from tests.benchmarks.peers.adapter import PORT, URL, peer_main, worker
from tests.benchmarks.timing import PAYLOAD, alone_blocking, by_threads, median_time_blocking

ECHO = "tests.benchmarks.peers.rq.echo"
queue = Queue(connection=Redis(port=PORT))


def echo(payload: Any) -> Any:
    return payload


def e3(count: int) -> float:
    jobs = [Queue.prepare_data(ECHO, (PAYLOAD,)) for _ in range(count)]
    return count * alone_blocking(lambda: queue.enqueue_many(jobs), 1)


def s1(count: int) -> float:
    return alone_blocking(lambda: queue.enqueue(ECHO, PAYLOAD), count)


def s2(count: int) -> float:
    return by_threads(lambda: queue.enqueue(ECHO, PAYLOAD), count)


def rt(count: int) -> float:
    def call() -> Any:
        return queue.enqueue(ECHO, PAYLOAD).latest_result(timeout=60)

    with worker("rq", "worker", "--url", URL):
        return median_time_blocking(call, count)


if __name__ == "__main__":
    peer_main({"E3": e3, "S1": s1, "S2": s2, "RT": rt})
