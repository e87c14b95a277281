"""Waits on a local queue end as they do with Go workers, without the waiting."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import AsyncIterator, List

import pytest

from bananas import AsyncClient, Job, JobStatus, TimeoutError
from bananas.testing import LocalQueue, ManualClock, Panic
from tests.behaviour.broker import Broker

PATIENCE = 60.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def queue(broker: Broker, clock: ManualClock) -> AsyncIterator[LocalQueue]:
    """A worker and a scheduler on the broker at hand."""
    async with LocalQueue(broker.url, clock=clock) as queue:
        yield queue


async def until_attempts(broker: Broker, job_id: str, attempts: int) -> None:
    """Wait until a document counts that many failed attempts."""
    while broker.job(job_id)["attempts"] < attempts:
        await asyncio.sleep(0.005)


async def test_a_wait_sees_the_success_of_the_retry(
    broker: Broker, async_client: AsyncClient, queue: LocalQueue, clock: ManualClock
) -> None:
    """It ends once, with the success, although a failed result was stored before."""
    attempts: List[int] = []

    @queue.handler("flaky")
    def flaky(job: Job) -> str:
        attempts.append(job.attempts)
        if job.attempts == 0:
            raise RuntimeError("boom")
        return "done"

    job_id = await async_client.submit_job("flaky", {})
    wait = asyncio.create_task(async_client.wait_for_result(job_id, PATIENCE))
    await until_attempts(broker, job_id, 1)
    assert broker.result(job_id)["status"] == "failed"
    assert not wait.done()
    clock.advance(2)
    result = await wait
    assert (result.get_result(), result.error) == ("done", "")
    assert attempts == [0, 1]


async def test_a_wait_sees_the_last_of_three_failures(
    broker: Broker, async_client: AsyncClient, queue: LocalQueue, clock: ManualClock
) -> None:
    """The failures before it end nothing."""

    @queue.handler("broken")
    def broken(job: Job) -> None:
        raise RuntimeError(f"boom {job.attempts}")

    job_id = await async_client.submit_job("broken", {})
    wait = asyncio.create_task(async_client.wait_for_result(job_id, PATIENCE))
    for attempts in (1, 2):
        await until_attempts(broker, job_id, attempts)
        assert not wait.done()
        clock.advance(2**attempts)
    result = await wait
    assert (result.status, result.error) == (JobStatus.FAILED, "boom 2")
    await until_attempts(broker, job_id, 3)
    job = await async_client.get_job(job_id)
    assert job is not None
    assert (job.status, job.attempts) == (JobStatus.FAILED, 3)


async def test_a_wait_may_end_with_the_first_attempt(
    async_client: AsyncClient, queue: LocalQueue
) -> None:
    """With wait_for_retries=False any stored result ends it."""

    @queue.handler("broken")
    def broken(job: Job) -> None:
        raise RuntimeError(f"boom {job.attempts}")

    job_id = await async_client.submit_job("broken", {})
    result = await async_client.wait_for_result(job_id, PATIENCE, wait_for_retries=False)
    assert (result.status, result.error) == (JobStatus.FAILED, "boom 0")


@pytest.mark.parametrize(
    ("name", "error"),
    [("nobody", "no handler registered for job: nobody"), ("crash", "panic: nil map")],
)
async def test_a_wait_ends_for_a_job_that_ends_without_a_result(
    async_client: AsyncClient, queue: LocalQueue, name: str, error: str
) -> None:
    """The failed result is made from the dead letter, which says what happened."""

    @queue.handler("crash")
    async def crash(job: Job) -> None:
        raise Panic("nil map")

    result = await async_client.submit_and_wait(name, {}, timeout=PATIENCE, max_retries=1)
    assert (result.status, result.error, result.has_data) == (JobStatus.FAILED, error, False)


async def test_a_wait_ends_for_a_job_without_a_document(
    broker: Broker, async_client: AsyncClient, queue: LocalQueue
) -> None:
    """The stub that the worker leaves is enough."""
    wait = asyncio.create_task(async_client.wait_for_result("lost", PATIENCE))
    broker.command("LPUSH", "bananas:queue:normal", "lost")
    result = await wait
    assert (result.status, result.error) == (
        JobStatus.FAILED,
        "Job data not found (corrupted reference)",
    )


async def test_a_scheduled_job_is_not_run_early(
    broker: Broker, async_client: AsyncClient, queue: LocalQueue, clock: ManualClock
) -> None:
    """It waits in the set until the clock has reached its time, then it is run."""
    ran_at = []
    queue.handle("work", lambda job: ran_at.append(clock.now()))
    due = clock.now() + timedelta(hours=1, microseconds=1)
    job_id = await async_client.submit_job_scheduled("work", {}, "normal", due)
    clock.advance(timedelta(hours=1))
    with pytest.raises(TimeoutError, match="scheduled|due") as caught:
        await async_client.wait_for_result(job_id, 0.3)
    assert caught.value.whereabouts == "scheduled"
    assert list(broker.scheduled()) == [job_id]
    clock.advance(1)
    assert (await async_client.wait_for_result(job_id, PATIENCE)).is_success
    assert ran_at == [clock.now()]
    assert clock.now() >= due


async def test_a_hundred_waits_at_a_time(async_client: AsyncClient, queue: LocalQueue) -> None:
    """Every job gets its own result."""
    queue.handle("echo", lambda job: job.payload)

    async def one(n: int) -> object:
        return (await async_client.submit_and_wait("echo", n, timeout=PATIENCE)).get_result()

    assert await asyncio.gather(*map(one, range(100))) == list(range(100))
