"""The life cycles that Go's jobs went through, replayed against the emulators step by step."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, AsyncIterator, Dict, Iterator, List

import pytest

from bananas import AsyncClient, Job, JobPriority
from bananas.testing import ManualClock, SchedulerEmulator, WorkerEmulator
from tests.behaviour.broker import Broker

VECTORS: Dict[str, Any] = json.loads(
    (Path(__file__).parent / "vectors.json").read_text(encoding="utf-8")
)
LIFECYCLES: Dict[str, List[Dict[str, Any]]] = VECTORS["lifecycles"]
LISTS = ["high", "normal", "low", "processing", "dead"]

_TIMES = re.compile(r'"(created_at|updated_at|scheduled_for)":"[^"]+"')


@pytest.fixture(params=["embedded_broker", "redis_server"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """An empty broker of either kind."""
    url = request.getfixturevalue(request.param).url
    broker = Broker(url if isinstance(url, str) else url())
    broker.flush()
    yield broker
    broker.close()


@pytest.fixture
def clock() -> ManualClock:
    """A clock ahead of the client's, so that a worker's times are the later ones on any machine."""
    return ManualClock(datetime.now(timezone.utc) + timedelta(hours=1))


@pytest.fixture
async def worker(broker: Broker, clock: ManualClock) -> AsyncIterator[WorkerEmulator]:
    worker = WorkerEmulator(broker.url, clock=clock)
    yield worker
    await worker.stop()


@pytest.fixture
async def scheduler(broker: Broker, clock: ManualClock) -> AsyncIterator[SchedulerEmulator]:
    scheduler = SchedulerEmulator(broker.url, clock=clock)
    yield scheduler
    await scheduler.stop()


async def submit(broker: Broker, document: str) -> None:
    """Submit the job that a document describes."""
    job = Job.from_json(document)
    async with AsyncClient(broker.url) as client:
        await client.submit_job(job.name, job.payload, job.priority, job_id=job.id)


def observe(broker: Broker, job_id: str) -> Dict[str, Any]:
    """Return what the vectors record of a step."""
    queues: Dict[str, Any] = {}
    for name in LISTS:
        ids = broker.command("LRANGE", f"bananas:queue:{name}", 0, -1)
        if ids:
            queues[f"bananas:queue:{name}"] = [item.decode() for item in ids]
    if broker.scheduled():
        queues["bananas:queue:scheduled"] = broker.scheduled()
    return {
        "document": broker.document(job_id).decode(),
        "queues": queues,
        "job_ttl_seconds": max(0, broker.command("TTL", f"bananas:job:{job_id}")),
    }


def assert_same(seen: Dict[str, Any], expected: Dict[str, Any]) -> None:
    """The documents are equal byte for byte, the times in them aside, and so is all else."""
    masked = [_TIMES.sub(r'"\1":"..."', step["document"]) for step in (seen, expected)]
    assert masked[0] == masked[1]
    ttl = expected["job_ttl_seconds"]
    assert ttl - 60 <= seen["job_ttl_seconds"] <= ttl
    for name, ids in expected["queues"].items():
        assert list(seen["queues"][name]) == list(ids)
    assert seen["queues"].keys() == expected["queues"].keys()


def assert_times_fit(steps: List[Dict[str, Any]]) -> None:
    """The times of a life cycle have to one another the relations that Go's have."""
    jobs = [Job.from_json(step["document"]) for step in steps]
    for before, job, step in zip([jobs[0], *jobs], jobs, steps):
        assert job.created_at == jobs[0].created_at
        assert job.updated_at is not None
        assert before.updated_at is not None
        worked_on = (job.status, job.attempts) != (before.status, before.attempts)
        assert (job.updated_at > before.updated_at) is worked_on
        assert job.updated_at >= before.updated_at
        scores = step["queues"].get("bananas:queue:scheduled", {})
        assert list(scores) == ([job.id] if job.scheduled_for else [])
        if job.scheduled_for is not None:
            waits = job.scheduled_for - job.updated_at
            assert abs(waits - timedelta(seconds=2**job.attempts)) < timedelta(milliseconds=1)
            assert scores[job.id] == math.floor(job.scheduled_for.timestamp())


@pytest.mark.parametrize("name", ["success", "three failures"])
def test_relations_hold_for_go(name: str) -> None:
    """What the replays are held to is true of the records themselves."""
    assert_times_fit(LIFECYCLES[name])


async def test_success(broker: Broker, worker: WorkerEmulator, clock: ManualClock) -> None:
    """A job that succeeds is submitted, taken and completed as Go does it."""
    worker.handle("work", lambda job: None)
    enqueued, dequeued, completed = LIFECYCLES["success"]
    job = Job.from_json(enqueued["document"])
    seen = []

    await submit(broker, enqueued["document"])
    seen.append(observe(broker, job.id))
    assert_same(seen[-1], enqueued)

    attempt = await worker.take()
    assert attempt is not None
    seen.append(observe(broker, job.id))
    assert_same(seen[-1], dequeued)

    clock.advance(1)
    await attempt.finish()
    seen.append(observe(broker, job.id))
    assert_same(seen[-1], completed)
    assert_times_fit(seen)


async def test_three_failures(
    broker: Broker, worker: WorkerEmulator, scheduler: SchedulerEmulator, clock: ManualClock
) -> None:
    """A job that fails three times is retried twice, later each time, and dead-lettered."""

    @worker.handler("work")
    def boom(job: Job) -> None:
        raise RuntimeError(f"boom {job.attempts} <&>")

    steps = LIFECYCLES["three failures"]
    job = Job.from_json(steps[0]["document"])
    seen = []
    for step in steps:
        clock.advance(0.25)
        if step["step"] == "enqueued":
            await submit(broker, step["document"])
        elif step["step"].startswith("failed attempt"):
            assert await worker.run_one() is not None
        else:
            retry = int(step["step"].split()[-1])
            clock.advance(2**retry - 1.3)
            assert await scheduler.move_due() == []
            clock.advance(1.05)
            assert await scheduler.move_due() == [job.id]
        seen.append(observe(broker, job.id))
        assert_same(seen[-1], step)
    assert_times_fit(seen)


async def test_corrupted(broker: Broker, worker: WorkerEmulator) -> None:
    """An unreadable and a missing document are dead-lettered, with a stub that says why."""
    broker.command("SET", "bananas:job:bad-json", "{not json")
    broker.command("LPUSH", "bananas:queue:normal", "bad-json")
    broker.command("LPUSH", "bananas:queue:normal", "missing-doc")
    while await worker.run_one() is not None:
        pass
    for step in LIFECYCLES["corrupted"]:
        assert_same(observe(broker, json.loads(step["document"])["id"]), step)


async def test_the_priority_of_the_submit_decides_the_list(
    broker: Broker, worker: WorkerEmulator
) -> None:
    """High goes before normal and normal before low, whichever was submitted first."""
    order: List[str] = []
    worker.handle("work", lambda job: order.append(str(job.priority)))
    async with AsyncClient(broker.url) as client:
        for priority in (JobPriority.LOW, JobPriority.NORMAL, JobPriority.HIGH):
            await client.submit_job("work", {}, priority)
    while await worker.run_one() is not None:
        pass
    assert order == ["high", "normal", "low"]
