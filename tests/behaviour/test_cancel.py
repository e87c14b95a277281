"""Jobs are cancelled, rescheduled, deleted and requeued by both clients, on a real Redis."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any, Awaitable, Callable, Dict, List, Optional

import pytest

from bananas import AsyncClient, JobCancelledError, JobPlace, JobSpec, JobStatus
from bananas import exceptions as exc
from bananas._http import answer_to
from bananas._operating import cancelling, finished_jobs
from bananas.operating import CancelOutcome, DeleteOutcome, RescheduleOutcome
from bananas.testing import SchedulerEmulator, WorkerEmulator
from tests.behaviour.broker import Broker

Connect = Callable[..., Awaitable[Any]]
P, Z, D = "bananas:queue:processing", "bananas:queue:scheduled", "bananas:queue:dead"
LIST = "bananas:queue:normal"


async def test_a_cancelled_job_does_not_run(real_broker: Broker, connect: Connect) -> None:
    """It leaves its list, and document and result say that it was cancelled, for a time."""
    client = await connect(real_broker.url)
    job_id = await client.submit_job("work", {"n": 1})
    before = real_broker.document(job_id)
    assert await client.cancel(job_id, reason="a mistake") is CancelOutcome.CANCELLED
    assert real_broker.queued("queue:normal") == []
    document = real_broker.job(job_id)
    assert document["status"] == "failed"
    assert document["error"] == "cancelled: a mistake"
    assert document["cancelled_at"] == document["updated_at"]
    payload = before[: before.index(b'"status"')]
    assert real_broker.document(job_id).startswith(payload)
    stored = real_broker.result(job_id)
    assert (stored["status"], stored["cancelled"], stored["duration_ms"]) == ("failed", "1", "0")
    assert 600_000 < real_broker.command("TTL", f"bananas:job:{job_id}") <= 604_800
    assert 80_000 < real_broker.command("TTL", f"bananas:result:{job_id}") <= 86_400
    assert (await client.locate(job_id)).place is JobPlace.CANCELLED
    assert await client.cancel(job_id) is CancelOutcome.CANCELLED
    assert real_broker.command("LLEN", D) == 0


@pytest.mark.parametrize("call", ["cancel", "delete"])
async def test_a_document_that_never_holds_still(
    call: str, real_broker: Broker, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that gives up says that it did nothing; a web application answers to come back."""
    monkeypatch.setattr(cancelling, "_LIMIT", 0.0)
    monkeypatch.setattr(finished_jobs, "_TRIES", 0)
    client = await connect(real_broker.url)
    job_id = await client.submit_job("work", 1)
    with pytest.raises(exc.TimeoutError, match="kept changing; nothing was done") as caught:
        await getattr(client, call)(job_id)
    assert (caught.value.job_id, caught.value.not_done) == (job_id, True)
    answer = answer_to(caught.value)
    assert (answer.status, answer.headers) == (503, {"Retry-After": "5"})
    assert (answer.body["error"], answer.body["job_id"]) == ("busy", job_id)


async def test_whoever_waits_is_told_at_once(real_broker: Broker, connect: Connect) -> None:
    """A wait ends with a failed result that knows why, long before its look for lost messages."""
    client = await connect(real_broker.url, safety_interval=60)
    job_id = await client.submit_job_scheduled("work", {}, scheduled_for=timedelta(hours=1))
    waiting = asyncio.ensure_future(client.wait_for_result(job_id, 20))
    while not real_broker.subscribers(job_id):
        await asyncio.sleep(0.005)
    assert await client.cancel(job_id, reason="too late") is CancelOutcome.CANCELLED
    result = await asyncio.wait_for(waiting, 10)
    assert result.cancelled
    with pytest.raises(JobCancelledError, match=f"{job_id} was cancelled: too late") as caught:
        result.get_result()
    assert caught.value.error == "cancelled: too late"
    assert real_broker.scheduled() == {}
    # The result expires before the document, which tells the same.
    real_broker.command("DEL", f"bananas:result:{job_id}")
    assert (await client.wait_for_result(job_id, 0)).cancelled


async def test_every_copy_is_removed(real_broker: Broker, connect: Connect) -> None:
    """A job that was queued twice, or on the list of a route as well, does not run either."""
    client = await connect(real_broker.url, routing_key="a")
    job_id = await client.submit_job("work", {})
    for name in (LIST, LIST, "bananas:route:a:queue:normal", "bananas:route:default:queue:high"):
        real_broker.command("LPUSH", name, job_id)
    assert await client.cancel(job_id) is CancelOutcome.CANCELLED
    assert real_broker.command("LLEN", LIST) == 0
    assert real_broker.command("LLEN", "bananas:route:a:queue:normal") == 0


async def test_a_route_that_nobody_names_is_found(real_broker: Broker, connect: Connect) -> None:
    """A job on the list of a route that neither its document nor the client knows is cancelled."""
    client = await connect(real_broker.url)
    job_id = await client.submit_job("work", {})
    elsewhere = "bananas:route:elsewhere:queue:normal"
    real_broker.command("RENAME", LIST, elsewhere)
    real_broker.command("LPUSH", elsewhere, "other")
    assert await client.cancel(job_id) is CancelOutcome.CANCELLED
    assert real_broker.command("LRANGE", elsewhere, 0, -1) == [b"other"]


@pytest.mark.parametrize("copies", [0, 1, 2])
async def test_one_that_a_worker_has_taken_is_left_alone(
    real_broker: Broker, connect: Connect, copies: int
) -> None:
    """A copy among the taken ones says that it may run; further copies stay where they are."""
    client = await connect(real_broker.url)
    job_id = await client.submit_job("work", {})
    real_broker.command("LMOVE", LIST, P, "RIGHT", "LEFT")
    for _ in range(copies):
        real_broker.command("LPUSH", LIST, job_id)
    before = real_broker.document(job_id)
    assert await client.cancel(job_id) is CancelOutcome.TAKEN
    assert await client.reschedule(job_id, timedelta(hours=1)) is RescheduleOutcome.TAKEN
    assert real_broker.document(job_id) == before
    assert real_broker.command("LLEN", LIST) == copies


@pytest.mark.parametrize("status", ["completed", "failed"])
async def test_one_that_has_finished_is_left_alone(
    real_broker: Broker, connect: Connect, status: str
) -> None:
    """It is said to be finished, and can be deleted with all that there is of it."""
    client = await connect(real_broker.url)
    job_id = await client.submit_job("work", {})
    real_broker.command("DEL", LIST)
    document = real_broker.document(job_id).replace(b"pending", status.encode())
    real_broker.command("SET", f"bananas:job:{job_id}", document)
    real_broker.command("HSET", f"bananas:result:{job_id}", "status", status)
    real_broker.command("LPUSH", D, job_id, "other")
    assert await client.cancel(job_id) is CancelOutcome.FINISHED
    assert await client.reschedule(job_id, timedelta(0)) is RescheduleOutcome.FINISHED
    assert real_broker.document(job_id) == document
    assert await client.delete(job_id) is DeleteOutcome.DELETED
    assert real_broker.keys() == [D]
    assert real_broker.command("LRANGE", D, 0, -1) == [b"other"]
    assert await client.delete(job_id) is DeleteOutcome.MISSING


async def test_one_whose_result_is_just_stored_can_be_deleted(
    real_broker: Broker, connect: Connect
) -> None:
    """A worker stores the result first: until it has written the rest, deleting waits for it."""
    client = await connect(real_broker.url)
    job_id = await client.submit_job("work", {})
    document = real_broker.document(job_id)
    real_broker.command("RPOPLPUSH", LIST, P)
    real_broker.command("HSET", f"bananas:result:{job_id}", "status", "completed")
    real_broker.command("CONFIG", "RESETSTAT")
    deleting = asyncio.ensure_future(client.delete(job_id))
    while b"cmdstat_hgetall" not in real_broker.command("INFO", "commandstats"):
        await asyncio.sleep(0.002)
    real_broker.command("LREM", P, 1, job_id)
    completed = document.replace(b"pending", b"completed")
    real_broker.command("SET", f"bananas:job:{job_id}", completed)
    assert await deleting is DeleteOutcome.DELETED
    assert real_broker.keys() == []


@pytest.mark.parametrize("status", ["completed", "failed", None])
async def test_one_that_a_worker_still_holds_is_not_deleted(
    real_broker: Broker, connect: Connect, status: Optional[str]
) -> None:
    """Its worker may be lost, or go on: after a second at most it is said to be unfinished."""
    client = await connect(real_broker.url)
    job_id = await client.submit_job("work", {})
    real_broker.command("RPOPLPUSH", LIST, P)
    if status is not None:
        real_broker.command("HSET", f"bananas:result:{job_id}", "status", status)
    before = real_broker.keys()
    assert await client.delete(job_id) is DeleteOutcome.UNFINISHED
    assert real_broker.keys() == before


@pytest.mark.parametrize("job_id", ["", "odd id: \u00e9", "gone"])
async def test_one_that_is_not_there_is_missing(
    real_broker: Broker, connect: Connect, job_id: str
) -> None:
    """Whatever its id; its id alone on a list counts for nothing."""
    client = await connect(real_broker.url)
    real_broker.command("LPUSH", LIST, job_id)
    assert await client.cancel(job_id) is CancelOutcome.MISSING
    assert await client.reschedule(job_id, timedelta(0)) is RescheduleOutcome.MISSING
    assert await client.delete(job_id) is DeleteOutcome.MISSING
    with pytest.raises(exc.JobNotFoundError, match="is not a dead letter"):
        await client.requeue(job_id)


async def test_one_that_stands_nowhere_is_missing(real_broker: Broker, connect: Connect) -> None:
    """A document without a place in the queue is left as it is."""
    client = await connect(real_broker.url)
    job_id = await client.submit_job("work", {})
    real_broker.command("DEL", LIST)
    before = real_broker.document(job_id)
    assert await client.cancel(job_id) is CancelOutcome.MISSING
    assert real_broker.document(job_id) == before


async def test_one_that_is_due_belongs_to_the_scheduler(
    real_broker: Broker, connect: Connect
) -> None:
    """Without a scheduler nothing is done to it; one that moves it lets it be cancelled."""
    client = await connect(real_broker.url)
    job_id = await client.submit_job_scheduled("work", {}, scheduled_for=timedelta(0))
    before = real_broker.document(job_id)
    assert await client.cancel(job_id) is CancelOutcome.DUE
    assert real_broker.document(job_id) == before
    assert list(real_broker.scheduled()) == [job_id]
    async with SchedulerEmulator(real_broker.url):
        assert await client.cancel(job_id) is CancelOutcome.CANCELLED
    assert real_broker.scheduled() == {}
    assert real_broker.queued("queue:normal") == []


async def test_a_job_runs_at_another_time(real_broker: Broker, connect: Connect) -> None:
    """A queued one waits for its time, a scheduled one is moved, and a retry keeps its count."""
    client = await connect(real_broker.url)
    queued = await client.submit_job("work", {"n": 1})
    scheduled = await client.submit_job_scheduled("work", {}, scheduled_for=timedelta(hours=9))
    retry = await client.submit_job_scheduled("work", {}, scheduled_for=timedelta(hours=9))
    document = real_broker.document(retry).replace(b'"attempts":0', b'"attempts":1')
    real_broker.command("SET", f"bananas:job:{retry}", document)
    for job_id in (queued, scheduled, retry):
        outcome = await client.reschedule(job_id, timedelta(hours=1))
        assert outcome is RescheduleOutcome.RESCHEDULED
        job = await client.get_job(job_id)
        due = real_broker.scheduled()[job_id]
        assert 0 <= due - job.scheduled_for.timestamp() < 1
        wanted = JobStatus.PENDING if job_id == retry else JobStatus.SCHEDULED
        assert job.status is wanted
    assert real_broker.queued("queue:normal") == []
    with pytest.raises(ValueError, match="when must be an aware datetime"):
        await client.reschedule(queued, job.scheduled_for.replace(tzinfo=None))


async def test_a_dead_letter_gets_another_try(real_broker: Broker, connect: Connect) -> None:
    """It begins anew: no attempts, no error, no old result, no expiry; its payload as it was."""
    client = await connect(real_broker.url)
    document = (
        b'{"id":"a","name":"work","payload":{"x":1e400,"x":12345678901234567890.50},"extra":[1 ],'
        b'"status":"failed","priority":"high","attempts":3,"max_retries":3,"error":"boom"}'
    )
    real_broker.command("SET", "bananas:job:a", document, "EX", 1000)
    real_broker.command("HSET", "bananas:result:a", "status", "failed")
    real_broker.command("LPUSH", D, "a", "b", "a")
    await client.requeue("a")
    found = real_broker.document("a")
    assert found.startswith(document[: document.index(b'"status"')])
    job = real_broker.job("a")
    assert (job["status"], job["attempts"], job.get("error")) == ("pending", 0, None)
    assert real_broker.command("TTL", "bananas:job:a") == -1
    assert real_broker.result("a") == {}
    assert real_broker.command("LRANGE", D, 0, -1) == [b"b"]
    assert real_broker.queued("queue:high") == ["a"]
    with pytest.raises(exc.JobNotFoundError):
        await client.requeue("a")


async def test_the_route_of_a_dead_letter_must_be_chosen(
    real_broker: Broker, connect: Connect
) -> None:
    """Where its document names a route and the client has none, nothing is guessed."""
    client = await connect(real_broker.url)
    document = '{"id":"a","name":"work","status":"failed","priority":"low","routing_key":"gpu"}'
    for routes, target in (("flat", "queue:low"), ("document", "route:gpu:queue:low")):
        real_broker.command("SET", "bananas:job:a", document)
        real_broker.command("LPUSH", D, "a")
        with pytest.raises(ValueError, match="has the route 'gpu'"):
            await client.requeue("a")
        assert real_broker.command("LLEN", D) == 1
        await client.requeue("a", routes=routes)
        assert real_broker.queued(target) == ["a"]


async def test_a_submit_that_takes_too_long_may_be_cancelled(
    real_broker: Broker, connect: Connect
) -> None:
    """The time-out says that the job was cancelled; by default it goes on."""
    client = await connect(real_broker.url)
    with pytest.raises(exc.TimeoutError, match="and was cancelled") as caught:
        await client.submit_and_wait("work", {}, timeout=0.05, on_timeout="cancel")
    assert caught.value.whereabouts is JobPlace.CANCELLED
    assert real_broker.job(caught.value.job_id)["error"] == "cancelled"
    with pytest.raises(exc.TimeoutError):
        await client.submit_and_wait("work", {}, timeout=0.05)
    assert real_broker.command("LLEN", LIST) == 1
    with pytest.raises(ValueError, match="on_timeout"):
        await client.submit_and_wait("work", {}, on_timeout="stop")


async def test_a_cancelled_caller_hands_the_cancel_over(real_broker: Broker) -> None:
    """Nobody waits for it, and the client sees to it."""
    async with AsyncClient(real_broker.url) as client:
        call = client.submit_and_wait("work", {}, job_id="a", timeout=20, on_timeout="cancel")
        waiting = asyncio.ensure_future(call)
        while not real_broker.command("LLEN", LIST):
            await asyncio.sleep(0.005)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await client.wait_for_result("a", 20)).cancelled


#: Each right that cancelling takes, and what names it in the message.
_RIGHTS = [
    "-eval",
    "-lpos",
    "-get",
    "-zscore",
    "-time",
    "-zrem",
    "-llen",
    "-lrem",
    "-set",
    "-del",
    "-hset",
    "-expire",
    "-publish",
    "-multi",
    "resetchannels",
    "resetkeys ~bananas:queue:* ~bananas:result:*",
    "resetkeys ~bananas:queue:* ~bananas:job:*",
    "resetkeys ~bananas:queue:p* ~bananas:queue:s* ~bananas:result:* ~bananas:job:*",
    "resetkeys ~bananas:queue:normal ~bananas:queue:s* ~bananas:result:* ~bananas:job:*",
    "resetkeys ~bananas:queue:normal ~bananas:queue:p* ~bananas:result:* ~bananas:job:*",
]


@pytest.mark.parametrize("right", _RIGHTS)
async def test_a_missing_right_is_named_and_nothing_is_done(
    real_broker: Broker, right: str
) -> None:
    """A script would leave its first half done, so every right is asked for before."""
    name = f"user{uuid.uuid4().hex}"
    rules = ["on", "nopass", "~*", "&*", "+@all", *right.split()]
    real_broker.command("ACL", "SETUSER", name, *rules)
    async with AsyncClient(real_broker.url) as owner:
        job_id = await owner.submit_job("work", {})
        url = real_broker.url.replace("redis://", f"redis://{name}:x@")
        before = _everything(real_broker)
        async with AsyncClient(url) as client:
            with pytest.raises(exc.ServerError, match=f"can't cancel job {job_id}") as caught:
                await client.cancel(job_id)
        assert _everything(real_broker) == before
        assert caught.value.code == "NOPERM"
        assert (right.strip("-").upper() in str(caught.value)) or " " in right or "res" in right
        assert await owner.cancel(job_id) is CancelOutcome.CANCELLED
    real_broker.command("ACL", "DELUSER", name)


def _everything(broker: Broker) -> Dict[str, Any]:
    return {key: broker.command("DUMP", key) for key in list(broker.keys())}


async def test_cancels_raced_against_a_worker_and_a_scheduler(real_broker: Broker) -> None:
    """None that is reported as cancelled runs, and all others do, once."""
    ran: List[str] = []
    async with AsyncClient(real_broker.url) as client:
        worker = WorkerEmulator(real_broker.url, concurrency=2)

        @worker.handler("work")
        def work(job: Any) -> None:
            ran.append(job.id)

        ids = [f"job{number}" for number in range(300)]
        async with worker, SchedulerEmulator(real_broker.url):
            outcomes: Dict[str, CancelOutcome] = {}
            for start in range(0, len(ids), 60):
                chosen = ids[start : start + 60]
                specs = [JobSpec("work", {}, job_id=job_id) for job_id in chosen]
                for place, due in ((0, 0), (30, 0), (59, 30)):  # some are due at once, some later
                    specs[place] = replace(specs[place], scheduled_for=timedelta(seconds=due))
                await client.submit_jobs(specs)
                random.Random(start).shuffle(chosen)
                outcomes.update(zip(chosen, await asyncio.gather(*map(client.cancel, chosen))))
            left = [job_id for job_id in ids if outcomes[job_id] is not CancelOutcome.CANCELLED]
            for job_id in left:
                await client.wait_for_result(job_id, 30)
    cancelled = {job_id for job_id in ids if outcomes[job_id] is CancelOutcome.CANCELLED}
    assert cancelled & set(ran) == set()
    assert sorted(ran) == sorted(left)
    assert len(cancelled) >= 5  # those that are due later, at least
