"""Results of many jobs in the order in which they end."""

from __future__ import annotations

import asyncio
import gc
from datetime import timedelta
from typing import Any, List

import pytest

from bananas import (
    AsyncClient,
    Client,
    ClientClosedError,
    ResultNotFoundError,
    SerializationError,
    TimeoutError,
)
from tests.behaviour.broker import Broker
from tests.behaviour.conftest import Facade
from tests.behaviour.go_worker import GoWorker
from tests.behaviour.waiting import subscribed, until


async def test_order(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """Results come as the jobs end, failures among them, each job once."""
    results = await client.as_completed(["a", "b", "c"], 20)
    seen = []
    for job_id, store in [("b", worker.store_success), ("c", worker.store_failure),
                          ("a", worker.store_success)]:  # fmt: skip
        step = await subscribed(broker, job_id, results.__anext__())
        store(job_id, "7")
        seen.append(await step)
    with pytest.raises(StopAsyncIteration):
        await results.__anext__()
    assert [(result.job_id, result.is_success) for result in seen] == [
        ("b", True), ("c", False), ("a", True),
    ]  # fmt: skip


async def test_stored_before(client: Facade, worker: GoWorker) -> None:
    """Jobs that have ended before are given too."""
    ids = [f"job-{number}" for number in range(50)]
    for job_id in ids:
        worker.store_success(job_id, f'"{job_id}"')
    found = [result async for result in await client.as_completed(iter(ids), None)]
    assert sorted(result.job_id for result in found) == sorted(ids)
    assert all(result.get_result() == result.job_id for result in found)
    assert (await client.stats()).waits == 0


async def test_no_jobs(client: Facade) -> None:
    """Without jobs there is nothing to iterate over."""
    assert [result async for result in await client.as_completed([])] == []


async def test_twice_the_same(client: Facade) -> None:
    """A job that is named twice is refused."""
    with pytest.raises(ValueError, match="^job_ids must name each job once$"):
        await client.as_completed(["a", "b", "a"])


@pytest.mark.parametrize("limit", [timedelta(seconds=20), timedelta(0)], ids=["waits", "looks"])
async def test_errors(client: Facade, broker: Broker, worker: GoWorker, limit: timedelta) -> None:
    """A job whose wait fails raises at its step, and iterating on gives the others."""
    job_id = await client.submit_job("work", 1)
    worker.complete(job_id)
    broker.command("HSET", "bananas:result:bad", "status", "odd")
    worker.store_success("good", "7")
    results = await client.as_completed(["bad", job_id, "good"], limit)
    outcomes = set()
    for _ in range(3):
        try:
            outcomes.add((await results.__anext__()).get_result())
        except (SerializationError, ResultNotFoundError) as error:
            outcomes.add((type(error), error.job_id))
    assert outcomes == {7, (SerializationError, "bad"), (ResultNotFoundError, job_id)}
    with pytest.raises(StopAsyncIteration):
        await results.__anext__()


async def test_first_attempts(client: Facade, worker: GoWorker) -> None:
    """The first stored results can be asked for here too."""
    job_id = await client.submit_job("work", 1)
    worker.store_failure(job_id, "boom")
    worker.retry_later(job_id)
    results = await client.as_completed([job_id], wait_for_retries=False)
    assert [result.error async for result in results] == ["boom"]


async def test_time_out(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """One limit is for all together; the error names the jobs that are missing."""
    worker.store_success("a", "7")
    results = await client.as_completed(["a", "b", "c"], 0.2)
    assert (await results.__anext__()).job_id == "a"
    expected = r"^no final result of 2 of 3 jobs within 0\.2 s: (2 missing|.*in time)$"
    with pytest.raises(TimeoutError, match=expected) as caught:
        await results.__anext__()
    assert caught.value.job_ids == ("b", "c")
    # A last look takes a tenth of a second at most; a slow machine may not answer it.
    assert caught.value.whereabouts == ("missing" if "missing" in str(caught.value) else None)
    with pytest.raises(StopAsyncIteration):
        await results.__anext__()
    assert (await client.stats()).waits == 0


async def test_left_early(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """Closing the iterator ends the waits that are left."""
    worker.store_success("a", "7")
    async with await client.as_completed(["a", "b", "c"]) as results:
        async for result in results:
            assert result.job_id == "a"
            break
    assert (await client.stats()).waits == 0
    await until(lambda: not broker.subscribers("b"), "nobody listens any more")
    with pytest.raises(StopAsyncIteration):
        await results.__anext__()
    await results.aclose()


async def test_forgotten(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """An iterator that is forgotten ends its waits as well."""
    worker.store_success("a", "7")
    async for result in await client.as_completed(["a", "b", "c"]):
        assert result.job_id == "a"
        break
    gc.collect()
    await until(lambda: not broker.subscribers("b"), "nobody listens any more")
    assert (await client.stats()).waits == 0


async def test_beside_a_wait(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """A job may be waited for in both ways at once."""
    wait = await subscribed(broker, "a", client.wait_for_result("a"))
    results = await client.as_completed(["a"])
    step = asyncio.ensure_future(results.__anext__())
    worker.store_success("a", "7")
    assert (await step, await wait)[0].get_result() == 7


async def test_cancelled_step(async_client: AsyncClient, broker: Broker, worker: Any) -> None:
    """Cancelling a step loses no result: the next step gives it."""
    results = async_client.as_completed(["a"])
    step = await subscribed(broker, "a", results.__anext__())
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    worker.store_success("a", "7")
    assert (await results.__anext__()).get_result() == 7


async def test_body_that_raises(async_client: AsyncClient, worker: GoWorker) -> None:
    """The loop's body may raise what it likes, and cancellation stays its own."""
    worker.store_success("a", "7")

    async def loop() -> None:
        async with async_client.as_completed(["a", "b"]) as results:
            async for _ in results:
                raise KeyError

    with pytest.raises(KeyError):
        await loop()
    assert async_client.stats().waits == 0


async def test_closed_meanwhile(client: Facade, broker: Broker) -> None:
    """Closing the client ends the iteration with the reason."""
    results = await client.as_completed(["a"])
    step = await subscribed(broker, "a", results.__anext__())
    await client.close()
    with pytest.raises(ClientClosedError):
        await step


def test_left_when_the_client_is_closed(broker: Broker, worker: GoWorker) -> None:
    """Nobody complains of errors that an iterator left alone can no longer give."""
    worker.store_success("a", "7")
    complaints: List[str] = []

    async def work() -> List[Any]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))
        async with AsyncClient(broker.url) as client:
            results, changes = client.as_completed(["a", "b"]), client.watch("b")
            await results.__anext__()
            await changes.__anext__()
        return [results, changes]

    left = asyncio.run(work())
    left.clear()
    gc.collect()
    assert complaints == []


def test_plain_loop(broker: Broker, worker: GoWorker) -> None:
    """The blocking client's iterator is a plain one, and a context manager."""
    for job_id in "abc":
        worker.store_success(job_id, f'"{job_id}"')
    with Client(broker.url) as client:
        assert sorted(result.job_id for result in client.as_completed(list("abc"))) == [
            "a",
            "b",
            "c",
        ]
        with client.as_completed(["a", "none"]) as results:
            assert next(results).job_id == "a"
        assert list(results) == []
        assert client.stats().waits == 0
