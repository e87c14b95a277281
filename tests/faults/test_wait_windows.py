"""A result is found at once in whichever moment of a wait it is stored."""

from __future__ import annotations

import asyncio
from typing import AsyncIterator, Iterator

import pytest

from bananas import AsyncClient
from bananas import exceptions as exc
from bananas._waits import listener
from tests.support import FaultProxy, Hold, HoldReply, RawClient, RedisServer, Signal, command

from .timing import TOLERANCE, MachineLag, eventually, first_looks_over
from .worker import channel, finish


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[RawClient]:
    with redis_server.connect() as redis:
        yield redis


@pytest.fixture
async def client(proxy: FaultProxy) -> AsyncIterator[AsyncClient]:
    """A client that can't rely on its periodic reads."""
    async with AsyncClient(proxy.url(), safety_interval=3600) as client:
        yield client


def _check(client: AsyncClient, found: object) -> None:
    assert found == "job"
    stats = client.stats()
    assert (stats.results_by_notification, stats.results_by_safety_read) == (1, 0)


async def test_stored_before_the_wait(client: AsyncClient, redis: RawClient) -> None:
    """A result that is there already is returned at once."""
    finish(redis, ["job"])
    _check(client, (await client.wait_for_result("job")).get_result())


async def test_stored_before_the_subscription(
    client: AsyncClient, proxy: FaultProxy, redis: RawClient
) -> None:
    """What is stored and published while SUBSCRIBE is on its way is found by its confirmation."""
    release = Signal()
    hold = proxy.on(command(b"SUBSCRIBE"), Hold(release))
    wait = asyncio.ensure_future(client.wait_for_result("job"))
    await hold.wait_async()
    await first_looks_over(client, proxy, 1)
    finish(redis, ["job"])
    assert not wait.done()
    release.set()
    _check(client, (await wait).get_result())


async def test_stored_before_the_confirmation(
    client: AsyncClient, proxy: FaultProxy, redis: RawClient
) -> None:
    """What is stored after SUBSCRIBE took effect, before the client knows, is returned at once."""
    release = Signal()
    hold = proxy.on(command(b"SUBSCRIBE"), HoldReply(release))
    wait = asyncio.ensure_future(client.wait_for_result("job"))
    await hold.wait_async()
    await first_looks_over(client, proxy, 1)
    finish(redis, ["job"])
    release.set()
    _check(client, (await wait).get_result())


async def test_stored_between_two_waits(
    client: AsyncClient, proxy: FaultProxy, redis: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wait that takes over a subscription which is about to end reads the result at once."""
    monkeypatch.setattr(listener, "_LINGER", 3600)
    wait = asyncio.ensure_future(client.wait_for_result("job"))
    await first_looks_over(client, proxy, 1)
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    again = proxy.on(command(b"SUBSCRIBE"), Hold(Signal()))
    finish(redis, ["job"])
    _check(client, (await client.wait_for_result("job")).get_result())
    assert again.fired == 0


async def test_what_is_let_go_of_is_unsubscribed_with_the_next_subscription(
    client: AsyncClient, redis: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UNSUBSCRIBE takes its time, and others with it."""
    monkeypatch.setattr(listener, "_LINGER", 3600)
    finish(redis, ["first", "second"])
    await client.wait_for_result("first")
    await client.wait_for_result("second")
    third = asyncio.ensure_future(client.wait_for_result("third"))

    def subscribed() -> object:
        return redis.command("PUBSUB", "CHANNELS", channel("*"))

    await eventually(lambda: subscribed() == [channel("third").encode()], "one channel is left")
    finish(redis, ["third"])
    assert (await third).get_result() == "third"


async def test_stored_during_a_reconnect(
    client: AsyncClient, proxy: FaultProxy, redis: RawClient
) -> None:
    """What is published while there is no listener is found as soon as there is one again."""
    wait = asyncio.ensure_future(client.wait_for_result("job"))
    await first_looks_over(client, proxy, 1)
    proxy.refuse()
    proxy.cut_all(seen=b"SUBSCRIBE")
    await eventually(lambda: not client.stats().listening, "the listener to notice")
    finish(redis, ["job"])
    proxy.accept()
    _check(client, (await wait).get_result())
    assert client.stats().reconnects == 1


async def test_stored_before_the_new_subscription(
    client: AsyncClient, proxy: FaultProxy, redis: RawClient
) -> None:
    """What is published between a reconnect and the new SUBSCRIBE is found by its confirmation."""
    wait = asyncio.ensure_future(client.wait_for_result("job"))
    await first_looks_over(client, proxy, 1)
    release = Signal()
    hold = proxy.on(command(b"SUBSCRIBE"), Hold(release))
    proxy.cut_all(seen=b"SUBSCRIBE")
    await hold.wait_async()
    finish(redis, ["job"])
    release.set()
    _check(client, (await wait).get_result())


async def test_stored_while_the_result_is_being_read(
    client: AsyncClient, proxy: FaultProxy, redis: RawClient
) -> None:
    """What is published between a read and its reply, which says nothing, is read again."""
    release = Signal()
    hold = proxy.on(command(b"HGETALL"), HoldReply(release))
    wait = asyncio.ensure_future(client.wait_for_result("job"))
    await hold.wait_async()
    finish(redis, ["job"])
    release.set()
    assert (await wait).get_result() == "job"


async def test_stored_before_the_submit_is_acknowledged(
    client: AsyncClient, proxy: FaultProxy, redis: RawClient
) -> None:
    """A worker that is faster than the reply to the submit is not missed."""
    release = Signal()
    hold = proxy.on(command(b"EXEC"), HoldReply(release))
    call = asyncio.ensure_future(client.submit_and_wait("work", None, job_id="job"))
    await hold.wait_async()
    finish(redis, ["job"])
    release.set()
    assert (await call).get_result() == "job"


async def test_stored_and_never_published(proxy: FaultProxy, redis: RawClient) -> None:
    """The periodic read finds a result that nobody was told of."""
    async with AsyncClient(proxy.url(), safety_interval=0.2) as client:
        wait = asyncio.ensure_future(client.wait_for_result("job"))
        await first_looks_over(client, proxy, 1)
        finish(redis, ["job"], publish=False)
        assert (await wait).get_result() == "job"
        stats = client.stats()
        assert (stats.results_by_notification, stats.results_by_safety_read) == (0, 1)


async def test_published_and_never_stored(client: AsyncClient, redis: RawClient) -> None:
    """Notifications without a result change nothing: the wait goes on to its deadline."""
    loop = asyncio.get_running_loop()
    await client.submit_job("work", None, job_id="job")
    with MachineLag() as lag:
        start = loop.time()
        wait = asyncio.ensure_future(client.wait_for_result("job", 1.0))
        await eventually(lambda: redis.command("PUBLISH", channel("job"), "ready"), "a listener")
        for _ in range(100):
            redis.command("PUBLISH", channel("job"), "ready")
        with pytest.raises(exc.TimeoutError) as caught:
            await wait
        assert 1.0 <= loop.time() - start <= 1.0 + TOLERANCE + lag.allowance
    assert caught.value.whereabouts == "queued"
