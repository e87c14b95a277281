"""The jobs of killed workers are recovered, on a real Redis."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any, AsyncIterator, Dict, List

import pytest

from bananas import AsyncClient, Client
from bananas import exceptions as exc
from bananas.repairs import RecoveryCounts
from tests.behaviour.broker import Broker
from tests.behaviour.go_worker import GoWorker

P, D, NOTES = "bananas:queue:processing", "bananas:queue:dead", "bananas:operator:taken"
LIST = "bananas:queue:normal"
HOUR = timedelta(hours=1)


@pytest.fixture
async def client(real_broker: Broker) -> AsyncIterator[AsyncClient]:
    """A client of the real Redis."""
    async with AsyncClient(real_broker.url) as client:
        yield client


def document(job_id: str, **members: Any) -> str:
    """Return the document of a job that was submitted a moment ago."""
    return json.dumps({
        "id": job_id, "name": "work", "payload": {"n": 1}, "status": "pending",
        "priority": "normal", "created_at": "2025-01-15T10:30:00Z",
        "updated_at": "2025-01-15T10:30:00Z", "attempts": 0, "max_retries": 3,
        **members,
    })  # fmt: skip


def take(broker: Broker, job_id: str, **members: Any) -> None:
    """Have a worker hold a job."""
    broker.command("SET", f"bananas:job:{job_id}", document(job_id, **members))
    broker.command("LPUSH", P, job_id)


def taken(broker: Broker) -> List[str]:
    """Return the taken ids, the oldest first."""
    return [member.decode() for member in broker.command("LRANGE", P, 0, -1)][::-1]


def made_older(broker: Broker, seconds: float) -> None:
    """Have all notes be written earlier."""
    flat = broker.command("HGETALL", NOTES)
    for member, text in zip(flat[::2], flat[1::2]):
        first, rest = text.split(b" ", 1)
        earlier = int(first) - int(seconds * 1_000_000)
        broker.command("HSET", NOTES, member, b"%d %b" % (earlier, rest))


def snapshot(broker: Broker) -> Dict[str, Any]:
    """Return all that is stored."""
    names = broker.keys()
    return {name: broker.command("DUMP", name) for name in names}


async def test_a_first_look_notes_and_a_later_one_acts(
    real_broker: Broker, client: AsyncClient
) -> None:
    """Not before the time is over, which counts from the first look; a preview changes nothing."""
    take(real_broker, "lost")
    before = snapshot(real_broker)
    assert (await client.recover(0, dry_run=True)).noted == 1
    assert snapshot(real_broker) == before
    first = await client.recover(HOUR)
    assert (first.done, first.noted, first.waiting) == (0, 1, 0)
    assert 0 < real_broker.command("TTL", NOTES) <= 7 * 24 * 3600
    made_older(real_broker, 3590)
    second = await client.recover(HOUR)
    assert (second.done, second.noted, second.waiting) == (0, 0, 1)
    assert first.next_at is not None
    assert second.next_at == first.next_at - timedelta(seconds=3590)
    made_older(real_broker, 11)
    before = snapshot(real_broker)
    preview = await client.recover(HOUR, dry_run=True)
    assert (preview.requeued, preview.targets) == (1, {LIST: 1})
    assert snapshot(real_broker) == before
    async with AsyncClient(real_broker.url) as another:
        found = await another.recover(HOUR)
    assert (found.requeued, found.targets, found.next_at) == (1, {LIST: 1}, None)
    assert taken(real_broker) == []
    assert real_broker.queued("queue:normal") == ["lost"]
    assert real_broker.command("EXISTS", NOTES) == 0
    job = real_broker.job("lost")
    assert (job["status"], job["attempts"], job["error"]) == ("pending", 1, "worker lost")


async def test_what_becomes_of_each_entry(real_broker: Broker, client: AsyncClient) -> None:
    """By what its document says; nothing else is changed in it."""
    take(real_broker, "ended", status="completed")
    take(real_broker, "failed", status="failed")
    take(real_broker, "gone")
    real_broker.command("DEL", "bananas:job:gone")
    take(real_broker, "unreadable")
    real_broker.command("SET", "bananas:job:unreadable", "{")
    take(real_broker, "other type")
    real_broker.command("DEL", "bananas:job:other type")
    real_broker.command("LPUSH", "bananas:job:other type", "x")
    take(real_broker, "stub")
    real_broker.command("SET", "bananas:job:stub", '{"id":"stub","error":"lost"}')
    take(real_broker, "due", attempts=1)
    real_broker.command("ZADD", "bananas:queue:scheduled", 1, "due")
    take(real_broker, "stored")
    real_broker.command("HSET", "bananas:result:stored", "status", "completed")
    take(real_broker, "")
    take(real_broker, "last", attempts=2, scheduled_for="2025-01-15T10:30:00Z")
    real_broker.command("HSET", "bananas:result:last", "status", "failed", "result", "1")
    exact = '{"n":12345678901234567890.50,"e":1e400}'
    odd = document("low", priority="low", new_field=1).replace('{"n": 1}', exact)
    real_broker.command("SET", "bananas:job:low", odd, "EX", 100)
    real_broker.command("LPUSH", P, "low")
    await client.recover(0)
    found = await client.recover(0)
    assert (found.requeued, found.dead, found.removed, found.done) == (2, 1, 6, 9)
    assert (found.unreadable, found.changed, found.looked_at) == (1, 1, 11)
    assert found.targets == {LIST: 1, "bananas:queue:low": 1, D: 1}
    assert taken(real_broker) == ["unreadable", "other type"]
    assert real_broker.queued("queue:dead") == ["last"]
    assert real_broker.queued("queue:normal") == [""]
    assert real_broker.queued("queue:low") == ["low"]
    assert exact in real_broker.document("low").decode()
    assert real_broker.command("TTL", "bananas:job:low") == -1
    assert (real_broker.job("low")["new_field"], real_broker.job("low")["attempts"]) == (1, 1)
    last = real_broker.job("last")
    assert (last["status"], last["attempts"], last["error"]) == ("failed", 3, "worker lost")
    assert "scheduled_for" not in last
    assert 600_000 < real_broker.command("TTL", "bananas:job:last") <= 604_800
    result = real_broker.result("last")
    assert (result["status"], result["error"]) == ("failed", "worker lost")
    assert "result" not in result
    assert 86_000 < real_broker.command("TTL", "bananas:result:last") <= 86_400
    assert real_broker.job("stored")["status"] == "completed"
    assert real_broker.job("due")["attempts"] == 1
    again = await client.recover(0)
    assert (again.done, again.unreadable) == (0, 1)


async def test_whoever_waits_is_told(real_broker: Broker, client: AsyncClient) -> None:
    """A job without attempts left ends for its waiters at once."""
    job_id = await client.submit_job("work", 1, max_retries=1)
    GoWorker(real_broker).take()
    waiting = asyncio.ensure_future(client.wait_for_result(job_id, 60))
    await client.recover(0)
    assert (await client.recover(0)).dead == 1
    result = await waiting
    assert (result.is_failed, result.error) == (True, "worker lost")


async def test_a_busy_worker_is_left_alone(real_broker: Broker, client: AsyncClient) -> None:
    """What it takes, completes and retries between the looks is young each time."""
    worker = GoWorker(real_broker)
    take(real_broker, "lost")
    take(real_broker, "slow")
    for number in range(20):
        take(real_broker, f"job{number}")
    assert (await client.recover(HOUR)).noted == 22
    made_older(real_broker, 3601)
    for number in range(20):
        job_id = f"job{number}"
        if number % 2:
            worker.complete(job_id)
            real_broker.command("LREM", P, 1, job_id)
        else:
            worker.retry_later(job_id)
            worker.queue_again(job_id)
            assert worker.take() == job_id
    take(real_broker, "new")
    found = await client.recover(HOUR, progress=None)
    assert (found.requeued, found.done, found.noted) == (2, 2, 11)
    assert real_broker.command("HLEN", NOTES) == 11
    assert len(taken(real_broker)) == 11


async def test_a_job_that_came_back_is_young(real_broker: Broker, client: AsyncClient) -> None:
    """A look that does not see it forgets it, though its document is the same."""
    take(real_broker, "back")
    take(real_broker, "other")
    await client.recover(HOUR)
    real_broker.command("LREM", P, 1, "back")
    await client.recover(HOUR)
    assert real_broker.command("HKEYS", NOTES) == [b"other"]
    real_broker.command("LPUSH", P, "back")
    made_older(real_broker, 3601)
    found = await client.recover(HOUR)
    assert (found.requeued, found.noted) == (1, 1)
    assert taken(real_broker) == ["back"]


@pytest.mark.parametrize("change", ["completes", "fails", "leaves"])
async def test_a_worker_that_comes_between_look_and_act(
    real_broker: Broker, client: AsyncClient, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is compared in the step that changes it."""
    take(real_broker, "a")
    take(real_broker, "b")
    await client.recover(0)
    worker = GoWorker(real_broker)
    connection = client._operating.deployment.connection
    run = connection.run

    async def interfering(commands: Any, **options: Any) -> Any:
        if commands[0][0] == b"EVAL":
            if change == "fails":
                worker.retry_later("a")
            else:
                real_broker.command("LREM", P, 1, "a")
            if change == "completes":
                worker.complete("a")
        return await run(commands, **options)

    monkeypatch.setattr(connection, "run", interfering)
    found = await client.recover(0)
    assert (found.requeued, found.changed) == (1, 1)
    assert real_broker.queued("queue:normal") == ["b"]
    assert taken(real_broker) == []
    assert real_broker.command("ZCARD", "bananas:queue:scheduled") == int(change == "fails")


async def test_two_at_once_double_nothing(real_broker: Broker, client: AsyncClient) -> None:
    """Each job is recovered by one of them, in pages, with new ones on the left."""
    for number in range(1200):
        take(real_broker, f"job{number}")
    await client.recover(0)
    async with AsyncClient(real_broker.url) as other:
        both = asyncio.gather(client.recover(0), other.recover(0))
        for number in range(20):
            take(real_broker, f"new{number}")
            await asyncio.sleep(0)
        found = await both
    assert sum(each.requeued for each in found) == 1200
    assert sorted(real_broker.queued("queue:normal")) == sorted(f"job{n}" for n in range(1200))
    assert taken(real_broker) == [f"new{number}" for number in range(20)]


async def test_an_id_that_stands_there_twice_is_recovered_once(
    real_broker: Broker, client: AsyncClient
) -> None:
    """A second scheduler may have queued it twice, and two workers have taken it."""
    take(real_broker, "twice")
    take(real_broker, "other")
    real_broker.command("LPUSH", P, "twice")
    await client.recover(0)
    found = await client.recover(0)
    assert (found.requeued, taken(real_broker)) == (2, [])
    assert real_broker.queued("queue:normal") == ["twice", "other"]
    assert real_broker.job("twice")["attempts"] == 1


async def test_a_limit(real_broker: Broker, client: AsyncClient) -> None:
    """The others stay noted, and are recovered by the next call."""
    for number in range(5):
        take(real_broker, f"job{number}")
    await client.recover(HOUR)
    made_older(real_broker, 3601)
    seen: List[RecoveryCounts] = []
    found = await client.recover(HOUR, limit=2, progress=seen.append)
    assert (found.requeued, found.left) == (2, 3)
    assert seen == [found]
    assert real_broker.queued("queue:normal") == ["job0", "job1"]
    assert (await client.recover(HOUR, limit=0)).left == 3
    assert (await client.recover(HOUR)).requeued == 3


async def test_large_documents_go_in_small_steps(real_broker: Broker, client: AsyncClient) -> None:
    """A step ends at 1 MiB, and none of them is left out."""
    for number in range(8):
        take(real_broker, f"job{number}", payload="x" * 300_000)
    await client.recover(0)
    seen: List[RecoveryCounts] = []
    assert (await client.recover(0, progress=seen.append)).requeued == 8
    assert len(seen) == 3
    assert real_broker.queued("queue:normal") == [f"job{number}" for number in range(8)]


async def test_routes(real_broker: Broker, client: AsyncClient) -> None:
    """Nothing goes to a list that a document names without anyone having chosen it."""
    take(real_broker, "a", routing_key="gpu")
    await client.recover(0)
    with pytest.raises(ValueError, match="has the route 'gpu'"):
        await client.recover(0)
    assert taken(real_broker) == ["a"]
    found = await client.recover(0, routes="document")
    assert found.targets == {"bananas:route:gpu:queue:normal": 1}


@pytest.mark.parametrize("right", ["-eval", "-lset", "-lpush", "-hset", "-hdel"])
async def test_a_missing_right_is_named_before_anything_is_moved(
    real_broker: Broker, client: AsyncClient, right: str
) -> None:
    """No mark is left in the list, and no job is lost."""
    take(real_broker, "a")
    await client.recover(0)
    before = snapshot(real_broker)
    real_broker.command("ACL", "SETUSER", "limited", "on", "nopass", "~*", "&*", "+@all", right)
    async with AsyncClient(real_broker.url.replace("redis://", "redis://limited:x@")) as other:
        with pytest.raises(exc.ServerError, match=right[1:].upper()):
            await other.recover(0)
    real_broker.command("ACL", "DELUSER", "limited")
    assert snapshot(real_broker) == before


@pytest.mark.parametrize("wrong", [{"idle_for": -1}, {"idle_for": "1h"}, {"limit": -1}])
async def test_arguments_that_are_refused(client: AsyncClient, wrong: Any) -> None:
    """They are named."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        await client.recover(**{"idle_for": 1, **wrong})


def test_the_blocking_client_has_the_same(real_broker: Broker) -> None:
    """In the same words; the counts are fit for people and for programs."""
    take(real_broker, "a")
    with Client(real_broker.url) as client:
        assert client.recover(0).noted == 1
        found = client.recover(0)
    assert (found.done, found.to_dict()["targets"]) == (1, {LIST: 1})
    assert str(found).startswith("1 recovered, 1 to bananas:queue:normal\n")
