"""Each way in which a job may not run is told from the others."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import timedelta
from typing import Any, List, Tuple

import pytest

from bananas import AsyncClient, Client, JobPlace, JobPriority
from bananas.operating import Explanation
from tests.behaviour.broker import Broker
from tests.behaviour.go_worker import GoWorker

QUEUE = "bananas:queue:"


def told(explanation: Explanation) -> Tuple[str, str, bool]:
    """Return what a program goes by, having checked that the rest can be shown."""
    assert json.loads(json.dumps(explanation.to_dict()))["situation"] == explanation.situation
    assert str(explanation).startswith(f"{explanation.job_id}: {explanation.place}\n")
    return str(explanation.place), explanation.situation, explanation.is_guess


async def test_queued_behind_others(async_client: AsyncClient) -> None:
    """The position counts the jobs that are taken first."""
    ids = [await async_client.submit_job("work", n, "high") for n in range(4)]
    found = await async_client.explain(ids[3])
    assert told(found) == ("queued", "waiting", True)
    assert (found.position, found.priority, found.routing_key) == (3, JobPriority.HIGH, None)
    assert found.known == ("it is queued in the flat list of priority high, behind 3 others",)
    assert (await async_client.explain(ids[0])).position == 0


async def test_scheduled(async_client: AsyncClient, broker: Broker) -> None:
    """A job that is due later waits; one that was due long ago has no scheduler, probably."""
    job_id = await async_client.submit_job_scheduled("w", 1, scheduled_for=timedelta(hours=1))
    found = await async_client.explain(job_id)
    assert told(found) == ("scheduled", "scheduled", False)
    assert found.due is not None
    broker.command("ZADD", f"{QUEUE}scheduled", int(time.time()) - 60, job_id)
    found = await async_client.explain(job_id)
    assert told(found) == ("scheduled", "overdue", True)
    assert found.cause == "no scheduler is running"


async def test_retrying(async_client: AsyncClient, worker: GoWorker) -> None:
    """A retry to come tells after what."""
    job_id = await async_client.submit_job("work", 1)
    worker.take()
    worker.retry_later(job_id, "boom\nmore")
    found = await async_client.explain(job_id)
    assert told(found) == ("retrying", "retrying", False)
    assert found.cause == 'it waits for its next attempt, after "boom"'
    assert (found.attempts, found.last_error) == (1, "boom\nmore")
    worker.queue_again(job_id)
    found = await async_client.explain(job_id)
    assert told(found) == ("retrying", "waiting", True)
    assert found.position == 0


async def test_taken(async_client: AsyncClient, worker: GoWorker, broker: Broker) -> None:
    """A job that runs and one that was lost can't be told apart; a dropped one can."""
    job_id = await async_client.submit_job("work", 1)
    worker.take()
    found = await async_client.explain(job_id)
    assert told(found) == ("taken", "taken", True)
    assert found.known == ("a worker has taken it",)
    worker.rewrite(job_id, priority="urgent")
    found = await async_client.explain(job_id)
    assert told(found) == ("taken", "unknown priority", False)
    worker.rewrite(job_id, priority="")
    assert "its priority '' is not" in (await async_client.explain(job_id)).cause
    worker.rewrite(job_id, priority="urgent")
    broker.command("LREM", f"{QUEUE}processing", 0, job_id)
    broker.command("LPUSH", f"{QUEUE}normal", job_id)
    assert told(await async_client.explain(job_id)) == ("queued", "unknown priority", False)
    broker.command("RENAME", f"{QUEUE}normal", f"{QUEUE}urgent")
    found = await async_client.explain(job_id)
    assert told(found) == ("queued", "unknown priority", True)
    assert "workers read no others" in found.cause


async def test_ended(async_client: AsyncClient, worker: GoWorker, broker: Broker) -> None:
    """Each end is named."""
    ids = [await async_client.submit_job("work", n) for n in range(5)]
    for _ in ids:
        worker.take()
    worker.store_success(ids[0], "1")
    for job_id in ids[:2]:
        worker.complete(job_id)
    worker.fail_for_good(ids[2], "boom")
    worker.fail_for_good(ids[3], "no handler registered for job: work")
    worker.rewrite(ids[4], status="failed", error="cancelled", cancelled_at="2025-01-15T10:30:00Z")
    found = [await async_client.explain(job_id) for job_id in ids]
    assert [told(one) for one in found] == [
        ("completed", "completed", False),
        ("completed", "completed", False),
        ("dead", "failed", False),
        ("dead", "no handler", False),
        ("cancelled", "cancelled", False),
    ]
    assert [one.missing for one in found[:2]] == [(), ("result",)]
    broker.command("DEL", f"bananas:job:{ids[0]}", f"{QUEUE}processing")
    last = await async_client.explain(ids[0])
    assert told(last) == ("completed", "result without job", False)


@pytest.mark.parametrize(
    ("place", "word"),
    [("normal", "queued"), ("scheduled", "scheduled"), ("processing", "taken"), ("dead", "dead")],
)
async def test_an_id_without_a_document(
    async_client: AsyncClient, broker: Broker, place: str, word: str
) -> None:
    """An id whose document is gone is found in each place, odd ids too."""
    for job_id in ("gone", "", "a b:c", "\udcff"):
        member = job_id.encode("utf-8", "surrogateescape")
        if place == "scheduled":
            broker.command("ZADD", f"{QUEUE}scheduled", 1, member)
        else:
            broker.command("LPUSH", f"{QUEUE}{place}", member)
        found = await async_client.explain(job_id)
        assert told(found) == (word, "no document", False)
        assert found.missing == ("document",)


async def test_broken_documents(
    async_client: AsyncClient, broker: Broker, worker: GoWorker
) -> None:
    """What can't be read says why; what stands nowhere is told from what was never there."""
    for text in ('{"id":"bad","created_at":"yesterday"}', "{", '{"id":"bad","attempts":1.0}'):
        broker.command("SET", "bananas:job:bad", text)
        found = await async_client.explain("bad")
        assert told(found) == ("unreadable", "unreadable", False)
        assert "not even by a Go worker: " in found.cause
    worker.leave_stub("stub")
    assert told(await async_client.explain("stub")) == ("dead", "unreadable", False)
    lost = await async_client.submit_job("work", 1)
    broker.command("DEL", f"{QUEUE}normal")
    found = await async_client.explain(lost)
    assert told(found) == ("queued", "no place", True)
    assert found.missing == ("place",)
    found = await async_client.explain("never")
    assert told(found) == ("missing", "missing", False)
    assert "the queue can't know which" in found.cause


async def test_routes(async_client: AsyncClient, broker: Broker) -> None:
    """A job on a list that some servers don't drain says which do."""
    routed = await async_client.submit_job("work", 1, routing_key="eu")
    found = await async_client.explain(routed)
    assert (found.situation, found.routing_key, found.position) == ("waiting", "eu", 0)
    assert "only workers of route 'eu' take jobs from it" in found.cause
    broker.command("RENAME", "bananas:route:eu:queue:normal", f"{QUEUE}normal")
    found = await async_client.explain(routed)
    assert "workers of that route do not find it" in found.cause
    default = await async_client.submit_job("work", 1, routing_key="default")
    assert "newer servers read the flat lists" in (await async_client.explain(default)).cause


async def test_further_back(real_broker: Broker) -> None:
    """A job behind more than is searched at first is found all the same."""
    async with AsyncClient(real_broker.url) as client:
        await client.submit_job("first", 1)
        job_id = await client.submit_job("work", 1)
        for start in range(0, 100_000, 10_000):
            more = [f"{n}" for n in range(start, start + 10_000)]
            real_broker.command("RPUSH", f"{QUEUE}normal", *more)
        assert (await client.explain(job_id)).position == 100_001


async def test_rights(real_broker: Broker) -> None:
    """Where a command is refused, the rest is told, and what was refused."""
    rights = ["on", "nopass", "~*", "&*", "+@all", "-lpos", "-info"]
    real_broker.command("ACL", "SETUSER", "reader", *rights)
    try:
        url = real_broker.url.replace("redis://", "redis://reader:x@")
        async with AsyncClient(url) as client:
            job_id = await client.submit_job_scheduled("w", 1, scheduled_for=timedelta(hours=1))
            found = await client.explain(job_id)
            assert told(found) == ("scheduled", "scheduled", False)
            assert "Redis refuses a command: NOPERM" in found.known[-1]
    finally:
        real_broker.command("ACL", "DELUSER", "reader")


async def test_observation(real_broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two looks tell a list that moves from one that nobody drains, and who looks for due jobs."""
    monkeypatch.setattr("bananas._operating.reads._SHORTEST_OBSERVATION", 0.01)
    async with AsyncClient(real_broker.url) as client:
        first, job_id = [await client.submit_job("work", n) for n in range(2)]
        found = await client.explain(job_id, 0.05)
        assert told(found) == ("queued", "not drained", True)
        assert found.known[-1] == "no job has left that list in 0.05 s"
        real_broker.command("ZADD", f"{QUEUE}scheduled", 5, first)
        real_broker.command("LREM", f"{QUEUE}normal", 0, first)
        found = await client.explain(first, timedelta(seconds=0.05))
        assert told(found) == ("scheduled", "overdue", False)
        assert found.known[-1] == "no scheduler asked for due jobs in 0.05 s"
        real_broker.command("RPOPLPUSH", f"{QUEUE}normal", f"{QUEUE}processing")
        found = await client.explain(job_id, 0.05)
        assert found.known == ("a worker has taken it at least 0.05 s ago",)


@pytest.mark.parametrize("observe", [-1, 3, "6", None])
async def test_observations_that_are_refused(async_client: AsyncClient, observe: Any) -> None:
    """A look that is too short to tell anything is refused."""
    with pytest.raises(ValueError, match="^observe must be"):
        await async_client.explain("a", observe)


def test_blocking(real_broker: Broker) -> None:
    """The blocking client explains the same."""
    with Client(real_broker.url) as client:
        found = client.explain(client.submit_job("work", 1))
        assert (found.place, found.position) == (JobPlace.QUEUED, 0)


async def test_many_at_once(async_client: AsyncClient) -> None:
    """Explanations take turns, and none gets the facts of another job."""
    ids: List[str] = [await async_client.submit_job("work", n) for n in range(20)]
    found = await asyncio.gather(*(async_client.explain(job_id) for job_id in ids))
    assert [one.position for one in found] == list(range(20))


async def test_a_route_that_nobody_names(async_client: AsyncClient, broker: Broker) -> None:
    """A job on a list that neither its document nor the client names is found there."""
    job_id = await async_client.submit_job("work", 1)
    broker.command("RENAME", f"{QUEUE}normal", "bananas:route:elsewhere:queue:normal")
    found = await async_client.explain(job_id)
    assert (found.place, found.routing_key, found.position) == (JobPlace.QUEUED, "elsewhere", 0)
