"""Each change of a job that is seen is told, in the order in which it happens."""

from __future__ import annotations

import asyncio
from typing import Any, List

import pytest

from bananas import (
    AsyncClient,
    Client,
    ConnectionError,
    JobPlace,
    SerializationError,
    ServerError,
    TimeoutError,
)
from tests.behaviour.broker import Broker
from tests.behaviour.go_worker import GoWorker
from tests.support import wait_until

LIMIT = 30.0


async def test_a_life(async_client: AsyncClient, worker: GoWorker) -> None:
    """A job that is retried and succeeds is seen all the way."""
    job_id = await async_client.submit_job("work", 1)
    async with async_client.watch(job_id, LIMIT) as changes:
        assert (await changes.__anext__()).kind == "queued"
        worker.take()
        assert (await changes.__anext__()).kind == "taken"
        worker.store_failure(job_id, "boom")
        worker.retry_later(job_id, "boom")
        failed = await changes.__anext__()
        assert (failed.kind, failed.location.place) == ("attempt failed", JobPlace.RETRYING)
        assert failed.location.due is not None
        assert str(failed).startswith(f'{job_id}: attempt failed (1), "boom", due at ')
        worker.queue_again(job_id)
        assert (await changes.__anext__()).kind == "retry due"
        worker.take()
        assert (await changes.__anext__()).kind == "taken"
        worker.store_success(job_id, "7")
        last = await changes.__anext__()
        assert (last.kind, last.result and last.result.get_result()) == ("finished", 7)
        assert last.to_dict()["status"] == "completed"
        with pytest.raises(StopAsyncIteration):
            await changes.__anext__()
    assert async_client.stats().waits == 0


async def test_ends(async_client: AsyncClient, worker: GoWorker) -> None:
    """A job that has ended is told in one step, whichever way it has."""
    ids = [await async_client.submit_job("work", n) for n in range(3)]
    for _ in ids:
        worker.take()
    worker.complete(ids[0])
    worker.fail_for_good(ids[1], "boom")
    worker.rewrite(ids[2], status="failed", error="cancelled", cancelled_at="2025-01-15T10:30:00Z")
    found = []
    for one in ids:
        found.append([change async for change in async_client.watch(one, LIMIT)])
    assert [[change.kind for change in one] for one in found] == [
        ["finished"], ["finished"], ["cancelled"],
    ]  # fmt: skip
    assert [one[0].location.place for one in found[:2]] == [JobPlace.COMPLETED, JobPlace.DEAD]
    assert found[0][0].result is None
    assert async_client.stats().waits == 0


async def test_result_that_can_not_be_read(async_client: AsyncClient, broker: Broker) -> None:
    """The step that finds it raises, and the watch has ended."""
    broker.command("HSET", "bananas:result:bad", "status", "odd")
    changes = async_client.watch("bad", LIMIT)
    with pytest.raises(SerializationError, match="^stored result of job bad has no status"):
        await changes.__anext__()
    with pytest.raises(StopAsyncIteration):
        await changes.__anext__()
    assert async_client.stats().waits == 0


async def test_a_job_that_comes_later(async_client: AsyncClient, worker: GoWorker) -> None:
    """One that is missing may come."""
    changes = async_client.watch("later", LIMIT)
    assert (await changes.__anext__()).kind == "missing"
    await async_client.submit_job("work", 1, job_id="later")
    assert (await changes.__anext__()).kind == "queued"
    await changes.aclose()


async def test_the_limit(async_client: AsyncClient) -> None:
    """When the time is over, a step says where the job is, and the watch has ended."""
    job_id = await async_client.submit_job("work", 1)
    changes = async_client.watch(job_id, 0.05)
    assert (await changes.__anext__()).kind == "queued"
    with pytest.raises(TimeoutError, match=r"within 0\.05 s: it is queued$") as late:
        await changes.__anext__()
    assert late.value.whereabouts is JobPlace.QUEUED
    assert [change async for change in changes] == []
    assert async_client.stats().waits == 0


async def test_change_that_is_found_when_the_time_is_over(
    async_client: AsyncClient, worker: GoWorker
) -> None:
    """It is told, and the error comes with the next step."""
    job_id = await async_client.submit_job("work", 1)
    changes = async_client.watch(job_id, LIMIT)
    assert (await changes.__anext__()).kind == "queued"
    worker.take()
    changes._deadline = 0.0
    assert (await changes.__anext__()).kind == "taken"
    with pytest.raises(TimeoutError, match="it is taken"):
        await changes.__anext__()


async def test_closed_between_two_changes(async_client: AsyncClient, worker: GoWorker) -> None:
    """What was found together with the last change is not told any more."""
    job_id = await async_client.submit_job("work", 1)
    changes = async_client.watch(job_id, LIMIT)
    changes._changes.extend([await changes.__anext__()] * 2)
    assert (await changes.__anext__()).kind == "queued"
    await changes.aclose()
    assert [change async for change in changes] == []


async def test_result_while_redis_is_away(
    async_client: AsyncClient, worker: GoWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the wait has heard is told, though no look succeeds."""

    async def fail(*args: Any) -> Any:
        raise ConnectionError("away")

    job_id = await async_client.submit_job("work", 1)
    changes = async_client.watch(job_id, LIMIT)
    assert (await changes.__anext__()).kind == "queued"
    monkeypatch.setattr(async_client._waits, "look", fail)
    worker.take()
    worker.store_success(job_id, "7")
    assert (await changes.__anext__()).kind == "finished"


async def test_redis_that_is_away_when_the_time_is_over(
    async_client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not asked once more."""
    looks: List[None] = []

    async def fail(*args: Any) -> Any:
        looks.append(None)
        changes._deadline = 0.0
        raise ConnectionError("away")

    job_id = await async_client.submit_job("work", 1)
    changes = async_client.watch(job_id, LIMIT)
    assert (await changes.__anext__()).kind == "queued"
    monkeypatch.setattr(async_client._waits, "look", fail)
    with pytest.raises(TimeoutError, match="its place is unknown: away"):
        await changes.__anext__()
    assert len(looks) == 1


async def test_trouble_is_over(async_client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the error at the end says where the job is; one that will not pass ends the step."""
    waits = async_client._waits
    look = waits.look
    errors = [ConnectionError("away"), ConnectionError("wrong password", permanent=True)]

    async def fail_first(*args: Any) -> Any:
        if errors:
            raise errors.pop()
        changes._deadline = 0.0
        return await look(*args)

    job_id = await async_client.submit_job("work", 1)
    changes = async_client.watch(job_id, LIMIT)
    assert (await changes.__anext__()).kind == "queued"
    changes._pause = 0.0
    monkeypatch.setattr(waits, "look", fail_first)
    with pytest.raises(ConnectionError, match="wrong password"):
        await changes.__anext__()
    with pytest.raises(TimeoutError, match="it is queued"):
        await changes.__anext__()


async def test_time_is_over_before_anything_is_known(
    async_client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a time-out, which says why nothing is known."""

    async def fail(*args: Any) -> Any:
        changes._deadline = 0.0
        raise ConnectionError("away")

    changes = async_client.watch("some-job", LIMIT)
    monkeypatch.setattr(async_client._waits, "look", fail)
    with pytest.raises(TimeoutError, match="its place is unknown: away"):
        await changes.__anext__()


async def test_redis_that_is_away(
    async_client: AsyncClient, worker: GoWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watch that was begun goes on, as a wait does, and ends at its limit."""
    job_id = await async_client.submit_job("work", 1)
    waits = async_client._waits
    look, errors = waits.look, [ConnectionError("away"), ServerError("busy")]

    async def fail_first(*args: Any) -> Any:
        if errors:
            raise errors.pop()
        return await look(*args)

    changes = async_client.watch(job_id, LIMIT)
    monkeypatch.setattr(waits, "look", fail_first)
    with pytest.raises(ServerError, match="busy"):
        await changes.__anext__()  # nothing was told before
    errors.clear()
    assert (await changes.__anext__()).kind == "queued"
    errors += [ConnectionError("away"), TimeoutError("silent")]
    worker.take()
    worker.store_success(job_id, "7")
    assert (await changes.__anext__()).kind == "finished"

    errors.clear()
    changes = async_client.watch("other", 0.05)
    assert (await changes.__anext__()).kind == "missing"
    errors += [ConnectionError("away")] * 100
    with pytest.raises(TimeoutError, match=r"within 0\.05 s: its place is unknown: away$"):
        await changes.__anext__()
    assert async_client.stats().waits == 0


@pytest.mark.parametrize("turns", [0, 1, 50])
async def test_closed_by_another_task(async_client: AsyncClient, turns: int) -> None:
    """The step of the first task ends the loop there."""
    changes = async_client.watch("nobody submits it", LIMIT)

    async def follow() -> List[str]:
        return [change.kind async for change in changes]

    loop = asyncio.ensure_future(follow())
    for _ in range(turns):
        await asyncio.sleep(0)
    await changes.aclose()
    assert set(await loop) <= {"missing"}
    assert async_client.stats().waits == 0


async def test_leaving_early(async_client: AsyncClient, broker: Broker) -> None:
    """A watch that is cancelled or left ends its subscription."""
    job_id = await async_client.submit_job("work", 1)
    changes = async_client.watch(job_id)
    await changes.__anext__()
    step = asyncio.ensure_future(changes.__anext__())
    await asyncio.sleep(0)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert async_client.stats().waits == 1
    del changes, step
    for _ in range(1000):
        if async_client.stats().waits == 0:
            break
        await asyncio.sleep(0.005)
    assert async_client.stats().waits == 0


def test_blocking(real_broker: Broker, real_worker: GoWorker) -> None:
    """The blocking client gives the same changes."""
    with Client(real_broker.url) as client:
        job_id = client.submit_job("work", 1)
        kinds = []
        with client.watch(job_id, LIMIT) as changes:
            for change in changes:
                kinds.append(change.kind)
                if change.kind == "queued":
                    real_worker.take()
                elif change.kind == "taken":
                    real_worker.store_success(job_id, "1")
        assert kinds == ["queued", "taken", "finished"]
        with client.watch("other") as changes:
            assert next(changes).kind == "missing"
        wait_until(lambda: client.stats().waits == 0, "no wait is left")


@pytest.mark.parametrize("job_id", ["", "odd: \u00e9\n"])
async def test_any_id_that_is_found(async_client: AsyncClient, broker: Broker, job_id: str) -> None:
    """Ids that a submit would refuse are watched too."""
    broker.command("SET", f"bananas:job:{job_id}", '{"name":"work","status":"pending"}')
    broker.command("LPUSH", "bananas:queue:normal", job_id)
    changes = async_client.watch(job_id, LIMIT)
    assert (await changes.__anext__()).kind == "queued"
    await changes.aclose()
