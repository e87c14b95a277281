"""Celery: blocking only, one job for each call."""

from __future__ import annotations

from typing import Any

from celery import Celery

from tests.benchmarks.peers.adapter import URL, peer_main, worker
from tests.benchmarks.timing import PAYLOAD, alone_blocking, by_threads, median_time_blocking

app = Celery("peer", broker=URL, backend=URL)


def reply(payload: Any) -> Any:
    return payload


echo = app.task(reply, name="echo")


def s1(count: int) -> float:
    return alone_blocking(lambda: echo.delay(PAYLOAD), count)


def s2(count: int) -> float:
    return by_threads(lambda: echo.delay(PAYLOAD), count)


def rt(count: int) -> float:
    with worker("celery", "-A", "tests.benchmarks.peers.celery", "worker"):
        return median_time_blocking(lambda: echo.delay(PAYLOAD).get(), count)


if __name__ == "__main__":
    peer_main({"S1": s1, "S2": s2, "RT": rt})
