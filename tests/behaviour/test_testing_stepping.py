"""A local queue runs everything that is due in the caller's thread, and skips the time between."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import datetime, timedelta, timezone
from typing import Any, Iterator, List

import pytest

from bananas import AsyncClient, Client, Job, JobPriority, JobSpec, TimeoutError
from bananas.testing import (
    LocalQueue,
    ManualClock,
    Outcome,
    SystemClock,
    fail,
    slow,
    succeed,
)
from tests.behaviour.broker import Broker

START = datetime(2025, 1, 15, 10, 30, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def queue(broker: Broker) -> Iterator[LocalQueue]:
    """A queue that runs nothing by itself, on either broker."""
    with LocalQueue(broker.url, clock=ManualClock(START), background=False) as queue:
        yield queue


@pytest.fixture
def client(queue: LocalQueue) -> Iterator[Client]:
    with queue.client() as client:
        yield client


def seconds(moment: datetime) -> float:
    return (moment - START).total_seconds()


def test_a_job_for_tomorrow_with_three_retries(queue: LocalQueue, client: Client) -> None:
    """Each attempt comes when it is due by the queue's clock, and nobody sleeps."""
    queue.handle("remind", fail("no paper", times=3, then=succeed("tea")))
    job_id = client.submit_job_scheduled("remind", {}, scheduled_for=DAY, max_retries=4)
    assert queue.run_until_idle() == []
    assert queue.run_until_idle(within=timedelta(hours=23)) == []
    assert queue.clock.now() == START
    began = time.monotonic()
    runs = queue.run_until_idle(within=2 * DAY)
    assert time.monotonic() - began < 10, "it would take 14 s"
    assert [run.outcome for run in runs] == ["retry", "retry", "retry", "succeeded"]
    assert [seconds(run.at) - 86400 for run in runs] == [0, 2, 6, 14]
    assert [run.retry_at for run in runs] == [run.at for run in runs[1:]] + [None]
    assert [(run.attempt, run.error) for run in runs[:2]] == [(1, "no paper"), (2, "no paper")]
    assert queue.clock.now() == START + DAY + timedelta(seconds=14)
    assert client.wait_for_result(job_id, 0).get_result() == "tea"
    assert queue.run_until_idle(within=DAY) == []
    assert queue.runs == runs


def test_a_retry_waits_until_the_clock_is_moved(queue: LocalQueue, client: Client) -> None:
    """Without ``within``, only what is due now runs; the test may move the clock itself."""
    queue.handle("work", fail(times=1, then=succeed(1)))
    job_id = client.submit_job("work", {})
    [run] = queue.run_until_idle()
    assert (run.outcome, str(run.outcome), run.job_id) == (Outcome.RETRY, "retry", job_id)
    assert queue.run_until_idle(within=1) == []
    clock = queue.clock
    assert isinstance(clock, ManualClock)
    clock.advance(2)
    assert [run.outcome for run in queue.run_until_idle()] == [Outcome.SUCCEEDED]


def test_the_clients_take_the_time_from_the_queue(queue: LocalQueue, client: Client) -> None:
    """What is due "in 30 minutes" counts from the clock that the test has moved."""
    assert isinstance(queue.clock, ManualClock)
    queue.clock.advance(HOUR)
    queue.handle("work", succeed())
    ids = [client.submit_job_scheduled("work", {}, scheduled_for=timedelta(minutes=30))]
    ids += client.submit_jobs([JobSpec("work", {}, scheduled_for=timedelta(minutes=30))])
    ids.append(client.queue.enqueue_scheduled(Job.create("work", {}), timedelta(minutes=30)))
    assert queue.run_until_idle() == []
    jobs = client.get_jobs(ids)
    assert {job.scheduled_for for job in jobs if job} == {START + timedelta(minutes=90)}
    assert [job.created_at for job in jobs[:2] if job] == [START + HOUR] * 2
    with pytest.raises(TimeoutError, match="it is scheduled, due at 2025-01-15T12:00:00Z"):
        client.wait_for_result(ids[0], 0)
    assert len(queue.run_until_idle(within=timedelta(minutes=30))) == 3


def test_everything_runs_in_the_callers_thread(queue: LocalQueue, client: Client) -> None:
    """Plain handlers, which may use a blocking client, and async ones."""
    seen: List[Any] = []

    def plain(job: Job) -> None:
        seen.append(threading.current_thread())
        client.submit_job("async", {})

    async def awaited(job: Job) -> str:
        await asyncio.sleep(0)
        seen.append(threading.current_thread())
        return "done"

    queue.handle("plain", plain)
    queue.handle("async", awaited)
    client.submit_job("plain", {})
    assert [run.value for run in queue.run_until_idle()] == [None, "done"]
    assert seen == [threading.current_thread()] * 2


async def test_with_an_event_loop(queue: LocalQueue) -> None:
    """Async handlers share the loop with the test, and may use its client."""
    seen: List[Any] = []

    async def work(job: Job) -> Any:
        seen.append((threading.current_thread(), asyncio.get_running_loop()))
        if job.payload:
            await client.submit_job("work", job.payload - 1)
        return job.payload

    def plain(job: Job) -> str:
        seen.append((threading.current_thread(), asyncio.get_running_loop()))
        return "plain"

    queue.handle("work", work)
    queue.handle("plain", plain)
    async with queue.async_client() as client:
        assert isinstance(client, AsyncClient)
        await client.submit_job_scheduled("work", 2, scheduled_for=HOUR)
        await client.submit_job("plain", {})
        with pytest.raises(RuntimeError, match=r"await queue\.run_until_idle_async"):
            queue.run_until_idle()
        runs = await queue.run_until_idle_async(within=DAY)
    assert [run.value for run in runs] == ["plain", 2, 1, 0]
    assert seen == [(threading.current_thread(), asyncio.get_running_loop())] * 4


def test_the_order_is_a_workers(queue: LocalQueue, client: Client) -> None:
    """Priorities first, then the order of the submits; what is due by its time."""
    queue.handle("work", lambda job: job.payload)
    for number, priority in enumerate(["low", "normal", "high", "normal"]):
        client.submit_job("work", number, JobPriority(priority))
    client.submit_job_scheduled("work", 4, "low", timedelta(seconds=20))
    client.submit_job_scheduled("work", 5, "high", timedelta(seconds=30))
    assert [run.value for run in queue.run_until_idle(within=60)] == [2, 1, 3, 0, 4, 5]


def test_within_takes_a_time(queue: LocalQueue, client: Client) -> None:
    """And is checked."""
    queue.handle("work", succeed(1))
    client.submit_job_scheduled("work", {}, scheduled_for=START + DAY)
    assert queue.run_until_idle(within=START + HOUR) == []
    assert len(queue.run_until_idle(within=timedelta.max)) == 1
    with pytest.raises(ValueError, match=r"^within must be 0 or more, not -1"):
        queue.run_until_idle(within=timedelta(days=-1))
    with pytest.raises(ValueError, match="aware datetime"):
        queue.run_until_idle(within=datetime(2025, 1, 16))
    with pytest.raises(ValueError, match=r"^limit must be"):
        queue.run_until_idle(limit=0)


def test_jobs_without_end(broker: Broker, queue: LocalQueue, client: Client) -> None:
    """A handler that submits its own job for ever is found out, and nothing is half done."""
    queue.handle("again", lambda job: client.submit_job("again", {}))
    client.submit_job("again", {})
    with pytest.raises(RuntimeError, match=r"^the queue is not idle after 5 attempts: does a"):
        queue.run_until_idle(limit=5)
    assert broker.queued("queue:processing") == []


def test_a_slow_handler_costs_no_time(queue: LocalQueue, client: Client) -> None:
    """It moves the clock, and the result says how long it took."""
    queue.handle("work", slow(HOUR, succeed("late")))
    job_id = client.submit_job("work", {})
    [run] = queue.run_until_idle()
    result = client.wait_for_result(job_id, 0)
    assert (result.get_result(), result.duration_ms) == ("late", 3_600_000)
    assert (run.at, queue.clock.now()) == (START, START + HOUR)


def test_what_interrupts_a_handler_reaches_the_test(queue: LocalQueue, client: Client) -> None:
    """Ctrl-C in a handler is no failure of the job."""

    def interrupt(job: Job) -> None:
        raise KeyboardInterrupt

    queue.handle("work", interrupt)
    client.submit_job("work", {})
    with pytest.raises(KeyboardInterrupt):
        queue.run_until_idle()


def test_an_id_without_a_document_stands_in_nobodys_way(
    broker: Broker, queue: LocalQueue, client: Client
) -> None:
    """The scheduler leaves it where it is, as Go's does, and what is due later runs."""
    queue.handle("work", succeed(1))
    broker.command("ZADD", "bananas:queue:scheduled", int(START.timestamp()) + 10, "lost")
    client.submit_job_scheduled("work", {}, scheduled_for=HOUR)
    assert len(queue.run_until_idle(within=DAY)) == 1


def test_a_queue_with_a_worker_in_the_background(broker: Broker) -> None:
    """The first call stops the worker, and returns what it has done as well."""
    with LocalQueue(broker.url) as queue, queue.client() as client:
        queue.handle("work", fail(times=1, then=succeed(1)))
        job_id = client.submit_job("work", {})
        client.wait_for_result(job_id, 30, wait_for_retries=False)
        assert isinstance(queue.clock, SystemClock)
        runs = queue.run_until_idle(within=DAY)
        assert [run.outcome for run in runs] == ["retry", "succeeded"]
        assert isinstance(queue.clock, ManualClock)
        client.submit_job("work", {})
        assert len(queue.run_until_idle()) == 1


def test_a_queue_that_does_not_run() -> None:
    """It says so."""
    queue = LocalQueue(background=False)
    assert isinstance(queue.clock, ManualClock)
    with pytest.raises(RuntimeError, match="not running"):
        queue.run_until_idle()
    with pytest.raises(RuntimeError, match="not running"):
        queue.submitted  # noqa: B018
