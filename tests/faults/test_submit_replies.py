"""A submit whose reply is lost is queued once, and its caller is told what is known."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Awaitable, Callable, List, Sequence

import pytest

from bananas import AsyncClient
from bananas import exceptions as exc
from tests.support import (
    FaultProxy,
    Hold,
    LoseReply,
    LoseReplySilently,
    RedisServer,
    Signal,
    any_command,
    command,
)
from tests.support.faults import Action, Match

from .inventory import Inventory, nothing_left, queued_once
from .submits import WAYS, Way
from .timing import TOLERANCE, MachineLag, eventually

pytestmark = pytest.mark.asyncio

Scenario = Callable[[FaultProxy, Way], Awaitable[List[str]]]

losses = pytest.mark.parametrize(
    "loss",
    [LoseReply(), LoseReply(reset=True), LoseReplySilently()],
    ids=["cut", "reset", "silence"],
)


async def _each_way(server: RedisServer, scenario: Scenario) -> List[str]:
    """Run a scenario for all ways to submit at once, each with a proxy of its own, and return the
    ids that it returns."""
    with ExitStack() as stack:
        proxies = [stack.enter_context(FaultProxy(server)) for _ in WAYS]
        found = await asyncio.gather(*map(scenario, proxies, WAYS.values()))
    return [job_id for ids in found for job_id in ids]


def _from_exec_on() -> Match:
    """Match the first EXEC, and every command after it on any connection."""
    seen: List[bool] = []

    def match(words: Sequence[bytes]) -> bool:
        if words[0].upper() == b"EXEC":
            seen.append(True)
        return bool(seen)

    return match


@losses
async def test_one_reply_lost(redis_server: RedisServer, loss: Action) -> None:
    """A submit whose reply is lost once succeeds, and is queued once."""

    async def scenario(proxy: FaultProxy, submit: Way) -> List[str]:
        async with AsyncClient(proxy.url(), submit_timeout=3) as client:
            lost = proxy.on(command(b"EXEC"), loss)
            ids = await submit(client, None)
            assert (lost.fired, client.stats().reconnects) == (1, 1)
            return ids

    queued_once(redis_server, *await _each_way(redis_server, scenario))


@losses
async def test_every_reply_lost(redis_server: RedisServer, loss: Action) -> None:
    """A submit of which no reply ever comes is unknown at its deadline, and safe to repeat."""
    timeout = 0.7

    async def scenario(proxy: FaultProxy, submit: Way) -> List[str]:
        async with AsyncClient(proxy.url(), submit_timeout=timeout) as client:
            proxy.on(_from_exec_on(), loss, times=None)
            start = asyncio.get_running_loop().time()
            with pytest.raises(exc.OutcomeUnknownError) as caught:
                await submit(client, None)
            took = asyncio.get_running_loop().time() - start
            assert took <= timeout + TOLERANCE + lag.allowance
        error = caught.value
        assert error.job_id == error.job_ids[0]
        proxy.clear()
        async with AsyncClient(proxy.url()) as client:
            for job_id in error.job_ids:
                assert await submit(client, job_id) == [job_id]
        return list(error.job_ids)

    with MachineLag() as lag:
        unknown = await _each_way(redis_server, scenario)
    documents = Inventory(redis_server).documents
    assert documents >= set(unknown)
    queued_once(redis_server, *documents)


async def test_lost_before_anything_was_queued(
    redis_server: RedisServer, proxy: FaultProxy
) -> None:
    """A submit that got no further than looking whether its id exists knows what it did."""
    async with AsyncClient(proxy.url(), submit_timeout=0.5) as client:
        proxy.on(any_command(), LoseReply(), times=None)
        with pytest.raises(exc.ConnectionError, match="not sent") as caught:
            await client.submit_job("work", None, job_id="order-42")
    assert not isinstance(caught.value, exc.OutcomeUnknownError)
    nothing_left(redis_server)


async def test_request_held_back_until_after_its_retry(redis_server: RedisServer) -> None:
    """A request that arrives after it was sent again applies nothing: its connection is dead."""

    async def scenario(proxy: FaultProxy, submit: Way) -> List[str]:
        release = Signal()
        async with AsyncClient(proxy.url(), submit_timeout=3) as client:
            held = proxy.on(command(b"MULTI"), Hold(release))
            ids = await submit(client, None)
            assert (held.fired, client.stats().reconnects) == (1, 1)
            release.set()
            assert await submit(client, ids[0]) == [ids[0]]
            return ids

    queued_once(redis_server, *await _each_way(redis_server, scenario))


@pytest.mark.parametrize("again", ["x" * 2_000_000, "small"], ids=["large", "small"])
async def test_held_back_request_whose_job_is_submitted_again(
    redis_server: RedisServer, again: str
) -> None:
    """Whatever connection the second submit belongs on, the first one is ended before it."""
    release = Signal()
    first = "small" if len(again) > 1_000_000 else "x" * 2_000_000
    with FaultProxy(redis_server) as proxy:
        async with AsyncClient(proxy.url(), submit_timeout=2, connect_timeout=1) as client:
            await client.submit_job("work", "x" * 2_000_000, job_id="before")
            held = proxy.on(command(b"MULTI"), Hold(release))
            submit = asyncio.ensure_future(client.submit_job("work", first))
            await held.wait_async()
            proxy.refuse()
            with pytest.raises(exc.OutcomeUnknownError) as caught:
                await submit
            proxy.accept()
            job_id = str(caught.value.job_id)
            assert await client.submit_job("work", again, job_id=job_id) == job_id
            release.set()
            await client.submit_job("work", None, job_id="after")
            job = await client.get_job(job_id)
            assert job is not None
            assert job.payload == again
    await asyncio.get_running_loop().run_in_executor(None, proxy.stop)
    queued_once(redis_server, "before", job_id, "after")


async def test_held_back_request_of_a_user_who_may_not_kill(own_server: RedisServer) -> None:
    """Without the right to end the old connection nothing is sent again: the first request may
    still arrive, as it does here, and is then queued once."""
    rules = ["~*", "&*", "+@all", "-client", "+client|id"]  # 6.2 can't take KILL alone away
    own_server.command("ACL", "SETUSER", "bob", "on", ">pw", *rules)
    release = Signal()

    async def scenario(proxy: FaultProxy, submit: Way) -> List[str]:
        async with AsyncClient(proxy.url(0, "bob", "pw"), submit_timeout=2) as client:
            proxy.on(command(b"MULTI"), Hold(release))
            with pytest.raises(exc.OutcomeUnknownError) as caught:
                await submit(client, None)
            ids = set(caught.value.job_ids)
            assert not ids & Inventory(own_server).documents
            waiting.append(submit)
            if len(waiting) == len(WAYS):
                release.set()
            await eventually(lambda: ids <= Inventory(own_server).documents, "the held request")
            for job_id in ids:
                assert await submit(client, job_id) == [job_id]
            return list(ids)

    waiting: List[Way] = []
    unknown = await _each_way(own_server, scenario)
    documents = Inventory(own_server).documents
    assert documents >= set(unknown)
    queued_once(own_server, *documents)


async def test_request_that_a_frozen_server_reads_late(redis_server: RedisServer) -> None:
    """A request that waited in the server's own socket until its caller gave up is queued once."""
    loop = asyncio.get_running_loop()
    ids: List[str] = []
    async with AsyncClient(redis_server.url(), submit_timeout=2) as client:
        for _ in range(2):
            redis_server.pause()
            thawing = loop.call_later(1, redis_server.resume)
            ids.append(await client.submit_job("work", None))
            assert thawing.when() <= loop.time()
        assert client.stats().reconnects == 2
    queued_once(redis_server, *ids)
