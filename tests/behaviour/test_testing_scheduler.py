"""The scheduler emulator queues what is due, as the Go scheduler does."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from typing import AsyncIterator, Awaitable, Callable

import pytest

from bananas import AsyncClient, ConnectionError, Job
from bananas.testing import ManualClock, SchedulerEmulator, WorkerEmulator
from tests.behaviour.broker import Broker

DUE = datetime(2125, 1, 15, 10, 30, 5, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(DUE - timedelta(microseconds=1))


@pytest.fixture
async def scheduler(broker: Broker, clock: ManualClock) -> AsyncIterator[SchedulerEmulator]:
    """A scheduler that looks when it is told to."""
    scheduler = SchedulerEmulator(broker.url, clock=clock)
    yield scheduler
    await scheduler.stop()


@pytest.fixture
def schedule(async_client: AsyncClient) -> Callable[..., Awaitable[str]]:
    """Schedules a job of the name ``work``."""

    async def schedule(due: datetime = DUE, priority: str = "normal", **options: object) -> str:
        return await async_client.submit_job_scheduled("work", {"n": 1}, priority, due, **options)  # type: ignore[arg-type]

    return schedule


async def test_a_job_is_not_moved_before_it_is_due(
    broker: Broker,
    scheduler: SchedulerEmulator,
    clock: ManualClock,
    schedule: Callable[..., Awaitable[str]],
) -> None:
    """A microsecond before it stays; at its very second it goes to its list."""
    job_id = await schedule(priority="high")
    assert await scheduler.move_due() == []
    clock.advance(timedelta(microseconds=1))
    assert await scheduler.move_due() == [job_id]
    assert broker.queued("queue:high") == [job_id]
    assert broker.scheduled() == {}
    assert await scheduler.move_due() == []


async def test_only_scheduled_for_is_taken_out_of_the_document(
    broker: Broker,
    scheduler: SchedulerEmulator,
    clock: ManualClock,
    schedule: Callable[..., Awaitable[str]],
) -> None:
    """Status, attempts and updated_at stay as they were."""
    job_id = await schedule()
    before = broker.job(job_id)
    clock.advance(1)
    await scheduler.move_due()
    after = broker.job(job_id)
    assert before.pop("scheduled_for")
    assert after == {
        **before,
        "created_at": after["created_at"],
        "updated_at": after["updated_at"],
    }
    assert after["status"] == "scheduled"
    assert Job.from_json(broker.document(job_id)).updated_at == Job.from_dict(before).updated_at


async def test_the_first_due_is_the_first_moved(
    broker: Broker,
    scheduler: SchedulerEmulator,
    clock: ManualClock,
    schedule: Callable[..., Awaitable[str]],
) -> None:
    """So that the one that has waited longest is taken first."""
    later, sooner = await schedule(DUE), await schedule(DUE - SECOND)
    clock.advance(1)
    assert await scheduler.move_due() == [sooner, later]
    assert broker.queued("queue:normal") == [sooner, later]


@pytest.mark.parametrize("document", [None, "{not json"])
async def test_an_id_without_a_document_stays_for_ever(
    broker: Broker, scheduler: SchedulerEmulator, document: str
) -> None:
    """The scheduler leaves it in the set, and moves the others."""
    if document is not None:
        broker.command("SET", "bananas:job:lost", document)
    broker.command("ZADD", "bananas:queue:scheduled", 1, "lost")
    assert await scheduler.move_due() == []
    assert broker.scheduled() == {"lost": 1}


async def test_a_route_is_kept(
    broker: Broker, clock: ManualClock, schedule: Callable[..., Awaitable[str]]
) -> None:
    """A job goes to its own route; one without goes to the deployment's default."""
    await schedule(routing_key="gpu", job_id="routed")
    await schedule(job_id="flat")
    clock.advance(1)
    scheduler = SchedulerEmulator(broker.url, clock=clock, default_route="default")
    await scheduler.move_due()
    await scheduler.stop()
    assert broker.queued("route:gpu:queue:normal") == ["routed"]
    assert broker.queued("route:default:queue:normal") == ["flat"]


async def test_a_retry_is_due_two_seconds_later(
    broker: Broker,
    scheduler: SchedulerEmulator,
    clock: ManualClock,
    async_client: AsyncClient,
) -> None:
    """What a worker schedules, the scheduler moves."""
    worker = WorkerEmulator(broker.url, clock=clock)
    job_id = await async_client.submit_job("nobody", {})
    await worker.run_one()
    await worker.stop()
    clock.advance(1)
    assert await scheduler.move_due() == []
    clock.advance(1)
    assert await scheduler.move_due() == [job_id]


async def test_it_looks_in_the_background(
    broker: Broker, clock: ManualClock, schedule: Callable[..., Awaitable[str]]
) -> None:
    """Each time that its clock has gone on by a second."""
    async with SchedulerEmulator(broker.url, clock=clock) as scheduler:
        await scheduler.start()
        for second in range(3):
            job_id = await schedule(DUE + second * SECOND)
            clock.advance(1)
            while job_id not in broker.queued("queue:normal"):
                await asyncio.sleep(0.002)
    assert broker.scheduled() == {}


async def test_it_goes_on_after_a_refusal(
    broker: Broker,
    clock: ManualClock,
    schedule: Callable[..., Awaitable[str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It says why it moves nothing, and tries again."""
    clock.advance(1)
    broker.command("SET", "bananas:queue:scheduled", "no set")
    async with SchedulerEmulator(broker.url, clock=clock):
        while "tries again in 0.5 s: Redis refuses: WRONGTYPE" not in caplog.text:
            await asyncio.sleep(0.005)
        broker.command("DEL", "bananas:queue:scheduled")
        job_id = await schedule()
        while broker.queued("queue:normal") != [job_id]:
            await asyncio.sleep(0.005)


async def test_a_redis_that_is_not_there_is_reported_at_the_start() -> None:
    """There is nothing to stop then."""
    scheduler = SchedulerEmulator("redis://127.0.0.1:1")
    with pytest.raises(ConnectionError, match="can't reach Redis at redis://127"):
        await scheduler.start()
    await scheduler.stop()
