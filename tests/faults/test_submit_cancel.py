"""A submit may be cancelled at any moment, and nobody else notices."""

from __future__ import annotations

import asyncio
import random
from typing import List

import anyio
import pytest

from bananas import AsyncClient, JobPriority
from tests.support import FaultProxy, LoseReply, RedisServer
from tests.support.faults import Match

from .inventory import Inventory
from .timing import eventually

pytestmark = pytest.mark.asyncio

_LATEST = 0.04


def _some_of(name: bytes, probability: float, rng: random.Random) -> Match:
    return lambda words: words[0].upper() == name and rng.random() < probability


async def _submit(client: AsyncClient, job_id: str, rng: random.Random) -> str:
    """Submit a job in one of the ways, and check that the reply is its own."""
    way = rng.randrange(3)
    if way == 0:
        submitted = await client.submit_job("work", job_id, JobPriority.HIGH, job_id=job_id)
        assert submitted == job_id
    elif way == 1:
        submitted = await client.submit_job("work", job_id)
    else:
        job = await client.get_job("known")
        assert job is not None
        assert (job.id, job.payload) == ("known", "the payload of the known job")
        submitted = await client.submit_job("work", job_id)
    return submitted


async def _cancelled_natively(client: AsyncClient, job_id: str, rng: random.Random) -> List[str]:
    """Cancel a submit's task after a while; it ends cancelled if it had not ended before."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(_submit(client, job_id, rng))
    took: List[bool] = []
    loop.call_later(rng.uniform(0, _LATEST), lambda: took.append(task.cancel()))
    await asyncio.wait([task])
    assert task.cancelled() == any(took)
    return [] if task.cancelled() else [task.result()]


async def _cancelled_by_scope(client: AsyncClient, job_id: str, rng: random.Random) -> List[str]:
    """Cancel a submit with a scope around it; the task goes on behind the scope."""
    submitted: List[str] = []
    with anyio.move_on_after(rng.uniform(0, _LATEST)) as scope:
        submitted.append(await _submit(client, job_id, rng))
    assert submitted or scope.cancel_called
    await asyncio.sleep(0)
    return submitted


@pytest.mark.parametrize("lost", [0.0, 0.1], ids=["no fault", "lost replies"])
async def test_cancelled_at_random_moments(
    redis_server: RedisServer, proxy: FaultProxy, rng: random.Random, lost: float
) -> None:
    """1,000 submits, cancelled within 40 ms, are queued once or not at all; those that end are
    queued; every task that was cancelled ends cancelled, and every reply is the right one."""
    submitted: List[str] = []

    async def work(client: AsyncClient, worker: int) -> None:
        for turn in range(50):
            how = rng.choice([_cancelled_natively, _cancelled_by_scope])
            submitted.extend(await how(client, f"job-{worker}-{turn}", rng))

    async with AsyncClient(proxy.url(), submit_timeout=20, read_timeout=20) as client:
        await client.submit_job("work", "the payload of the known job", job_id="known")
        proxy.drip(0.0005)  # a reply takes about as long as the latest cancellation
        proxy.on(_some_of(b"EXEC", lost, rng), LoseReply(), times=None)
        await asyncio.gather(*[work(client, worker) for worker in range(20)])
        proxy.drip(None)
        proxy.clear()
        last = await client.submit_job("work", None)
        await eventually(lambda: client.stats().open_requests == 0, "no open request")
        assert proxy.connections_open == 1
    found = Inventory(redis_server)
    assert set(found.queued.values()) == {1}
    assert found.documents == set(found.queued)
    assert found.documents >= {"known", last, *submitted}
    assert len(submitted) < 1000


async def test_cancelled_while_the_outcome_is_unknown(
    redis_server: RedisServer, proxy: FaultProxy
) -> None:
    """A client goes on, and lets the loop go on, when nobody waits for a lost reply any more."""
    async with AsyncClient(proxy.url()) as client:
        lost = proxy.on(_some_of(b"EXEC", 1, random.Random(0)), LoseReply())
        task = asyncio.ensure_future(client.submit_job("work", None, job_id="abandoned"))
        proxy.refuse()
        await lost.wait_async()
        await eventually(lambda: not client.stats().connected, "the link to be dropped")
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await eventually(lambda: client.stats().open_requests == 0, "no open request")
        proxy.accept()
        assert await client.submit_job("work", None, job_id="next") == "next"
    found = Inventory(redis_server)
    assert found.queued == {"abandoned": 1, "next": 1}
