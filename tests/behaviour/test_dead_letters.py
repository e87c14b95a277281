"""Dead letters are listed, requeued and purged, on a real Redis."""

from __future__ import annotations

import asyncio
import re
import threading
import uuid
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any, AsyncIterator, Iterator, List, Tuple

import pytest

from bananas import AsyncClient, Client
from bananas import exceptions as exc
from bananas.operating import DeadLetterCounts
from tests.behaviour.broker import Broker
from tests.behaviour.letters import D, bury, dead

LIST = "bananas:queue:normal"


@pytest.fixture
async def client(real_broker: Broker) -> AsyncIterator[AsyncClient]:
    """A client of the real Redis."""
    async with AsyncClient(real_broker.url) as client:
        yield client


@contextmanager
def user_without(broker: Broker, *rights: str) -> Iterator[str]:
    """Make a user who lacks some rights; gives the URL."""
    name = f"user{uuid.uuid4().hex}"
    missing = [f"-{right}" for right in rights]
    broker.command("ACL", "SETUSER", name, "on", "nopass", "~*", "&*", "+@all", *missing)
    try:
        yield broker.url.replace("redis://", f"redis://{name}:x@")
    finally:
        broker.command("ACL", "DELUSER", name)


@pytest.mark.parametrize("missing", [(), ("eval",)], ids=["script", "transaction"])
async def test_what_matches_goes_back_and_all_else_stays(
    real_broker: Broker, missing: Tuple[str, ...]
) -> None:
    """In their order; what is expired, unreadable or has not failed is counted and stays."""
    with user_without(real_broker, *missing) as url:
        async with AsyncClient(url) as client:
            await _requeue_some(real_broker, client)


async def _requeue_some(real_broker: Broker, client: AsyncClient) -> None:
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
    with pytest.raises(ValueError, match="has the route 'gpu'"):
        await client.dead_letters.requeue(all=True)
    assert len(dead(real_broker)) == 4
    found = await client.dead_letters.requeue(all=True, limit=3, routes="document")
    assert found.targets == {LIST: 2, "bananas:route:gpu:queue:normal": 1}
    assert dead(real_broker) == ["d"]


@pytest.mark.parametrize("missing", [(), ("eval",)], ids=["script", "transaction"])
async def test_purge(real_broker: Broker, missing: Tuple[str, ...]) -> None:
    """Document and result go too; an entry without a document goes with all of them only."""
    bury(real_broker, "a", name="mail")
    real_broker.command("LPUSH", D, "gone", "odd")
    real_broker.command("SADD", "bananas:job:odd", "of another type")
    bury(real_broker, "b")
    with user_without(real_broker, *missing) as url:
        async with AsyncClient(url) as client:
            assert (await client.dead_letters.purge(name="mail")).done == 1
            assert dead(real_broker) == ["gone", "odd", "b"]
            found = await client.dead_letters.purge(all=True)
    assert found.done == 2
    assert real_broker.keys() == ["bananas:job:odd", D]


async def test_large_documents_go_in_small_steps(real_broker: Broker, client: AsyncClient) -> None:
    """A page ends at 1 MiB, and none of them is left out."""
    for number in range(12):
        bury(real_broker, f"job{number}", payload="x" * 300_000)
    assert (await client.dead_letters.requeue(all=True)).done == 12
    assert real_broker.queued("queue:normal") == [f"job{number}" for number in range(12)]


async def test_two_at_once_double_nothing(real_broker: Broker) -> None:
    """Each letter is moved by one of them, with a script or without, while new ones come."""
    for number in range(600):
        bury(real_broker, f"job{number}", name="work" if number % 2 else "other")
    with user_without(real_broker, "eval") as url:
        async with AsyncClient(real_broker.url) as one, AsyncClient(url) as other:
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


async def test_new_dead_letters_hold_up_no_transaction_for_ever(real_broker: Broker) -> None:
    """One that comes in the midst of each breaks it; in the end they are not watched for."""
    for number in range(300):
        bury(real_broker, f"job{number}")
    came = 0
    with user_without(real_broker, "eval") as url:
        async with AsyncClient(url) as client:
            running = asyncio.ensure_future(client.dead_letters.requeue(all=True, limit=300))
            while not running.done():
                real_broker.command("LPUSH", D, f"new{came}")
                came += 1
                await asyncio.sleep(0)
            found = await running
    assert found.done == 300
    assert real_broker.queued("queue:normal") == [f"job{number}" for number in range(300)]
    assert len(dead(real_broker)) == came


@pytest.mark.parametrize(
    "rights",
    [("lset",), ("lpush",), ("set",), ("del",), ("eval", "lset"), ("eval", "set"),
     ("eval", "lrem"), ("eval", "multi"), ("eval", "watch")],
)  # fmt: skip
async def test_a_missing_right_is_named_before_anything_is_moved(
    real_broker: Broker, rights: Tuple[str, ...]
) -> None:
    """No mark is left in the list, and no letter is lost."""
    bury(real_broker, "a")
    with user_without(real_broker, *rights) as url:
        async with AsyncClient(url) as client:
            with pytest.raises(exc.ServerError, match=f"no right to .*{rights[-1].upper()}"):
                await client.dead_letters.requeue(all=True)
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


async def test_a_filtered_listing_reads_whole_pages(
    real_broker: Broker, client: AsyncClient
) -> None:
    """However few are wanted, the letters before them are not read one by one."""
    for number in range(40):
        bury(real_broker, f"job{number}")
    bury(real_broker, "a", name="mail")
    real_broker.command("CONFIG", "RESETSTAT")
    jobs = client.dead_letters.jobs(name="mail", limit=1)
    assert [entry.id async for entry in jobs] == ["a"]
    assert b"cmdstat_mget:calls=1," in real_broker.command("INFO", "commandstats")


def test_on_the_embedded_broker(embedded_session: Broker) -> None:
    """It runs no scripts, and they are requeued and purged all the same."""
    embedded_session.flush()
    for job_id in ("a", "b"):
        bury(embedded_session, job_id)
    with Client(embedded_session.url) as client:
        assert client.dead_letters.requeue(all=True, limit=1).done == 1
        assert client.dead_letters.purge(all=True).done == 1
    assert embedded_session.queued("queue:normal") == ["a"]
    assert dead(embedded_session) == []


def test_the_blocking_client_has_the_same(real_broker: Broker) -> None:
    """Listed, counted, requeued and purged in the same words; progress is told where one waits."""
    bury(real_broker, "a", name="mail")
    bury(real_broker, "b")
    with Client(real_broker.url) as client:
        assert [entry.id for entry in client.dead_letters.jobs(name="mail")] == ["a"]
        assert client.dead_letters.requeue(all=True, dry_run=True).done == 2
        seen: List[Any] = []

        def progress(counts: DeadLetterCounts) -> None:
            seen.append((counts.done, threading.get_ident(), client.get_job("a").name))

        found = client.dead_letters.requeue(name="mail", progress=progress)
        assert (found.done, found.targets) == (1, {LIST: 1})
        assert set(seen) == {(1, threading.get_ident(), "mail")}
        with pytest.raises(ValueError, match="progress must be a function"):
            client.dead_letters.purge(all=True, progress=1)
        assert client.dead_letters.purge(all=True).done == 1
    assert dead(real_broker) == []


async def test_another_operator_takes_away_most_of_what_was_passed(
    real_broker: Broker, client: AsyncClient
) -> None:
    """What is meant is still found, though nothing that was passed is left to find the place by."""
    for number in range(1500):
        bury(real_broker, f"passed{number}", name="other")
    for number in range(300):
        bury(real_broker, f"meant{number}")
    interfered: List[int] = []

    def interfere(counts: DeadLetterCounts) -> None:
        if counts.looked_at >= 1000 and not interfered:
            interfered.append(counts.done)
            real_broker.command("LTRIM", D, 0, 299)

    counts = await client.dead_letters.requeue(name="work", progress=interfere)
    assert interfered == [0]
    assert (counts.done, dead(real_broker)) == (300, [])
