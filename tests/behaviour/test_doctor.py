"""The keys of a deployment are audited and repaired, on a real Redis."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any, AsyncIterator, Callable, Dict, List

import pytest

from bananas import AsyncClient, Client
from bananas import exceptions as exc
from bananas.repairs import AuditReport, Finding
from tests.behaviour.broker import Broker
from tests.behaviour.go_worker import GoWorker

P, D, Z = "bananas:queue:processing", "bananas:queue:dead", "bananas:queue:scheduled"
LIST, RESULT = "bananas:queue:normal", "bananas:result:"


@pytest.fixture
async def client(real_broker: Broker) -> AsyncIterator[AsyncClient]:
    """A client of the real Redis, for which the time between two looks takes none."""
    async with AsyncClient(real_broker.url) as client:
        client._operating.doctor.pause = _nothing
        yield client


async def _nothing(seconds: float) -> None:
    assert seconds == 10


def between(client: AsyncClient, act: Callable[[], object]) -> None:
    """Have something happen between the two checks."""

    async def pause(seconds: float) -> None:
        act()

    client._operating.doctor.pause = pause


def store(broker: Broker, job_id: str, **members: Any) -> None:
    """Store a document of a job that was submitted a moment ago."""
    now = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
    document = {
        "id": job_id, "name": "work", "payload": {"n": 1}, "status": "pending",
        "priority": "normal", "created_at": now, "updated_at": now, "attempts": 0,
        "max_retries": 3, **members,
    }  # fmt: skip
    broker.command("SET", f"bananas:job:{job_id}", json.dumps(document))


def of(report: AuditReport, kind: str) -> List[Finding]:
    """Return what was found of one kind."""
    return [finding for finding in report.findings if finding.kind == kind]


async def test_a_healthy_queue(real_broker: Broker, client: AsyncClient) -> None:
    """Nothing is amiss with jobs in every place; nothing is changed."""
    worker = GoWorker(real_broker)
    await client.submit_job_scheduled("work", 1, scheduled_for=timedelta(hours=1))
    for number in range(4):
        await client.submit_job("work", number, job_id=f"job{number}")
        worker.take()
    worker.store_success("job0")
    worker.complete("job0")
    worker.fail_for_good("job1")
    worker.retry_later("job2")
    await client.submit_job("work", 1, routing_key="eu")
    real_broker.command("LREM", P, 1, "job0")
    names = real_broker.keys()
    before = [real_broker.command("DUMP", name) for name in names]
    assert (await client.doctor(observe=0)).findings == ()
    assert [real_broker.command("DUMP", name) for name in names] == before
    assert real_broker.keys() == names

    def look_for_due_jobs_and_take() -> None:
        real_broker.command("ZRANGEBYSCORE", Z, "-inf", 1)
        real_broker.command("RPOPLPUSH", "bananas:route:eu:queue:normal", P)

    between(client, look_for_due_jobs_and_take)
    report = await client.doctor()
    assert report.findings == ()
    assert (report.documents, report.results, report.entries, report.observed) == (6, 1, 5, 10)
    assert str(report) == "checked 6 documents, 1 results, 5 ids\nno problems"
    assert (await client.repair(report)).done == 0


async def test_ids_without_a_document(real_broker: Broker, client: AsyncClient) -> None:
    """In lists, among the scheduled, taken and dead jobs: found in each, and removed there."""
    store(real_broker, "fine")
    for place in (LIST, "bananas:route:eu:queue:low", P, D):
        real_broker.command("RPUSH", place, "gone1", "fine", "gone2")
    real_broker.command("ZADD", Z, 1, "gone1", 2, "fine", 3, "gone2")
    report = await client.doctor(observe=0)
    found = {finding.where: finding for finding in of(report, "no document")}
    assert set(found) == {LIST, "bananas:route:eu:queue:low", P, Z}
    for one in found.values():
        assert (one.count, set(one.examples)) == (2, {"gone1", "gone2"})
    [expired] = of(report, "expired dead letter")
    assert (expired.count, set(expired.examples)) == (2, {"gone1", "gone2"})
    assert {one.kind for one in report.plan} == {"no document", "expired dead letter"}
    only = await client.repair(report, kinds=["expired dead letter"])
    assert only.repaired == {"expired dead letter": 2}
    assert real_broker.queued("queue:dead") == ["fine"]
    counts = await client.repair(report)
    assert counts.repaired == {"no document": 8}
    assert real_broker.queued("queue:normal") == ["fine"]
    assert real_broker.queued("route:eu:queue:low") == ["fine"]
    assert real_broker.queued("queue:processing") == ["fine"]
    assert real_broker.scheduled() == {"fine": 2}
    assert of(await client.doctor(observe=0), "no document") == []


async def test_an_id_whose_document_came_back_stays(
    real_broker: Broker, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is looked at once more in the step that removes it."""
    real_broker.command("RPUSH", LIST, "back", "gone")
    report = await client.doctor(observe=0)
    connection = client._operating.deployment.connection
    run = connection.run

    async def interfering(commands: Any, **options: Any) -> Any:
        if commands[0][0] == b"EVAL":
            store(real_broker, "back")
        return await run(commands, **options)

    monkeypatch.setattr(connection, "run", interfering)
    counts = await client.repair(report)
    assert (counts.repaired, counts.changed) == ({"no document": 1}, {"no document": 1})
    assert real_broker.queued("queue:normal") == ["back"]


async def test_long_lists(real_broker: Broker, client: AsyncClient) -> None:
    """Ids without a document are removed from a list that is read and searched in parts."""
    ids = [f"job{number}" for number in range(12_000)]
    documents: List[str] = []
    for number, job_id in enumerate(ids):
        if number % 3:
            documents += [f"bananas:job:{job_id}", "{}"]
    real_broker.command("MSET", *documents)
    for place in (LIST, D):
        real_broker.command("RPUSH", place, *ids)
    report = await client.doctor(observe=0)
    assert [one.count for one in report.findings] == [4000, 4000]
    counts = await client.repair(report)
    assert counts.repaired == {"no document": 4000, "expired dead letter": 4000}
    left = [job_id for number, job_id in enumerate(ids) if number % 3]
    assert real_broker.queued("queue:normal") == left[::-1]
    assert real_broker.queued("queue:dead") == left[::-1]


async def test_jobs_without_a_place(real_broker: Broker, client: AsyncClient) -> None:
    """Two looks agree; they are repaired only if they are named."""
    store(real_broker, "lost")
    store(real_broker, "later", status="scheduled", scheduled_for="2100-01-01T00:00:00Z")
    store(real_broker, "completed", status="completed")
    store(real_broker, "cancelled", status="failed")
    store(real_broker, "stored")
    real_broker.command("HSET", f"{RESULT}stored", "status", "completed")
    real_broker.command("SET", "bananas:job:unreadable", "{pending")
    store(real_broker, "moving")
    store(real_broker, "rewritten")

    def move() -> None:
        real_broker.command("LPUSH", P, "moving")
        store(real_broker, "rewritten", attempts=1)

    between(client, move)
    report = await client.doctor()
    [found] = of(report, "no place")
    assert (found.count, set(found.examples)) == (2, {"lost", "later"})
    assert report.offers == (found,)
    assert (await client.repair(report)).done == 0
    counts = await client.repair(report, kinds=["no place"])
    assert counts.repaired == {"no place": 2}
    assert counts.targets == {LIST: 1, Z: 1}
    assert real_broker.queued("queue:normal") == ["lost"]
    assert real_broker.scheduled() == {"later": 4102444800}
    again = await client.repair(report, kinds=["no place"])
    assert (again.repaired, again.changed) == ({"no place": 0}, {"no place": 2})


async def test_many_jobs_without_a_place(real_broker: Broker, client: AsyncClient) -> None:
    """A page of them is one step; one that stands somewhere by now is left alone."""
    ids = [f"lost{number}" for number in range(60)]
    for job_id in ids:
        store(real_broker, job_id)
    report = await client.doctor()
    real_broker.command("LPUSH", LIST, "lost0", *(f"other{number}" for number in range(2000)))
    real_broker.command("LPUSH", P, "lost1")
    real_broker.command("ZADD", Z, 4102444800, "lost2")
    real_broker.command("CONFIG", "RESETSTAT")
    counts = await client.repair(report, kinds=["no place"])
    calls = _calls(real_broker)
    assert (counts.repaired, counts.changed) == ({"no place": 57}, {"no place": 3})
    assert counts.targets == {LIST: 57}
    assert (calls["eval"], calls.get("lpos", 0)) == (1, 0)
    assert calls["lrange"] < 30
    queued = [one for one in real_broker.queued("queue:normal") if one.startswith("lost")]
    assert sorted(queued) == sorted(["lost0", *ids[3:]])
    assert json.loads(real_broker.document("lost3"))["payload"] == {"n": 1}


async def test_two_repairs_at_once(real_broker: Broker, client: AsyncClient) -> None:
    """Each job is put back once, and each call says what it has done itself."""
    ids = [f"lost{number}" for number in range(120)]
    for job_id in ids:
        store(real_broker, job_id)
    report = await client.doctor()
    async with AsyncClient(real_broker.url) as other:
        found = await asyncio.gather(
            *(one.repair(report, kinds=["no place"]) for one in (client, other))
        )
    assert sum(counts.done for counts in found) == 120
    assert sorted(real_broker.queued("queue:normal")) == sorted(ids)


def _calls(broker: Broker) -> Dict[str, int]:
    """Return how often the server has run each command since its statistics were reset."""
    found = re.findall(rb"cmdstat_(\w+):calls=(\d+)", broker.command("INFO", "commandstats"))
    return {name.decode(): int(count) for name, count in found}


async def test_one_look_accuses_no_job(real_broker: Broker, client: AsyncClient) -> None:
    """Nothing is said of what takes two."""
    store(real_broker, "lost")
    real_broker.command("LPUSH", LIST, "lost")
    real_broker.command("DEL", LIST)
    assert (await client.doctor(observe=0)).findings == ()


async def test_a_busy_worker_raises_no_alarm(real_broker: Broker, client: AsyncClient) -> None:
    """Jobs that move between and during the looks are in no finding, and a lost one is."""
    worker = GoWorker(real_broker)
    store(real_broker, "lost")
    for number in range(30):
        await client.submit_job("work", 1, job_id=f"job{number}")
    connection = client._operating.deployment.connection
    run = connection.run

    async def interfering(commands: Any, **options: Any) -> Any:
        job_id = worker.take()
        if job_id is not None:
            worker.retry_later(job_id)
            worker.queue_again(job_id)
        return await run(commands, **options)

    connection.run = interfering  # type: ignore[method-assign]
    report = await client.doctor()
    assert [one.examples for one in of(report, "no place")] == [("lost",)]


async def test_results_without_a_job(real_broker: Broker, client: AsyncClient) -> None:
    """They are counted; those that would stay for ever are made to expire."""
    real_broker.command("HSET", f"{RESULT}ever", "status", "completed")
    real_broker.command("HSET", f"{RESULT}short", "status", "completed")
    real_broker.command("EXPIRE", f"{RESULT}short", 100)
    store(real_broker, "job", status="completed")
    real_broker.command("HSET", f"{RESULT}job", "status", "completed")
    report = await client.doctor(observe=0)
    [found] = of(report, "result without job")
    assert (found.count, set(found.examples)) == (2, {"ever", "short"})
    assert (await client.repair(report)).repaired == {"result without job": 1}
    assert 86_000 < real_broker.command("TTL", f"{RESULT}ever") <= 86_400
    assert real_broker.command("TTL", f"{RESULT}short") <= 100
    assert real_broker.command("TTL", f"{RESULT}job") == -1
    [found] = of(await client.doctor(observe=0), "result without job")
    assert found.repair == ""


async def test_taken_for_long(real_broker: Broker, client: AsyncClient) -> None:
    """What recover has noted is known; what only the document says is a guess."""
    store(real_broker, "old", updated_at="2025-01-15T10:30:00Z")
    store(real_broker, "noted")
    store(real_broker, "new")
    real_broker.command("LPUSH", P, "noted")
    await client.recover(1)
    real_broker.command("LPUSH", P, "old", "new")
    [guess] = of(await client.doctor(observe=0), "taken long")
    assert (guess.count, guess.examples, guess.is_guess) == (1, ("old",), True)
    known, guess = of(await client.doctor(observe=0, taken_for=0), "taken long")
    assert (known.examples, known.is_guess, guess.count) == (("noted",), False, 2)
    assert "recover" in known.advice


async def test_workers_and_scheduler(real_broker: Broker, client: AsyncClient) -> None:
    """A list that nothing leaves, and due jobs that nobody moves, are seen by two looks."""
    for job_id in ("stuck", "moves", "due"):
        store(real_broker, job_id)
    store(real_broker, "waits")
    real_broker.command("LPUSH", LIST, "stuck")
    real_broker.command("LPUSH", "bananas:queue:high", "moves", "waits")
    real_broker.command("ZADD", Z, 1, "due", 2, "gone")
    between(client, lambda: real_broker.command("RPOPLPUSH", "bananas:queue:high", P))
    report = await client.doctor()
    [found] = of(report, "not drained")
    assert (found.where, found.count, found.is_guess) == (LIST, 1, True)
    [found] = of(report, "no scheduler")
    assert (found.examples, found.is_guess) == (("due",), False)
    between(client, lambda: real_broker.command("ZRANGEBYSCORE", Z, "-inf", 1))
    [found] = of(await client.doctor(), "no scheduler")
    assert (found.examples, found.is_guess) == (("due",), True)

    def scheduler() -> None:
        real_broker.command("ZRANGEBYSCORE", Z, "-inf", 1)
        real_broker.command("ZREM", Z, "due")

    between(client, scheduler)
    assert of(await client.doctor(), "no scheduler") == []


async def test_eviction(real_broker: Broker, client: AsyncClient) -> None:
    """A policy that deletes keys loses jobs."""
    for policy in ("allkeys-lru", "volatile-ttl"):
        real_broker.command("CONFIG", "SET", "maxmemory-policy", policy)
        try:
            [found] = of(await client.doctor(observe=0), "evicts")
        finally:
            real_broker.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        assert policy in found.message


async def test_rights(real_broker: Broker, client: AsyncClient) -> None:
    """Those that are missing are named; without the right to look there is no report."""
    limited = real_broker.url.replace("redis://", "redis://limited:x@")
    acl = ["ACL", "SETUSER", "limited", "on", "nopass", "~*", "&*", "+@all"]
    store(real_broker, "lost")
    real_broker.command("LPUSH", LIST, "gone")
    real_broker.command(*acl, "-eval", "-zadd", "-info", "-subscribe")
    async with AsyncClient(limited) as other:
        report = await other.doctor(observe=0)
        missing = {one.advice: one.message for one in of(report, "missing right")}
        assert len(missing) == 4
        for right in ("EVAL", "ZADD", "INFO", "SUBSCRIBE"):
            assert any(right in message for message in missing.values())
        with pytest.raises(exc.ServerError, match="EVAL"):
            await other.repair(report)
        real_broker.command(*acl, "-scan")
        with pytest.raises(exc.ServerError, match="(?i)scan"):
            await other.doctor(observe=0)
    real_broker.command(*acl, "-discard")
    async with AsyncClient(limited) as other:
        assert (await other.doctor(observe=0)).entries == 1  # no step is left inside a transaction
        assert (await other.queue.depths()).total_queued == 1
    real_broker.command("ACL", "DELUSER", "limited")
    assert real_broker.queued("queue:normal") == ["gone"]


async def test_routes_of_jobs_without_a_place(real_broker: Broker, client: AsyncClient) -> None:
    """Nothing goes to a route that nobody has chosen."""
    store(real_broker, "lost", routing_key="gpu")
    report = await client.doctor()
    with pytest.raises(ValueError, match="has the route 'gpu'"):
        await client.repair(report, kinds=["no place"])
    counts = await client.repair(report, kinds=["no place"], routes="document")
    assert counts.targets == {"bananas:route:gpu:queue:normal": 1}


async def test_many_entries_take_several_passes(
    real_broker: Broker, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pass keeps a part in memory; all of them together find the same."""
    monkeypatch.setattr("bananas._operating.auditing._ENTRIES_A_PASS", 10)
    for number in range(40):
        store(real_broker, f"job{number}")
        if number % 4:
            real_broker.command("LPUSH", LIST, f"job{number}")
    report = await client.doctor()
    [found] = of(report, "no place")
    assert (found.count, report.documents, report.entries) == (10, 40, 30)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"observe": 1}, "observe must be 0, or 10 seconds or more"),
        ({"taken_for": -1}, "taken_for"),
        ({"routing_keys": "eu"}, "not one"),
        ({"routing_keys": [1]}, r"routing_keys\[0\]"),
    ],
)
async def test_arguments_that_are_refused(
    client: AsyncClient, wrong: Dict[str, Any], words: str
) -> None:
    """They are named."""
    with pytest.raises(ValueError, match=words):
        await client.doctor(**wrong)


async def test_what_can_not_be_repaired_is_refused(
    real_broker: Broker, client: AsyncClient
) -> None:
    """A report is what doctor returned, and kinds are what it found."""
    report = await client.doctor(observe=0)
    for kinds in (["no place"], "no document", ["nonsense"]):
        with pytest.raises(ValueError, match="kind"):
            await client.repair(report, kinds=kinds)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="doctor"):
        await client.repair({})  # type: ignore[arg-type]


def test_the_blocking_client_has_the_same(real_broker: Broker) -> None:
    """In the same words; a report is fit for people and for programs."""
    real_broker.command("LPUSH", LIST, "gone")
    said: List[str] = []
    with Client(real_broker.url) as client:
        report = client.doctor(observe=0, progress=said.append)
        assert client.repair(report).to_dict()["repaired"] == {"no document": 1}
    assert json.loads(json.dumps(report.to_dict()))["findings"][0]["where"] == LIST
    assert "no document: 1 id without a document in the list bananas:queue:normal" in str(report)
    assert "reading the documents" in said


def test_a_progress_that_raises(real_broker: Broker) -> None:
    """Its error ends the call and reaches the caller; a call of the client in it is refused."""
    job_id = ""

    def use_the_client(_: str) -> None:
        client.get_job(job_id)

    def fail(_: str) -> None:
        raise LookupError("mine")

    with Client(real_broker.url) as client:
        job_id = client.submit_job("work", 1)
        with pytest.raises(LookupError, match="mine"):
            client.doctor(observe=0, progress=fail)
        with pytest.raises(RuntimeError, match="use AsyncClient"):
            client.doctor(observe=0, progress=use_the_client)
        assert client.get_job(job_id) is not None
