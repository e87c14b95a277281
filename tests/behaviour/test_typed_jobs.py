"""Typed jobs through both clients, with typed handlers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from bananas import (
    AsyncClient,
    JobExistsError,
    JobFailedError,
    JobType,
    SerializationError,
    TimeoutError,
)
from bananas.testing import LocalQueue, WorkerEmulator
from tests.behaviour.broker import Broker
from tests.behaviour.conftest import Facade


@dataclass(frozen=True)
class Resize:
    """A payload."""

    width: int
    ratio: float


@dataclass(frozen=True)
class Size:
    """A result."""

    width: int
    height: float


RESIZE = JobType("resize", payload=Resize, result=Size, priority="high", max_retries=1)


async def test_a_call(client: Facade, broker: Broker) -> None:
    """A call returns the handler's result, whatever kind of function that is."""
    with LocalQueue(broker.url) as queue:

        @queue.handler(RESIZE)
        def resize(payload: Resize) -> Size:
            assert type(payload) is Resize
            return Size(payload.width, payload.width * payload.ratio)

        assert await client.call(RESIZE, Resize(4, 0.5)) == Size(4, 2.0)

        async def resize_async(payload: Resize) -> Size:
            return Size(payload.width, 0)

        queue.handle(RESIZE, resize_async)
        assert await client.call(RESIZE, Resize(4, 0.5), 60) == Size(4, 0)

        queue.handle(RESIZE, lambda payload: resize_async(payload))
        assert await client.call(RESIZE, Resize(5, 0.5), job_id="chosen") == Size(5, 0)
        assert await client.call(RESIZE, Resize(6, 0.5), job_id="chosen") == Size(5, 0)

        def wrong(payload: Any) -> Any:
            return {"width": payload.width}

        queue.handle(RESIZE, wrong)
        with pytest.raises(JobFailedError, match="result is not a Size but a dict"):
            await client.call(RESIZE, Resize(4, 0.5))

        queue.handle("resize", lambda job: job.payload)
        with pytest.raises(SerializationError, match="result has no field 'height'"):
            await client.call(RESIZE, Resize(4, 0.5))


async def test_a_submit(client: Facade, broker: Broker) -> None:
    """A submit takes what the type says of its jobs; a wrong payload writes nothing."""
    job_id = await client.submit(RESIZE, Resize(4, 0.5))
    assert broker.queued("queue:high") == [job_id]
    document = broker.job(job_id)
    assert document["payload"] == {"width": 4, "ratio": 0.5}
    assert (document["name"], document["max_retries"]) == ("resize", 1)
    await client.submit(RESIZE, Resize(4, 1), scheduled_for=timedelta(hours=1), job_id="later")
    assert list(broker.scheduled()) == ["later"]
    with pytest.raises(JobExistsError):
        await client.submit(RESIZE, Resize(4, 1), job_id="later", if_exists="raise")
    ids = await client.submit_jobs([RESIZE.spec(Resize(width, 1)) for width in range(3)])
    assert broker.queued("queue:high") == [job_id, *ids]
    before = broker.keys()
    for call in (client.submit, client.call):
        with pytest.raises(SerializationError, match="payload.width is not an int but a string"):
            await call(RESIZE, Resize("4", 1))  # type: ignore[arg-type]
    assert broker.keys() == before


async def test_a_call_that_is_not_answered(client: Facade) -> None:
    """It ends at its limit, with the id."""
    with pytest.raises(TimeoutError) as caught:
        await client.call(RESIZE, Resize(4, 1), 0.05)
    assert (await client.get_job(caught.value.job_id)).name == "resize"


async def test_a_worker_step_by_step(async_client: AsyncClient, broker: Broker) -> None:
    """The worker emulator takes typed handlers too, and a wrong payload fails the attempt."""
    worker = WorkerEmulator(broker.url)

    @worker.handler(RESIZE)
    def resize(payload: Resize) -> Size:
        return Size(payload.width, 1)

    job_id = await async_client.submit_job("resize", {"width": 4}, "high", max_retries=1)
    await worker.run_one()
    await worker.stop()
    result = await async_client.wait_for_result(job_id)
    assert result.error == f"job {job_id}: payload has no field 'ratio', which Resize needs"
