"""Counting and listing what is in each place, while others add and remove."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any, List, Set

import pytest

from bananas import AsyncClient, Client, JobPlace, JobPriority, JobSpec
from bananas.operating import JobEntry
from bananas.queue import ListedJobs
from tests.behaviour.broker import Broker
from tests.support import FaultProxy


async def ids_of(listed: ListedJobs) -> List[str]:
    """Return the ids of all entries."""
    return [entry.id async for entry in listed]


async def test_depths(async_client: AsyncClient, broker: Broker) -> None:
    """What waits where is counted by route and priority, and so is what all routes share."""
    await async_client.submit_jobs([JobSpec("work", None, JobPriority.HIGH)] * 2)
    await async_client.submit_job_scheduled("work", None, JobPriority.LOW, timedelta(1))
    await async_client.submit_job("work", None, routing_key="eu")
    now = int(time.time())
    broker.command("ZADD", "bananas:queue:scheduled", now - 60, "late")
    broker.command("LPUSH", "bananas:queue:processing", "a", "b", "c")
    broker.command("LPUSH", "bananas:queue:dead", "d")
    depths = await async_client.queue.depths(["eu"])
    assert depths.queued == {
        None: {JobPriority.HIGH: 2, JobPriority.NORMAL: 0, JobPriority.LOW: 0},
        "eu": {JobPriority.HIGH: 0, JobPriority.NORMAL: 1, JobPriority.LOW: 0},
    }
    assert (depths.total_queued, depths.scheduled, depths.overdue) == (3, 2, 1)
    assert depths.next_due is not None
    assert depths.next_due.timestamp() == now - 60
    assert (depths.processing, depths.dead) == (3, 1)
    assert json.loads(json.dumps(depths.to_dict()))["queued"][1] == {
        "routing_key": "eu", "high": 0, "normal": 1, "low": 0,
    }  # fmt: skip
    assert str(depths).splitlines()[:2] == [
        "queued: 2 high, 0 normal, 0 low",
        "queued on route eu: 0 high, 1 normal, 0 low",
    ]


async def test_depths_take_one_round_trip(proxy: FaultProxy) -> None:
    """One pipeline tells all of it."""
    async with AsyncClient(proxy.url()) as client:
        await client.queue.depths()
        before = proxy.commands
        await client.queue.depths(["a", "b"])
        asked = proxy.commands
        asked.subtract(before)
        assert +asked == {"LLEN": 11, "ZCARD": 1, "ZCOUNT": 1, "ZRANGE": 1}


async def test_routes_are_discovered(real_broker: Broker) -> None:
    """Routes that have jobs are found, whatever else stands in Redis."""
    broker = real_broker
    for key in ("bananas:route:eu:queue:low", "bananas:route:us-1:queue:high"):
        broker.command("LPUSH", key, "x")
    broker.command("SET", "bananas:route:text:queue:low", "x")
    broker.command("LPUSH", "bananas:route:a:b:queue:low", "x")
    broker.command("LPUSH", "other:route:no:queue:low", "x")
    async with AsyncClient(broker.url, routing_key="mine") as client:
        depths = await client.queue.depths(discover=True)
        assert set(depths.queued) == {"mine", None, "eu", "us-1"}
        assert set((await client.queue.depths()).queued) == {"mine"}
        broker.command("DEL", "bananas:route:eu:queue:low")
        assert "eu" in (await client.queue.depths(discover=True)).queued
    odd = "b[a]*:"
    broker.command("LPUSH", f"{odd}route:eu:queue:low", "x")
    async with AsyncClient(broker.url, key_prefix="b[a]*:") as client:
        assert set((await client.queue.depths(discover=True)).queued) == {None, "eu"}


@pytest.mark.parametrize("bad", [["a b"], ["a", 7], "eu"])
async def test_routes_that_are_refused(async_client: AsyncClient, bad: Any) -> None:
    """What is no list of routing keys is refused."""
    with pytest.raises(ValueError, match="^routing_keys"):
        await async_client.queue.depths(bad)


async def test_listing_of_each_place(async_client: AsyncClient, broker: Broker) -> None:
    """Each place gives its jobs with their documents, and ids whose document is no more."""
    low = await async_client.submit_job("low", 1, "low")
    high = await async_client.submit_job("high", 1, "high")
    eu = await async_client.submit_job("eu", 1, routing_key="eu")
    later = await async_client.submit_job_scheduled("later", 1, scheduled_for=timedelta(hours=1))
    retry = {"id": "again", "name": "r", "payload": 1, "attempts": 1, "status": "pending"}
    broker.command("SET", "bananas:job:again", json.dumps(retry))
    broker.command("ZADD", "bananas:queue:scheduled", 5, "again")
    broker.command("LPUSH", "bananas:queue:processing", "", b"\xff", "gone")
    broker.command("LPUSH", "bananas:queue:dead", "old", "new")
    broker.command("SET", "bananas:job:old", "{")
    jobs = async_client.queue.jobs
    assert await ids_of(jobs("queued")) == [high, low]
    assert await ids_of(jobs("queued", priority="low")) == [low]
    assert await ids_of(jobs(JobPlace.QUEUED, routing_key="eu")) == [eu]
    assert await ids_of(jobs("queued", limit=1)) == [high]
    assert await ids_of(jobs("queued", limit=0)) == []
    assert await ids_of(jobs("scheduled")) == ["again", later]
    assert await ids_of(jobs("retrying")) == ["again"]
    assert await ids_of(jobs("taken")) == ["gone", "\udcff", ""]
    assert await ids_of(jobs("dead")) == ["old", "new"]
    first = await jobs("scheduled").__anext__()
    assert (first.place, first.due and first.due.timestamp()) == (JobPlace.RETRYING, 5)
    assert first.job is not None
    assert first.job.name == "r"
    old, new = [entry async for entry in jobs("dead")]
    assert old.problem.startswith("its document can't be read: ")
    assert new == JobEntry("new", JobPlace.DEAD, None, "its document is gone")
    assert json.loads(json.dumps(first.to_dict()))["due"] == "1970-01-01T00:00:05Z"
    assert str(new) == "new: dead, its document is gone"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"place": "processing"}, "^place must be queued, scheduled, retrying, taken or dead, not"),
        ({"place": 7}, "^place must be"),
        ({"place": "dead", "routing_key": "eu"}, "^routing_key is for queued jobs"),
        ({"place": "dead", "priority": "low"}, "^priority is for queued jobs"),
        ({"place": "queued", "limit": -1}, "^limit must be"),
        ({"place": "queued", "routing_key": "a b"}, "^routing_key must be"),
    ],
)
async def test_listings_that_are_refused(
    async_client: AsyncClient, arguments: Any, problem: str
) -> None:
    """What can't be listed is refused before anything is read."""
    with pytest.raises(ValueError, match=problem):
        async_client.queue.jobs(**arguments)


def test_blocking_listing(real_broker: Broker) -> None:
    """The blocking client gives the same, one after the other."""
    ids = [f"job-{number}" for number in range(1200)]
    real_broker.command("LPUSH", "bananas:queue:dead", *ids)
    with Client(real_broker.url) as client:
        listed = client.queue.jobs("dead")
        assert [entry.id for entry in listed] == ids
        assert list(listed) == []
        with pytest.raises(ValueError, match="^place must be"):
            client.queue.jobs("nowhere")  # type: ignore[arg-type]


@pytest.mark.parametrize("place", ["queued", "taken", "dead"])
async def test_listing_while_ids_come_and_go(real_broker: Broker, place: str) -> None:
    """What stays is given, whatever is pushed, popped or taken out between the pages."""
    keys = {"queued": "queue:normal", "taken": "queue:processing", "dead": "queue:dead"}
    key = f"bananas:{keys[place]}"
    ids = [f"job-{number}" for number in range(12_000)]
    for start in range(0, len(ids), 1000):
        real_broker.command("RPUSH", key, *ids[start : start + 1000])
    gone: Set[str] = set()
    seen: List[str] = []
    async with AsyncClient(real_broker.url) as client:
        step = 0
        async for entry in client.queue.jobs(place):  # type: ignore[arg-type]
            seen.append(entry.id)
            if len(seen) % 500 != 0 or step > 12:
                continue
            step += 1
            real_broker.command("LPUSH", key, *(f"new-{step}-{n}" for n in range(7 * step)))
            # Just what was given last, and a few of the others.
            for victim in [entry.id, *ids[step * 700 :: 2500]]:
                if real_broker.command("LREM", key, 1, victim):
                    gone.add(victim)
            if place == "queued":
                popped = real_broker.command("RPOP", key, 100)
                gone.update(one.decode() for one in popped)
    assert set(ids) - gone <= set(seen)
    assert len(seen) < 20_000


async def test_a_list_that_is_emptied_meanwhile(real_broker: Broker) -> None:
    """The iteration ends, whatever has become of the list."""
    real_broker.command("RPUSH", "bananas:queue:dead", *(str(n) for n in range(2000)))
    async with AsyncClient(real_broker.url) as client:
        listed = client.queue.jobs("dead")
        assert (await listed.__anext__()).id == "1999"
        real_broker.command("DEL", "bananas:queue:dead")
        assert len(await ids_of(listed)) == 499


async def test_many_with_one_score(real_broker: Broker) -> None:
    """More than a page of jobs that are due in the same second are all given, once."""
    key = "bananas:queue:scheduled"
    ids = [f"{number:05}" for number in range(3100)]
    flat: List[Any] = []
    for one in ids:
        flat += [100, one]
    real_broker.command("ZADD", key, *flat)
    real_broker.command("ZADD", key, 99, "before", 101, "behind", 1e300, "never")
    async with AsyncClient(real_broker.url) as client:
        seen: List[str] = []
        async for entry in client.queue.jobs("scheduled"):
            seen.append(entry.id)
            if len(seen) == 1000:
                real_broker.command("ZREM", key, *ids[:600], ids[998], ids[1000])
                real_broker.command("ZADD", key, 100, "00000-new")
    ids.remove("01000")
    assert [one for one in seen if one != "00000-new"] in (
        ["before", *ids, "behind", "never"],
        ["before", *sorted([*ids, "01000"]), "behind", "never"],
    )


async def test_large_documents_are_read_in_small_steps(proxy: FaultProxy) -> None:
    """No step reads more than 1 MiB of documents, or one document."""
    async with AsyncClient(proxy.url()) as client:
        await client.submit_jobs([JobSpec("work", "x" * 400_000) for _ in range(7)])
        before = proxy.commands["MGET"]
        assert len(await ids_of(client.queue.jobs("queued"))) == 7
        assert proxy.commands["MGET"] - before == 4
