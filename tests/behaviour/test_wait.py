"""Every end that a wait can come to."""

from __future__ import annotations

import asyncio
import functools
import json
from datetime import datetime, timedelta, timezone
from typing import Any, Awaitable, Callable, Iterator

import pytest

from bananas import (
    AsyncClient,
    ClientClosedError,
    JobNotFoundError,
    JobPlace,
    JobPriority,
    JobSpec,
    JobStatus,
    ResultNotFoundError,
    SerializationError,
    ServerError,
    TimeoutError,
)
from tests.behaviour.broker import Broker
from tests.behaviour.conftest import Facade
from tests.behaviour.go_worker import GoWorker
from tests.behaviour.waiting import subscribed, until
from tests.support import FaultProxy

Connect = Callable[..., Awaitable[Facade]]


async def look(client: Facade, job_id: str, timeout: Any = 0, **options: Any) -> Any:
    """Wait for a moment only, again where a slow machine lets Redis say nothing in that time."""
    for _ in range(50):
        try:
            return await client.wait_for_result(job_id, timeout, **options)
        except TimeoutError as error:
            if error.whereabouts is not None:
                raise
    raise AssertionError("Redis never says where the job is")


# -- results -------------------------------------------------------------------------------------


async def test_stored_before(client: Facade, worker: GoWorker) -> None:
    """A result that is there is returned at once, though its notification is long gone."""
    worker.store_success("a", '{"n":1}')
    result = await client.wait_for_result("a")
    assert (result.job_id, result.get_result()) == ("a", {"n": 1})


async def test_announced(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """A result is returned when it is announced."""
    job_id = await client.submit_job("work", 1)
    wait = await subscribed(broker, job_id, client.wait_for_result(job_id))
    worker.store_success(job_id, "7")
    result = await wait
    assert (result.status, result.get_result()) == (JobStatus.COMPLETED, 7)
    await until(lambda: not broker.subscribers(job_id), "nobody listens any more")


async def test_never_announced(broker: Broker, worker: GoWorker, connect: Connect) -> None:
    """A result whose notification was lost is found all the same."""
    client = await connect(broker.url, safety_interval=0.1)
    wait = await subscribed(broker, "a", client.wait_for_result("a"))
    worker.store_success("a", "7", publish=False)
    assert (await wait).get_result() == 7


@pytest.mark.parametrize("word", ["ready", "completed", "", "\ufffd"])
async def test_any_message(client: Facade, broker: Broker, worker: GoWorker, word: str) -> None:
    """Any message means that there may be a result, and none means that there is one."""
    wait = await subscribed(broker, "a", client.wait_for_result("a"))
    worker.publish("a", word)
    worker.store_success("a", "7", publish=False)
    worker.publish("a", word)
    assert (await wait).get_result() == 7


async def test_submitted_later(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """A job that does not exist yet is waited for too."""
    wait = await subscribed(broker, "a", client.wait_for_result("a"))
    await client.submit_job("work", 1, job_id="a")
    worker.take()
    worker.store_success("a", "7")
    assert (await wait).get_result() == 7


async def test_without_a_limit(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """A wait without a limit ends with the result."""
    wait = await subscribed(broker, "a", client.wait_for_result("a", None))
    worker.store_success("a", "7")
    assert (await wait).get_result() == 7


# -- failures, final or not ----------------------------------------------------------------------


async def test_failure_for_good(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """The failure of the last attempt is returned as a failed result."""
    job_id = await client.submit_job("work", 1, max_retries=1)
    wait = await subscribed(broker, job_id, client.wait_for_result(job_id))
    worker.store_failure(job_id, "boom")
    worker.fail_for_good(job_id)
    result = await wait
    assert (result.status, result.error) == (JobStatus.FAILED, "boom")


async def test_failure_beside_its_document(
    client: Facade, broker: Broker, worker: GoWorker
) -> None:
    """A failure is returned when its document says that it is final."""
    job_id = await client.submit_job("work", 1)
    worker.rewrite(job_id, attempts=2)
    worker.store_failure(job_id, "boom")
    worker.fail_for_good(job_id)
    assert (await client.wait_for_result(job_id)).error == "boom"


async def test_retries(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """An attempt that is about to be retried is never returned; what comes of the retry is."""
    job_id = await client.submit_job("work", 1)
    wait = await subscribed(broker, job_id, client.wait_for_result(job_id))
    worker.take()
    worker.store_failure(job_id, "boom 1")
    worker.retry_later(job_id, "boom 1")
    worker.publish(job_id)
    worker.queue_again(job_id)
    worker.publish(job_id)
    worker.take()
    worker.store_success(job_id, "7")
    assert (await wait).get_result() == 7


async def test_retries_that_fail(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """Of several failures the last one is returned."""
    job_id = await client.submit_job("work", 1, max_retries=2)
    wait = await subscribed(broker, job_id, client.wait_for_result(job_id))
    worker.store_failure(job_id, "boom 1")
    worker.retry_later(job_id, "boom 1")
    worker.queue_again(job_id)
    later = datetime.now(timezone.utc) + timedelta(seconds=2)
    worker.store_failure(job_id, "boom 2", at=later)
    worker.fail_for_good(job_id, "boom 2")
    assert (await wait).error == "boom 2"


async def test_first_attempt(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """Whoever does not want to wait for retries gets the first stored result."""
    job_id = await client.submit_job("work", 1)
    first = await subscribed(broker, job_id, client.wait_for_result(job_id, wait_for_retries=False))
    last = asyncio.ensure_future(client.wait_for_result(job_id))
    worker.store_failure(job_id, "boom")
    worker.retry_later(job_id)
    assert (await first).error == "boom"
    late = await look(client, job_id, wait_for_retries=False)
    assert late.error == "boom"
    worker.store_success(job_id, "7")
    assert (await last).get_result() == 7


async def test_failure_without_a_document(client: Facade, worker: GoWorker) -> None:
    """A failure whose job has no document is final."""
    worker.store_failure("a", "boom")
    assert (await client.wait_for_result("a")).error == "boom"


async def test_document_that_does_not_move(client: Facade, worker: GoWorker) -> None:
    """A failure whose document does not move was stored by no Go worker, and is final."""
    job_id = await client.submit_job("work", 1)
    worker.store_failure(job_id, "boom")
    result = await client.wait_for_result(job_id)
    assert (result.status, result.error) == (JobStatus.FAILED, "boom")


# -- ends without a result -----------------------------------------------------------------------


async def test_dead_letter(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """A job that dies without a result (no handler, a panic) gives one made of its document."""
    job_id = await client.submit_job("work", 1)
    wait = await subscribed(broker, job_id, client.wait_for_result(job_id))
    worker.take()
    worker.rewrite(job_id, attempts=2)
    worker.fail_for_good(job_id, "no handler registered for job type: work")
    result = await wait
    assert (result.job_id, result.status) == (job_id, JobStatus.FAILED)
    assert result.error == "no handler registered for job type: work"
    assert not result.has_data


async def test_dead_letter_of_long_ago(client: Facade, worker: GoWorker) -> None:
    """The same holds for a job that died before the wait."""
    worker.leave_stub("a", "failed to unmarshal job: invalid character")
    result = await client.wait_for_result("a")
    assert result.error == "failed to unmarshal job: invalid character"


async def test_dead_letters_are_noticed(broker: Broker, worker: GoWorker, connect: Connect) -> None:
    """A dead letter ends its wait long before the next safety read."""
    client = await connect(broker.url, safety_interval=3600)
    ids = await client.submit_jobs([JobSpec("work", 1)] * 3)
    waits = [await subscribed(broker, job_id, client.wait_for_result(job_id)) for job_id in ids]
    for job_id in ids:
        worker.leave_stub(job_id, f"bad {job_id}")
    results = await asyncio.gather(*waits)
    assert [result.error for result in results] == [f"bad {job_id}" for job_id in ids]


async def test_result_that_is_gone(client: Facade, worker: GoWorker) -> None:
    """A job that has completed, and whose result expired, is told from one that goes on."""
    job_id = await client.submit_job("work", 1)
    worker.complete(job_id)
    expected = (
        f"^job {job_id} has completed, and its result is gone: it expired, "
        "or the worker keeps none$"
    )
    with pytest.raises(ResultNotFoundError, match=expected) as caught:
        await client.wait_for_result(job_id)
    assert caught.value.job_id == job_id


async def test_old_failure_of_a_completed_job(client: Facade, worker: GoWorker) -> None:
    """The failure of an earlier attempt is not taken for the result of a completed job."""
    job_id = await client.submit_job("work", 1)
    worker.store_failure(job_id, "boom")
    worker.complete(job_id)
    with pytest.raises(ResultNotFoundError):
        await client.wait_for_result(job_id)


async def test_junk(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """A result that can't be read ends the waits for its job, and no others."""
    good = await subscribed(broker, "good", client.wait_for_result("good"))
    bad = await subscribed(broker, "bad", client.wait_for_result("bad"))
    wrong = await subscribed(broker, "wrong", client.wait_for_result("wrong"))
    broker.command("HSET", "bananas:result:bad", "status", "odd")
    broker.command("SET", "bananas:result:wrong", "x")
    worker.publish("bad")
    worker.publish("wrong")
    with pytest.raises(SerializationError, match="^stored result of job bad has no status"):
        await bad
    with pytest.raises(ServerError, match="^Redis refuses to read the result of job wrong: WRONG"):
        await wrong
    worker.store_success("good", "7")
    assert (await good).get_result() == 7


# -- jobs that must exist ------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [None, 30, 0.1, 0])
async def test_a_job_that_does_not_exist(client: Facade, timeout: Any) -> None:
    """Who asks for it is told at once that there is no such job, whatever the time-out."""
    with pytest.raises(JobNotFoundError, match="^there is no job none: ") as caught:
        await look(client, "none", timeout, must_exist=True)
    assert caught.value.job_id == "none"


async def test_a_job_that_exists(client: Facade, worker: GoWorker) -> None:
    """A job is waited for though it must exist, and a result alone is one."""
    job_id = await client.submit_job("work", 1)
    with pytest.raises(TimeoutError, match=f"^no final result of job {job_id} within 0 s"):
        await look(client, job_id, must_exist=True)
    worker.store_success("alone", "7")
    assert (await client.wait_for_result("alone", must_exist=True)).get_result() == 7


# -- documents that may not be read --------------------------------------------------------------


async def test_documents_whose_end_may_not_be_read(
    real_broker: Broker, real_worker: GoWorker, connect: Connect
) -> None:
    """A user without GETRANGE waits and locates as any other: documents are read whole."""
    rules = ("allkeys", "allchannels", "+@all", "-getrange")
    real_broker.command("ACL", "SETUSER", "whole", "on", ">pw", *rules)
    try:
        client = await connect(real_broker.url.replace("redis://", "redis://whole:pw@"))
        job_id = await client.submit_job("work", 1)
        assert (await client.locate(job_id)).place is JobPlace.QUEUED
        with pytest.raises(TimeoutError, match="it is queued with priority normal"):
            await look(client, job_id)
        real_worker.fail_for_good(job_id, "boom")
        result = await client.wait_for_result(job_id)
        assert (result.is_failed, result.error) == (True, "boom")
        await client.close()
    finally:
        real_broker.command("ACL", "DELUSER", "whole")


@pytest.fixture
def without_documents(real_broker: Broker, proxy: FaultProxy) -> Iterator[str]:
    """The URL of a user of the real Redis who may read results and no documents."""
    rules = ("allkeys", "allchannels", "+@all", "-get", "-getrange")
    real_broker.command("ACL", "SETUSER", "waiter", "on", ">pw", *rules)
    yield proxy.url(0, "waiter", "pw")
    real_broker.command("ACL", "DELUSER", "waiter")


async def store_meanwhile(
    broker: Broker, proxy: FaultProxy, job_id: str, wait: Any, store: Any, *, publish: bool
) -> asyncio.Task[Any]:
    """Store a result during a wait, for a notification to tell of or a periodic read to find."""
    task = await subscribed(broker, job_id, wait)
    if not publish:
        await until(lambda: proxy.commands["GETRANGE"], "the first periodic read")
    store(publish=publish)
    return task


@pytest.mark.parametrize("publish", [True, False])
async def test_failure_beside_a_document_that_may_not_be_read(
    without_documents: str,
    proxy: FaultProxy,
    real_broker: Broker,
    real_worker: GoWorker,
    connect: Connect,
    publish: bool,
) -> None:
    """A failure that can't be told from one to be retried ends the wait with the reason."""
    client = await connect(without_documents, safety_interval=0.1)
    job_id = await client.submit_job("work", 1)
    call = client.wait_for_result(job_id)
    store = functools.partial(real_worker.store_failure, job_id, "boom")
    wait = await store_meanwhile(real_broker, proxy, job_id, call, store, publish=publish)
    expected = (
        f"^an attempt of job {job_id} failed, but the client can't know whether a retry follows: "
        r"Redis refuses to show its document \(NOPERM .*\); "
        "grant GET on its key, or pass wait_for_retries=False$"
    )
    for waiting in (wait, client.wait_for_result(job_id)):
        with pytest.raises(ServerError, match=expected) as caught:
            await waiting
        assert (caught.value.code, caught.value.job_id) == ("NOPERM", job_id)
    await client.close()


@pytest.mark.parametrize("publish", [True, False])
async def test_first_attempt_beside_a_document_that_may_not_be_read(
    without_documents: str,
    proxy: FaultProxy,
    real_broker: Broker,
    real_worker: GoWorker,
    connect: Connect,
    publish: bool,
) -> None:
    """Whoever does not wait for retries needs no document."""
    client = await connect(without_documents, safety_interval=0.1)
    job_id = await client.submit_job("work", 1)
    call = client.wait_for_result(job_id, wait_for_retries=False)
    store = functools.partial(real_worker.store_failure, job_id, "boom")
    wait = await store_meanwhile(real_broker, proxy, job_id, call, store, publish=publish)
    assert (await wait).error == "boom"
    assert (await look(client, job_id, wait_for_retries=False)).error == "boom"
    await client.close()


@pytest.mark.parametrize("publish", [True, False])
async def test_success_beside_a_document_that_may_not_be_read(
    without_documents: str,
    proxy: FaultProxy,
    real_broker: Broker,
    real_worker: GoWorker,
    connect: Connect,
    publish: bool,
) -> None:
    """A success is final, whatever the document says."""
    client = await connect(without_documents, safety_interval=0.1)
    job_id = await client.submit_job("work", 1)
    call = client.wait_for_result(job_id)
    store = functools.partial(real_worker.store_success, job_id, "7")
    wait = await store_meanwhile(real_broker, proxy, job_id, call, store, publish=publish)
    assert (await wait).get_result() == 7
    assert (await look(client, job_id)).get_result() == 7
    await client.close()


async def test_time_out_beside_a_document_that_may_not_be_read(
    without_documents: str, real_worker: GoWorker, connect: Connect
) -> None:
    """The time-out repeats the refusal, and takes no failure for the final one."""
    client = await connect(without_documents)
    job_id = await client.submit_job("work", 1)
    refusal = "Redis refuses to show its document: NOPERM "
    assert (await late(client, job_id, "unreadable", 0.05)).startswith(refusal)
    real_worker.store_failure(job_id, "boom")
    assert (await late(client, job_id, "unreadable")).startswith(refusal)
    await client.close()


async def test_failure_beside_another_type(
    client: Facade, broker: Broker, worker: GoWorker
) -> None:
    """What stands in the place of a document and is none leaves the failure final."""
    broker.command("LPUSH", "bananas:job:a", "x")
    worker.store_failure("a", "boom")
    assert (await client.wait_for_result("a")).error == "boom"
    assert (await look(client, "a")).error == "boom"


# -- time-outs -----------------------------------------------------------------------------------


async def late(client: Facade, job_id: str, word: str, timeout: Any = 0) -> str:
    """Return what the time-out of a wait says of its job."""
    with pytest.raises(TimeoutError) as caught:
        await look(client, job_id, timeout)
    assert (caught.value.job_id, caught.value.whereabouts) == (job_id, word)
    start = f"no final result of job {job_id} within {timeout:g} s: "
    assert str(caught.value).startswith(start)
    return str(caught.value)[len(start) :]


async def test_queued(client: Facade) -> None:
    """The time-out of a wait says that no worker has taken the job."""
    job_id = await client.submit_job("work", 1, JobPriority.LOW)
    text = await late(client, job_id, "queued", 0.05)
    assert text == "it is queued with priority low; no worker has taken it"


async def test_queued_on_a_route(client: Facade) -> None:
    """It names the route, whose workers may be missing."""
    job_id = await client.submit_job("work", 1, routing_key="eu")
    text = await late(client, job_id, "queued")
    assert text == "it is queued with priority normal of route eu; no worker has taken it"


async def test_scheduled(client: Facade) -> None:
    """It says when a scheduled job is due."""
    due = datetime(2030, 1, 1, tzinfo=timezone.utc)
    job_id = await client.submit_job_scheduled("work", 1, JobPriority.LOW, due)
    text = await late(client, job_id, "scheduled")
    assert text == "it is scheduled, due at 2030-01-01T00:00:00Z"


async def test_taken(client: Facade, worker: GoWorker) -> None:
    """It says that a worker has taken the job, and no more than that."""
    job_id = await client.submit_job("work", 1)
    worker.take()
    text = await late(client, job_id, "taken")
    assert text == (
        "a worker has taken it (attempt 1 of 3): it runs, or its worker was killed; "
        "the queue can't know which"
    )


async def test_retrying(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """It says what failed, and when the retry is due."""
    job_id = await client.submit_job("work", 1)
    worker.store_failure(job_id, "boom")
    worker.retry_later(job_id, "boom")
    due = broker.job(job_id)["scheduled_for"]
    text = await late(client, job_id, "retrying")
    assert text == f'retrying after "boom" (attempt 2 of 3), due at {due}'
    worker.queue_again(job_id)
    text = await late(client, job_id, "retrying")
    assert text == 'retrying after "boom" (attempt 2 of 3), queued again'


async def test_failed_just_now(client: Facade, worker: GoWorker) -> None:
    """It says what failed, though the document does not yet."""
    job_id = await client.submit_job("work", 1)
    worker.store_failure(job_id, "boom")
    assert await late(client, job_id, "retrying") == 'retrying after "boom"'


async def test_missing(client: Facade) -> None:
    """It says that there is no such job."""
    text = await late(client, "none", "missing")
    assert text == "there is no such job: it was never submitted here, expired, or was evicted"


async def test_unreadable(client: Facade, broker: Broker) -> None:
    """It says that a document can't be read."""
    broker.command("SET", "bananas:job:bad", "{")
    text = await late(client, "bad", "unreadable")
    assert text == "its document can't be read; a worker will make it a dead letter"


async def test_ended(client: Facade, worker: GoWorker) -> None:
    """It says that a job has ended, though all that is stored is the failure of an attempt."""
    job_id = await client.submit_job("work", 1)
    worker.store_failure(job_id, "boom")
    worker.complete(job_id)
    text = await late(client, job_id, "completed")
    assert text == "it has completed, and its result is gone"


async def test_no_right_to_look_at_what_workers_hold(real_broker: Broker, connect: Connect) -> None:
    """Without the right to see what workers hold, the time-out leaves open who has the job."""
    real_broker.command(
        "ACL", "SETUSER", "waiter", "on", ">pw", "allkeys", "allchannels", "+@all", "-lpos"
    )
    try:
        client = await connect(real_broker.url.replace("redis://", "redis://waiter:pw@"))
        job_id = await client.submit_job("work", 1)
        text = await late(client, job_id, "queued")
        assert text == "it is queued with priority normal, or a worker has taken it"
        await client.close()
    finally:
        real_broker.command("ACL", "DELUSER", "waiter")


async def test_timedelta(client: Facade) -> None:
    """A limit may be a timedelta."""
    with pytest.raises(TimeoutError, match=r" within 0\.02 s: there is no such job"):
        await client.wait_for_result("none", timedelta(milliseconds=20))


async def test_zero(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """A limit of nothing looks once, and returns what is final."""
    worker.store_success("a", "7")
    assert (await look(client, "a")).get_result() == 7
    worker.leave_stub("b", "bad")
    assert (await look(client, "b")).error == "bad"
    job_id = await client.submit_job("work", 1)
    worker.complete(job_id)
    with pytest.raises(ResultNotFoundError, match="^job .* has completed, and its result is gone"):
        await look(client, job_id)


async def test_builtin_time_out(client: Facade) -> None:
    """A time-out is the builtin one too."""
    import builtins

    with pytest.raises(builtins.TimeoutError):
        await look(client, "none")


# -- several waits -------------------------------------------------------------------------------


async def test_two_waits_for_one_job(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """Everyone who waits for a job gets its result, over one subscription."""
    first = await subscribed(broker, "a", client.wait_for_result("a"))
    second = asyncio.ensure_future(client.wait_for_result("a", 20))
    third = asyncio.ensure_future(client.wait_for_result("a", None))
    assert broker.subscribers("a") == 1
    worker.store_success("a", "7")
    results = await asyncio.gather(first, second, third)
    assert [result.get_result() for result in results] == [7, 7, 7]


async def test_one_of_two_ends_early(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """A wait whose time is over leaves the other one for the same job alone."""
    long = await subscribed(broker, "a", client.wait_for_result("a"))
    with pytest.raises(TimeoutError):
        await client.wait_for_result("a", 0.01)
    assert broker.subscribers("a") == 1
    worker.store_success("a", "7")
    assert (await long).get_result() == 7


async def test_a_wait_that_has_ended_is_no_longer_counted(
    async_client: AsyncClient, worker: GoWorker
) -> None:
    """Who has its result, or the news that its time is over, finds no wait in the figures."""
    worker.store_success("a", "7")
    await async_client.wait_for_result("a")
    assert async_client.stats().waits == 0
    with pytest.raises(TimeoutError):
        await async_client.wait_for_result("b", 0)
    assert async_client.stats().waits == 0


async def test_cancel(async_client: AsyncClient, broker: Broker, worker: GoWorker) -> None:
    """Cancelling a wait ends it at once, and no other for the same job."""
    other = await subscribed(broker, "a", async_client.wait_for_result("a"))
    wait = asyncio.ensure_future(async_client.wait_for_result("a"))
    alone = await subscribed(broker, "b", async_client.wait_for_result("b"))
    wait.cancel()
    alone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    with pytest.raises(asyncio.CancelledError):
        await alone
    await until(lambda: not broker.subscribers("b"), "nobody listens for b any more")
    assert async_client.stats().waits == 1
    worker.store_success("a", "7")
    assert (await other).get_result() == 7


async def test_again_and_again(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """A job can be waited for again at any time after a wait has ended."""
    for number in range(20):
        with pytest.raises(TimeoutError):
            await client.wait_for_result("a", number / 2000)
    wait = asyncio.ensure_future(client.wait_for_result("a"))
    worker.store_success("a", "7")
    assert (await wait).get_result() == 7
    await until(lambda: not broker.subscribers("a"), "nobody listens any more")


async def test_a_thousand(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """Any number of waits share one connection; a blocking client has another one for submits."""
    count = 100 if client.blocking else 1000
    lines = 1 if client.blocking else 0
    ids = [f"job-{number}" for number in range(count)]
    waits = [asyncio.ensure_future(client.wait_for_result(job_id)) for job_id in ids]
    await until(lambda: broker.subscribers(ids[-1]), "the last one listens")
    await until(lambda: all(map(broker.subscribers, ids)), "all listen")
    assert broker.connections() == 2 + lines
    stats = await client.stats()
    assert (stats.waits, stats.listening, stats.connections) == (count, True, 1 + lines)
    for number, job_id in enumerate(ids):
        worker.store_success(job_id, str(number))
    results = await asyncio.gather(*waits)
    assert [result.get_result() for result in results] == list(range(count))
    assert broker.connections() == 2 + lines


async def test_closed_meanwhile(client: Facade, broker: Broker) -> None:
    """Closing the client ends every wait with the reason."""
    wait = await subscribed(broker, "a", client.wait_for_result("a"))
    await client.close()
    with pytest.raises(ClientClosedError, match="^the client was closed during the wait") as caught:
        await wait
    assert caught.value.job_id == "a"


# -- submitting and waiting at once --------------------------------------------------------------


async def test_submit_and_wait(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """One call submits a job and returns its result."""
    call = asyncio.ensure_future(
        client.submit_and_wait(
            "work", {"n": 1}, JobPriority.HIGH, 20, "text", job_id="a", routing_key="eu",
            max_retries=1,
        )
    )  # fmt: skip
    await until(lambda: worker.take("route:eu:queue:high"), "the job is there")
    worker.store_success("a", "7")
    assert (await call).get_result() == 7
    document = broker.job("a")
    assert (document["description"], document["max_retries"]) == ("text", 1)


async def test_submit_and_wait_in_vain(client: Facade, broker: Broker) -> None:
    """When the time is over, the error names the job, which goes on."""
    with pytest.raises(TimeoutError, match="no worker has taken it$") as caught:
        await client.submit_and_wait("work", 1, timeout=0.01)
    assert broker.queued("queue:normal") == [caught.value.job_id]


async def test_submit_and_wait_for_the_first_attempt(
    client: Facade, broker: Broker, worker: GoWorker
) -> None:
    """Retries need not be waited for here either."""
    call = asyncio.ensure_future(
        client.submit_and_wait("work", 1, job_id="a", wait_for_retries=False)
    )
    await until(worker.take, "the job is there")
    worker.store_failure("a", "boom")
    worker.retry_later("a")
    assert (await call).error == "boom"


async def test_life_of_a_job(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """A wait sees a job through as a worker writes it, step by step, and its document too."""
    job_id = await client.submit_job("work", 1)
    wait = await subscribed(broker, job_id, client.wait_for_result(job_id))
    assert worker.take() == job_id
    assert (await client.get_job(job_id)).status is JobStatus.PENDING
    worker.store_success(job_id, json.dumps({"done": True}))
    assert (await wait).get_result() == {"done": True}
    worker.complete(job_id)
    job = await client.get_job(job_id)
    assert job.status is JobStatus.COMPLETED
    assert job.updated_at > job.created_at
