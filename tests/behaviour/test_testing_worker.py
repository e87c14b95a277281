"""The worker emulator does to Redis what a Go worker does, in the same order."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime, timedelta, timezone
from typing import Any, AsyncIterator, Dict, List, Optional
from urllib.parse import urlsplit

import pytest

from bananas import AsyncClient, ConnectionError, Job, JobPriority, JobResult, ServerError
from bananas.testing import Attempt, ManualClock, Panic, Step, WorkerEmulator
from tests.behaviour.broker import Broker
from tests.support import FaultProxy, HoldReply, LoseReply, RawClient, Signal, command

START = datetime(2025, 1, 15, 10, 30, 5, 987654, tzinfo=timezone.utc)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def emulator(broker: Broker, clock: ManualClock) -> AsyncIterator[WorkerEmulator]:
    """A worker that works when it is told to."""
    worker = WorkerEmulator(broker.url, clock=clock)
    yield worker
    await worker.stop()


def boom(job: Job) -> None:
    raise RuntimeError("boom <&>")


def ttl(broker: Broker, key: str) -> int:
    found: int = broker.command("TTL", key)
    return found


def port_of(broker: Broker) -> int:
    return urlsplit(broker.url).port or 0


async def take(worker: WorkerEmulator) -> Attempt:
    attempt = await worker.take()
    assert attempt is not None
    return attempt


# -- results ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (False, "false"),
        ("", '""'),
        ([], "[]"),
        ({"html": "<b>&", "n": 1.5}, '{"html":"\\u003cb\\u003e\\u0026","n":1.5}'),
        ("é🍌", '"é🍌"'),
    ],
)
async def test_a_returned_value_is_the_result(
    broker: Broker, async_client: AsyncClient, emulator: WorkerEmulator, value: Any, text: str
) -> None:
    """It is stored as Go's encoder would write it, falsy or not, for an hour."""
    emulator.handle("work", lambda job: value)
    job_id = await async_client.submit_job("work", {})
    attempt = await emulator.run_one()
    assert attempt is not None
    assert attempt.error is None
    assert broker.result(job_id) == {
        "status": "completed",
        "completed_at": "2025-01-15T10:30:05Z",
        "duration_ms": "0",
        "result": text,
    }
    assert 3500 < ttl(broker, f"bananas:result:{job_id}") <= 3600
    found = await async_client.get_result(job_id)
    assert found is not None
    assert found.get_result() == value


async def test_a_handler_that_returns_nothing_stores_no_data(
    broker: Broker, async_client: AsyncClient, emulator: WorkerEmulator
) -> None:
    """As with every plain Go handler, the field is absent."""
    emulator.handle("work", lambda job: None)
    job_id = await async_client.submit_job("work", {})
    await emulator.run_one()
    assert set(broker.result(job_id)) == {"status", "completed_at", "duration_ms"}


async def test_a_failed_attempt_stores_a_failed_result(
    broker: Broker, async_client: AsyncClient, emulator: WorkerEmulator
) -> None:
    """Retry or not, with the error as it is, for a day."""
    emulator.handle("work", boom)
    job_id = await async_client.submit_job("work", {})
    attempt = await emulator.run_one()
    assert attempt is not None
    assert attempt.error == "boom <&>"
    assert broker.result(job_id) == {
        "status": "failed",
        "completed_at": "2025-01-15T10:30:05Z",
        "duration_ms": "0",
        "error": "boom <&>",
    }
    assert 86300 < ttl(broker, f"bananas:result:{job_id}") <= 86400
    assert broker.job(job_id)["status"] == "pending"


async def test_an_error_without_text_leaves_no_field(
    broker: Broker, async_client: AsyncClient, emulator: WorkerEmulator
) -> None:
    """Neither the result nor the document has an empty error."""

    @emulator.handler("work")
    def fail(job: Job) -> None:
        raise ValueError

    job_id = await async_client.submit_job("work", {})
    await emulator.run_one()
    assert "error" not in broker.result(job_id)
    assert "error" not in broker.job(job_id)


async def test_a_retry_lies_over_what_the_failure_left(
    broker: Broker, async_client: AsyncClient, emulator: WorkerEmulator
) -> None:
    """After a success the hash still holds the old error, which readers leave alone."""
    emulator.handle("work", boom)
    job_id = await async_client.submit_job("work", {})
    await emulator.run_one()
    broker.command("LPUSH", "bananas:queue:normal", job_id)
    emulator.handle("work", lambda job: job.attempts)
    await emulator.run_one()
    stored = broker.result(job_id)
    assert (stored["status"], stored["result"], stored["error"]) == ("completed", "1", "boom <&>")
    found = await async_client.get_result(job_id)
    assert found is not None
    assert (found.get_result(), found.error) == (1, "")


async def test_expiries_may_be_chosen(broker: Broker, async_client: AsyncClient) -> None:
    """They count in seconds, or as timedeltas."""
    worker = WorkerEmulator(broker.url, success_ttl=100, failure_ttl=timedelta(minutes=10))
    worker.handle("good", lambda job: 1)
    worker.handle("bad", boom)
    good, bad = [await async_client.submit_job(name, {}) for name in ("good", "bad")]
    while await worker.run_one() is not None:
        pass
    await worker.stop()
    assert 50 < ttl(broker, f"bananas:result:{good}") <= 100
    assert 550 < ttl(broker, f"bananas:result:{bad}") <= 600


async def test_a_value_that_is_no_json_fails_the_attempt(
    broker: Broker, async_client: AsyncClient, emulator: WorkerEmulator
) -> None:
    """The error says what is wrong with it."""
    emulator.handle("work", lambda job: {1, 2})
    job_id = await async_client.submit_job("work", {}, max_retries=1)
    await emulator.run_one()
    assert broker.result(job_id)["error"].startswith("result is of type set")
    assert broker.job(job_id)["status"] == "failed"


async def test_text_that_go_cannot_hold_is_replaced(
    broker: Broker, async_client: AsyncClient, emulator: WorkerEmulator
) -> None:
    """A lone surrogate in an error becomes U+FFFD."""

    @emulator.handler("work")
    def fail(job: Job) -> None:
        raise RuntimeError("file \udcff")

    job_id = await async_client.submit_job("work", {}, max_retries=1)
    await emulator.run_one()
    assert broker.result(job_id)["error"] == broker.job(job_id)["error"] == "file \ufffd"


# -- the order of things ---------------------------------------------------------------------------


async def test_the_steps_of_a_success(
    broker: Broker, async_client: AsyncClient, emulator: WorkerEmulator
) -> None:
    """The result is stored, then announced; only then the id is let go and the document written."""
    emulator.handle("work", lambda job: 7)
    job_id = await async_client.submit_job("work", {})
    channel = f"bananas:result:notify:{job_id}"
    with RawClient(port_of(broker)) as listener:
        listener.command("SUBSCRIBE", channel)
        attempt = await take(emulator)
        assert (attempt.job_id, attempt.job and attempt.job.status) == (job_id, "pending")
        seen: List[Any] = []
        async for step in attempt:
            held = broker.queued("queue:processing") == [job_id]
            stored = broker.result(job_id).get("status")
            seen.append((step, stored, held, broker.job(job_id)["status"]))
            if step is Step.STORED:
                broker.command("PUBLISH", channel, "not announced yet")
                assert listener.receive()[2] == b"not announced yet"
            if step is Step.PUBLISHED:
                assert listener.receive()[2] == b"ready"
    assert seen == [
        (Step.RAN, None, True, "pending"),
        (Step.STORED, "completed", True, "pending"),
        (Step.PUBLISHED, "completed", True, "pending"),
        (Step.RECORDED, "completed", False, "completed"),
    ]


async def test_the_steps_of_a_failure(
    broker: Broker, async_client: AsyncClient, emulator: WorkerEmulator
) -> None:
    """Between the announcement and the rewriting a reader sees the old document."""
    emulator.handle("work", boom)
    job_id = await async_client.submit_job("work", {})
    seen = []
    async for step in await take(emulator):
        job = broker.job(job_id)
        seen.append((step, job["attempts"], "scheduled_for" in job, job_id in broker.scheduled()))
    assert seen == [
        (Step.RAN, 0, False, False),
        (Step.STORED, 0, False, False),
        (Step.PUBLISHED, 0, False, False),
        (Step.RECORDED, 1, True, True),
    ]


async def test_an_attempt_that_is_not_finished_keeps_its_id(
    broker: Broker, async_client: AsyncClient, emulator: WorkerEmulator
) -> None:
    """As after the death of a worker, which nothing recovers from."""
    emulator.handle("work", lambda job: 7)
    job_id = await async_client.submit_job("work", {})
    attempt = await take(emulator)
    assert await attempt.__anext__() is Step.RAN
    assert await attempt.__anext__() is Step.STORED
    assert repr(attempt) == f"<Attempt at job {job_id}>"
    assert await emulator.take() is None
    assert broker.queued("queue:processing") == [job_id]


async def test_an_attempt_may_be_finished_from_any_step(
    broker: Broker, async_client: AsyncClient, emulator: WorkerEmulator
) -> None:
    """What has been done is not done again."""
    ran = []
    emulator.handle("work", lambda job: ran.append(job.id))
    job_id = await async_client.submit_job("work", {})
    attempt = await take(emulator)
    assert await attempt.__anext__() is Step.RAN
    assert await attempt.__anext__() is Step.STORED
    await attempt.finish()
    assert [step async for step in attempt] == []
    assert ran == [job_id]
    assert broker.job(job_id)["status"] == "completed"


# -- what ends without a result --------------------------------------------------------------------


def crash(job: Job) -> None:
    raise Panic("nil map")


@pytest.mark.parametrize(
    ("name", "error"),
    [("crash", "panic: nil map"), ("unknown", "no handler registered for job: unknown")],
)
async def test_a_panic_and_a_missing_handler_store_no_result(
    broker: Broker, async_client: AsyncClient, emulator: WorkerEmulator, name: str, error: str
) -> None:
    """The failure is recorded as every other, retries included, and nothing is announced."""
    emulator.handle("crash", crash)
    job_id = await async_client.submit_job(name, {}, max_retries=2)
    channel = f"bananas:result:notify:{job_id}"
    with RawClient(port_of(broker)) as listener:
        listener.command("SUBSCRIBE", channel)
        assert [step async for step in await take(emulator)] == [Step.RAN, Step.RECORDED]
        job = broker.job(job_id)
        assert (job["status"], job["attempts"], job["error"]) == ("pending", 1, error)
        broker.command("LPUSH", "bananas:queue:normal", job_id)
        await emulator.run_one()
        broker.command("PUBLISH", channel, "the first message")
        assert listener.receive()[2] == b"the first message"
    job = broker.job(job_id)
    assert (job["status"], job["attempts"], job["error"]) == ("failed", 2, error)
    assert broker.queued("queue:dead") == [job_id]
    assert broker.result(job_id) == {}


async def test_a_payload_of_a_dead_letter_survives(
    broker: Broker, async_client: AsyncClient, emulator: WorkerEmulator
) -> None:
    """A document that was rewritten is the one that was submitted, and says what happened to it."""
    emulator.handle("work", boom)
    payload = {"n": 12345678901234567890, "f": 0.1, "text": "a  b <i>\u2028"}
    job_id = await async_client.submit_job("work", payload, "high", "about", max_retries=0)
    before = await async_client.get_job(job_id)
    await emulator.run_one()
    after = await async_client.get_job(job_id)
    assert before is not None
    assert after is not None
    assert (after.payload, after.description, after.created_at) == (
        payload,
        "about",
        before.created_at,
    )
    assert (after.status, after.attempts, after.error) == ("failed", 1, "boom <&>")
    assert after.updated_at == START
    assert JobResult.from_dead_letter(after).error == "boom <&>"


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (None, "Job data not found (corrupted reference)"),
        ("{", "Failed to unmarshal job: unexpected end of JSON input"),
        ("null!", "Failed to unmarshal job: invalid character '!' after top-level value"),
    ],
)
async def test_a_corrupted_document_is_buried(
    broker: Broker,
    async_client: AsyncClient,
    emulator: WorkerEmulator,
    document: Optional[str],
    error: str,
) -> None:
    """Its stub says why, is read as a failed job, and expires after a week."""
    if document is not None:
        broker.command("SET", "bananas:job:lost", document)
    broker.command("LPUSH", "bananas:queue:low", "lost")
    attempt = await take(emulator)
    assert (attempt.job, attempt.error) == (None, error)
    assert [step async for step in attempt] == [Step.RECORDED]
    job = await async_client.get_job("lost")
    assert job is not None
    assert job.is_dead_letter_stub
    assert (job.error, job.corrupted_data) == (error, document)
    assert broker.queued("queue:dead") == ["lost"]
    assert broker.queued("queue:processing") == []
    assert 604700 < ttl(broker, "bananas:job:lost") <= 604800


async def test_a_retry_never_lies_beyond_the_calendar(
    broker: Broker, async_client: AsyncClient, emulator: WorkerEmulator
) -> None:
    """The doubling of the delay ends where time does."""
    emulator.handle("work", boom)
    job_id = await async_client.submit_job("work", {}, max_retries=1000)
    document = broker.document(job_id).replace(b'"attempts":0', b'"attempts":500')
    broker.command("SET", f"bananas:job:{job_id}", document)
    await emulator.run_one()
    assert broker.job(job_id)["scheduled_for"] == "9999-12-31T23:59:59.999999Z"


# -- handlers --------------------------------------------------------------------------------------


async def test_handlers_are_called_with_the_job(
    async_client: AsyncClient, emulator: WorkerEmulator
) -> None:
    """Plain ones in a thread of their own, async ones on the loop, lambdas of either kind too."""
    called: Dict[str, Any] = {}

    @emulator.handler("plain")
    def plain(job: Job) -> None:
        called[job.name] = (job.payload, threading.current_thread().name)

    @emulator.handler("async")
    async def on_loop(job: Job) -> None:
        called[job.name] = (job.payload, threading.current_thread().name)

    emulator.handle("lambda", lambda job: on_loop(job))
    for name in ("plain", "async", "lambda"):
        await async_client.submit_job(name, {"n": name})
        await emulator.run_one()
    here = threading.current_thread().name
    assert called == {
        "plain": ({"n": "plain"}, "bananas handler"),
        "async": ({"n": "async"}, here),
        "lambda": ({"n": "lambda"}, here),
    }
    assert repr(emulator) == "<WorkerEmulator of async, lambda, plain>"


async def test_the_duration_is_told_by_the_clock(
    broker: Broker, async_client: AsyncClient, emulator: WorkerEmulator, clock: ManualClock
) -> None:
    """In milliseconds, rounded down."""
    emulator.handle("work", lambda job: str(clock.advance(1.2349)))
    job_id = await async_client.submit_job("work", {})
    await emulator.run_one()
    assert broker.result(job_id)["duration_ms"] == "1234"
    assert broker.result(job_id)["completed_at"] == "2025-01-15T10:30:07Z"


async def test_any_exception_of_a_handler_is_a_failed_attempt(
    broker: Broker, async_client: AsyncClient, emulator: WorkerEmulator
) -> None:
    """Also the ones that have a meaning for Python itself."""

    @emulator.handler("work")
    def stop(job: Job) -> None:
        raise StopIteration("over")

    job_id = await async_client.submit_job("work", {})
    await emulator.run_one()
    assert broker.result(job_id)["error"] == "over"


def test_what_a_worker_refuses() -> None:
    """Its arguments are checked as a client's are."""
    url = "redis://localhost:1"
    with pytest.raises(ValueError, match=r"^redis_url must start with redis://"):
        WorkerEmulator("http://localhost")
    with pytest.raises(ValueError, match=r"^routing_keys must be a list of at least one key"):
        WorkerEmulator(url, routing_keys=[])
    with pytest.raises(ValueError, match=r"^routing_keys must be a list of at least one key"):
        WorkerEmulator(url, routing_keys="gpu")
    with pytest.raises(ValueError, match=r"^routing_key must be 1 to 64 letters"):
        WorkerEmulator(url, routing_keys=["a:b"])
    with pytest.raises(ValueError, match=r"^concurrency must be from 1"):
        WorkerEmulator(url, concurrency=0)
    with pytest.raises(ValueError, match=r"^failure_ttl must be more than 0"):
        WorkerEmulator(url, failure_ttl=0)
    with pytest.raises(ValueError, match=r"^name must not be empty"):
        WorkerEmulator(url).handle("", boom)


# -- routes ----------------------------------------------------------------------------------------


async def test_a_worker_reads_its_own_routes_only(broker: Broker) -> None:
    """With routes nothing from the flat lists, and the other way round."""
    flat = WorkerEmulator(broker.url)
    routed = WorkerEmulator(broker.url, routing_keys=["gpu", "default"])
    async with AsyncClient(broker.url) as client:
        ids = {
            route: await client.submit_job("work", {}, routing_key=route)
            for route in (None, "gpu", "other", "default")
        }
    taken = [await routed.run_one() for _ in range(3)]
    assert [attempt and attempt.job_id for attempt in taken] == [ids["gpu"], ids["default"], None]
    taken = [await flat.run_one() for _ in range(2)]
    assert [attempt and attempt.job_id for attempt in taken] == [ids[None], None]
    await flat.stop()
    await routed.stop()


async def test_the_key_prefix_is_a_setting(broker: Broker) -> None:
    """Everything that a worker writes has it."""
    worker = WorkerEmulator(broker.url, key_prefix="mine:")
    worker.handle("work", lambda job: 1)
    async with AsyncClient(broker.url, key_prefix="mine:") as client:
        await client.submit_job("work", {})
        await worker.run_one()
    await worker.stop()
    found = broker.keys()
    assert sorted({key.split(":")[0] for key in found}) == ["mine"]


# -- in the background -----------------------------------------------------------------------------


async def test_it_works_in_the_background(broker: Broker, async_client: AsyncClient) -> None:
    """Jobs are run as they come, and when it is left nothing of it stays."""
    async with WorkerEmulator(broker.url, concurrency=3) as worker:
        worker.handle("double", lambda job: 2 * job.payload)
        ids = [await async_client.submit_job("double", n) for n in range(20)]
        results = [await async_client.wait_for_result(job_id) for job_id in ids]
        await worker.start()
    assert [result.get_result() for result in results] == [2 * n for n in range(20)]
    assert broker.queued("queue:processing") == []


async def test_as_many_jobs_at_a_time_as_was_said(
    broker: Broker, async_client: AsyncClient
) -> None:
    """Two that wait for one another end only where both run."""
    meeting = threading.Barrier(2, timeout=30)
    async with WorkerEmulator(broker.url, concurrency=2) as worker:
        worker.handle("meet", lambda job: meeting.wait() >= 0)
        ids = [await async_client.submit_job("meet", {}) for _ in range(2)]
        for job_id in ids:
            assert (await async_client.wait_for_result(job_id)).is_success


async def test_stopping_waits_for_what_runs(broker: Broker, async_client: AsyncClient) -> None:
    """A handler that ends within the grace is recorded."""
    running, go_on = asyncio.Event(), asyncio.Event()

    async def work(job: Job) -> int:
        running.set()
        await go_on.wait()
        return 1

    worker = WorkerEmulator(broker.url)
    worker.handle("work", work)
    await worker.start()
    job_id = await async_client.submit_job("work", {})
    await running.wait()
    stopping = asyncio.create_task(worker.stop(grace=30))
    await asyncio.sleep(0)
    go_on.set()
    await stopping
    assert broker.job(job_id)["status"] == "completed"


async def test_stopping_does_not_wait_for_ever(broker: Broker, async_client: AsyncClient) -> None:
    """A handler that does not end is left behind, and its id in processing."""
    running = asyncio.Event()

    async def work(job: Job) -> None:
        running.set()
        await asyncio.Event().wait()

    worker = WorkerEmulator(broker.url)
    worker.handle("work", work)
    await worker.start()
    job_id = await async_client.submit_job("work", {})
    await running.wait()
    await worker.stop(grace=0)
    assert broker.queued("queue:processing") == [job_id]
    assert broker.job(job_id)["status"] == "pending"


async def test_a_worker_survives_the_loss_of_its_connections(
    broker: Broker, async_client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """It connects again and goes on."""
    async with WorkerEmulator(broker.url) as worker:
        worker.handle("work", lambda job: 1)
        assert (await async_client.submit_and_wait("work", {})).is_success
        broker.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        job_id = await async_client.submit_job("work", {})
        assert (await async_client.wait_for_result(job_id)).is_success


async def test_a_redis_that_is_not_there_is_reported_at_the_start() -> None:
    """Starting and stepping say so; there is nothing to stop."""
    worker = WorkerEmulator("redis://127.0.0.1:1")
    with pytest.raises(ConnectionError, match="can't reach Redis at redis://127"):
        await worker.start()
    with pytest.raises(ConnectionError, match="can't reach Redis at redis://127"):
        await worker.run_one()
    await worker.stop()


async def test_a_refusal_of_redis_is_reported(broker: Broker, emulator: WorkerEmulator) -> None:
    """A queue of the wrong kind is an error, and the connection goes on."""
    broker.command("SET", "bananas:queue:normal", "no list")
    with pytest.raises(ServerError, match="Redis refuses: WRONGTYPE"):
        await emulator.take()
    broker.flush()
    assert await emulator.take() is None


async def test_a_worker_goes_on_after_a_refusal(
    broker: Broker, async_client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """It says why it does nothing, and works again once it can."""
    broker.command("SET", "bananas:queue:low", "no list")
    async with WorkerEmulator(broker.url) as worker:
        worker.handle("work", lambda job: 1)
        while "tries again in 0.5 s: Redis refuses: WRONGTYPE" not in caplog.text:
            await asyncio.sleep(0.005)
        broker.command("DEL", "bananas:queue:low")
        result = await async_client.submit_and_wait("work", {}, JobPriority.LOW)
    assert result.is_success


async def test_a_lost_reply_is_an_error(
    real_broker: Broker, proxy: FaultProxy, clock: ManualClock
) -> None:
    """The id may be in processing then; the next call has a new connection."""
    worker = WorkerEmulator(proxy.url(), clock=clock)
    real_broker.command("LPUSH", "bananas:queue:normal", "mine")
    proxy.on(command(b"RPOPLPUSH"), LoseReply())
    with pytest.raises(ConnectionError, match=r"^the connection to Redis at .* broke: the conn"):
        await worker.take()
    assert real_broker.queued("queue:processing") == ["mine"]
    assert await worker.take() is None
    await worker.stop()


async def test_a_cancelled_call_costs_its_connection(
    real_broker: Broker, proxy: FaultProxy, clock: ManualClock
) -> None:
    """The reply that nobody waited for is not taken for the next one."""
    worker = WorkerEmulator(proxy.url(), clock=clock)
    release = Signal()
    rule = proxy.on(command(b"LLEN"), HoldReply(release))
    taking = asyncio.create_task(worker.take())
    await rule.wait_async()
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    release.set()
    real_broker.command("LPUSH", "bananas:queue:normal", "mine")
    attempt = await take(worker)
    assert attempt.job_id == "mine"
    await worker.stop()
