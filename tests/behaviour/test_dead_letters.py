"""Dead letters are listed, requeued and purged, on a real Redis."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any, AsyncIterator, List

import pytest

from bananas import AsyncClient, Client
from bananas import exceptions as exc
from bananas.operating import DeadLetterCounts
from tests.behaviour.broker import Broker

D, LIST = "bananas:queue:dead", "bananas:queue:normal"


@pytest.fixture
async def client(real_broker: Broker) -> AsyncIterator[AsyncClient]:
    """A client of the real Redis."""
    async with AsyncClient(real_broker.url) as client:
        yield client


def bury(broker: Broker, job_id: str, **members: Any) -> None:
    """Make a dead letter, newer than all others."""
    document = {
        "id": job_id, "name": "work", "payload": {"n": 1}, "status": "failed",
        "priority": "normal", "created_at": "2025-01-15T10:30:00Z",
        "updated_at": "2025-01-15T10:30:00Z", "attempts": 3, "max_retries": 3, "error": "boom",
        **members,
    }  # fmt: skip
    broker.command("SET", f"bananas:job:{job_id}", json.dumps(document), "EX", 1000)
    broker.command("HSET", f"bananas:result:{job_id}", "status", "failed")
    broker.command("LPUSH", D, job_id)


def dead(broker: Broker) -> List[str]:
    """Return the ids in the list of dead letters, the oldest first."""
    return [job_id.decode() for job_id in broker.command("LRANGE", D, 0, -1)][::-1]


async def test_what_matches_goes_back_and_all_else_stays(
    real_broker: Broker, client: AsyncClient
) -> None:
    """In their order; what is expired, unreadable or has not failed is counted and stays."""
    for number in range(700):
        bury(real_broker, f"job{number}", name="work" if number % 3 else "other")
    real_broker.command("LPUSH", D, "gone")
    bury(real_broker, "stale", status="completed")
    bury(real_broker, "odd", priority="urgent")
    real_broker.command("SET", "bananas:job:broken", "{")
    real_broker.command("LPUSH", D, "broken")
    preview = await client.dead_letters.requeue(name="work", dry_run=True)
    matching = [f"job{number}" for number in range(700) if number % 3]
    assert preview.done == len(matching)
    assert preview.targets == {LIST: len(matching)}
    assert len(dead(real_broker)) == 704
    seen: List[DeadLetterCounts] = []
    found = await client.dead_letters.requeue(name="work", progress=seen.append)
    assert (found.done, found.targets) == (len(matching), {LIST: len(matching)})
    assert (found.expired, found.unreadable, found.stale) == (1, 2, 1)
    assert found.other == 700 - len(matching)
    assert real_broker.queued("queue:normal") == matching
    others = [f"job{number}" for number in range(0, 700, 3)]
    assert dead(real_broker) == [*others, "gone", "stale", "odd", "broken"]
    job = real_broker.job("job1")
    assert (job["status"], job["attempts"], job.get("error")) == ("pending", 0, None)
    assert real_broker.result("job1") == {}
    assert real_broker.command("TTL", "bananas:job:job1") == -1
    assert [counts.done for counts in seen] == sorted(counts.done for counts in seen)


async def test_each_filter(real_broker: Broker, client: AsyncClient) -> None:
    """By name, error text or pattern, age and route; nothing, or all with one, is refused."""
    now = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
    bury(real_broker, "a", name="mail")
    bury(real_broker, "b", error="time-out 17")
    bury(real_broker, "c", routing_key="gpu")
    bury(real_broker, "d", updated_at=now, created_at=now)
    filters: Any
    for filters, expected in (
        ({"name": "mail"}, {"a"}),
        ({"error": "time"}, {"b"}),
        ({"error": re.compile(r"\d+$")}, {"b"}),
        ({"older_than": timedelta(hours=1)}, {"a", "b", "c"}),
        ({"routing_key": "gpu"}, {"c"}),
        ({"routing_key": None}, {"a", "b", "d"}),
        ({"name": "work", "error": "boom"}, {"c", "d"}),
    ):
        found = await client.dead_letters.requeue(dry_run=True, routes="flat", **filters)
        assert found.done == len(expected), filters
    for wrong in ({}, {"all": True, "name": "a"}):
        with pytest.raises(ValueError, match="all=True"):
            await client.dead_letters.requeue(**wrong)
    with pytest.raises(ValueError, match="names the route 'gpu'"):
        await client.dead_letters.requeue(all=True)
    assert len(dead(real_broker)) == 4
    found = await client.dead_letters.requeue(all=True, limit=3, routes="document")
    assert found.targets == {LIST: 2, "bananas:route:gpu:queue:normal": 1}
    assert dead(real_broker) == ["d"]


async def test_purge(real_broker: Broker, client: AsyncClient) -> None:
    """Document and result go too; an entry without a document goes with all of them only."""
    bury(real_broker, "a", name="mail")
    real_broker.command("LPUSH", D, "gone")
    bury(real_broker, "b")
    assert (await client.dead_letters.purge(name="mail")).done == 1
    assert dead(real_broker) == ["gone", "b"]
    found = await client.dead_letters.purge(all=True)
    assert found.done == 2
    assert real_broker.keys() == []


async def test_large_documents_go_in_small_steps(real_broker: Broker, client: AsyncClient) -> None:
    """A page ends at 1 MiB, and none of them is left out."""
    for number in range(12):
        bury(real_broker, f"job{number}", payload="x" * 300_000)
    assert (await client.dead_letters.requeue(all=True)).done == 12
    assert real_broker.queued("queue:normal") == [f"job{number}" for number in range(12)]


async def test_two_at_once_double_nothing(real_broker: Broker) -> None:
    """Each letter is moved by one of them, while new ones come."""
    for number in range(600):
        bury(real_broker, f"job{number}", name="work" if number % 2 else "other")
    async with AsyncClient(real_broker.url) as one, AsyncClient(real_broker.url) as other:
        calls = [each.dead_letters.requeue(name="work", rate=2000) for each in (one, other)]
        running = asyncio.gather(*calls)
        for number in range(600, 640):
            bury(real_broker, f"job{number}", name="other")
            await asyncio.sleep(0)
        first, second = await running
    assert first.done + second.done == 300
    queued = real_broker.queued("queue:normal")
    assert sorted(queued) == sorted(f"job{number}" for number in range(1, 600, 2))
    assert len(dead(real_broker)) == 340


@pytest.mark.parametrize("right", ["-eval", "-lset", "-lpush", "-set", "-del"])
async def test_a_missing_right_is_named_before_anything_is_moved(
    real_broker: Broker, right: str
) -> None:
    """No mark is left in the list, and no letter is lost."""
    bury(real_broker, "a")
    real_broker.command("ACL", "SETUSER", "limited", "on", "nopass", "~*", "&*", "+@all", right)
    async with AsyncClient(real_broker.url.replace("redis://", "redis://limited:x@")) as client:
        with pytest.raises(exc.ServerError, match=right[1:].upper()):
            await client.dead_letters.requeue(all=True)
    real_broker.command("ACL", "DELUSER", "limited")
    assert dead(real_broker) == ["a"]
    assert real_broker.job("a")["status"] == "failed"


async def test_dead_letters_are_listed(real_broker: Broker) -> None:
    """The oldest first, those that are meant alone."""
    for number in range(5):
        bury(real_broker, f"job{number}", name="work" if number % 2 else "mail")
    real_broker.command("LPUSH", D, "gone")
    async with AsyncClient(real_broker.url) as client:
        found = [entry.id async for entry in client.dead_letters.jobs(name="mail")]
        everything = [entry.id async for entry in client.dead_letters.jobs()]
    assert found == ["job0", "job2", "job4"]
    assert everything == [*(f"job{number}" for number in range(5)), "gone"]


def test_the_blocking_client_has_the_same(real_broker: Broker) -> None:
    """Listed, counted, requeued and purged in the same words."""
    bury(real_broker, "a", name="mail")
    bury(real_broker, "b")
    with Client(real_broker.url) as client:
        assert [entry.id for entry in client.dead_letters.jobs(name="mail")] == ["a"]
        assert client.dead_letters.requeue(all=True, dry_run=True).done == 2
        assert client.dead_letters.requeue(name="mail").targets == {LIST: 1}
        assert client.dead_letters.purge(all=True).done == 1
    assert dead(real_broker) == []
