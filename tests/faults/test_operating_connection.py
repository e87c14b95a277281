"""The connection of operating calls: no step gets another's reply, and each of them ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, AsyncIterator, List

import pytest

from bananas import AsyncClient
from bananas import exceptions as exc
from bananas._operating import OperatingConnection
from bananas._operating.connection import Leaves
from tests.support import (
    Cut,
    FaultProxy,
    GoSilent,
    HoldReply,
    LoseReply,
    RawClient,
    RedisServer,
    Rule,
    Signal,
    command,
)

from .timing import TOLERANCE, MachineLag, eventually

pytestmark = pytest.mark.asyncio


@pytest.fixture
async def client(proxy: FaultProxy) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(proxy.url(), connect_timeout=2, read_timeout=5) as client:
        yield client


def connection(client: AsyncClient) -> OperatingConnection:
    """Return the connection of a client's operating calls."""
    return client._operating.deployment.connection


async def echo(client: AsyncClient, text: bytes, *, again: bool = False) -> Any:
    """Run one step that has a reply of its own."""
    (reply,) = await connection(client).run([(b"ECHO", text)], again=again)
    return reply


async def struck(rule: Rule) -> None:
    """Wait until a fault has happened."""
    await rule.wait_async()


async def test_steps_take_turns(client: AsyncClient, proxy: FaultProxy) -> None:
    """One connection beside that of submits, opened by the first step, serves all steps."""
    opened = proxy.connections_opened
    texts = [b"%d" % number for number in range(50)]
    assert await asyncio.gather(*(echo(client, text) for text in texts)) == texts
    assert proxy.connections_opened == opened + 1


async def test_a_long_step_holds_up_no_submit(client: AsyncClient, proxy: FaultProxy) -> None:
    """A submit does not wait for the reply to an operating step."""
    release = Signal()
    rule = proxy.on(command(b"ECHO"), HoldReply(release))
    step = asyncio.ensure_future(echo(client, b"slow"))
    await struck(rule)
    await client.submit_job("work", None)
    assert not step.done()
    release.set()
    assert await step == b"slow"


@pytest.mark.parametrize("action", [Cut(), LoseReply()], ids=["cut", "reply lost"])
async def test_a_lost_reply(client: AsyncClient, proxy: FaultProxy, action: Any) -> None:
    """A step that may be repeated is, once; any other raises, and says that it was sent."""
    for first in (b"new connection", b"used connection"):
        proxy.on(command(b"ECHO"), action)
        with pytest.raises(exc.ConnectionError, match="^the connection to Redis was lost") as lost:
            await echo(client, first)
        assert lost.value.sent
        assert await echo(client, b"next") == b"next"
        proxy.on(command(b"ECHO"), action)
        assert await echo(client, first, again=True) == first
    proxy.on(command(b"ECHO"), action, times=2)
    with pytest.raises(exc.ConnectionError) as lost:
        await echo(client, b"lost twice", again=True)
    assert lost.value.sent


async def test_a_connection_that_was_closed_meanwhile(
    client: AsyncClient, proxy: FaultProxy, redis_server: RedisServer
) -> None:
    """The server's end of an idle connection costs no step, repeatable or not."""
    for again in (False, True):
        assert await echo(client, b"1") == b"1"
        link = connection(client)._link
        assert link is not None
        redis_server.command("CLIENT", "KILL", "ID", link.client_id)
        await eventually(lambda link=link: link.is_lost, "the end of the connection")
        assert await echo(client, b"2", again=again) == b"2"


async def test_silence(proxy: FaultProxy) -> None:
    """A reply that does not come ends in a time-out, and is never another step's."""
    async with AsyncClient(proxy.url(), read_timeout=0.5) as client:
        loop = asyncio.get_running_loop()
        assert await echo(client, b"1") == b"1"
        proxy.on(command(b"ECHO"), GoSilent())
        with MachineLag() as lag:
            start = loop.time()
            with pytest.raises(exc.TimeoutError, match=r"^Redis did not answer within 0\.5 s$"):
                await echo(client, b"silent")
            assert loop.time() - start < 0.5 + TOLERANCE + lag.allowance
        assert await echo(client, b"2") == b"2"


async def test_a_dead_connection_and_a_step_that_may_be_repeated(
    client: AsyncClient, proxy: FaultProxy
) -> None:
    """There is time left for a new connection, where an old one turns out to be dead."""
    assert await echo(client, b"1") == b"1"
    proxy.on(command(b"ECHO"), GoSilent())
    assert await echo(client, b"2", again=True) == b"2"


async def test_an_idle_connection_is_tried_before_a_write(
    client: AsyncClient, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that may not be repeated is not sent where nobody has answered for a while."""
    assert await echo(client, b"1") == b"1"
    monkeypatch.setattr("bananas._operating.connection._IDLE", -1.0)
    silent = proxy.on(command(b"PING"), GoSilent())
    assert await echo(client, b"2") == b"2"
    assert silent.fired == 1


async def test_cancellation(client: AsyncClient, proxy: FaultProxy) -> None:
    """A step that is cancelled in the middle leaves its late reply to nobody."""
    release = Signal()
    rule = proxy.on(command(b"ECHO"), HoldReply(release))
    step = asyncio.ensure_future(echo(client, b"cancelled"))
    await struck(rule)
    behind = [asyncio.ensure_future(echo(client, b"%d" % number)) for number in range(5)]
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    release.set()
    assert await asyncio.gather(*behind) == [b"%d" % number for number in range(5)]


async def test_cancellation_during_the_handshake(client: AsyncClient, proxy: FaultProxy) -> None:
    """An attempt to connect ends with the step that asked for it."""
    proxy.mute()
    opened = proxy.connections_opened
    step = asyncio.ensure_future(echo(client, b"cancelled"))
    await proxy.wait_async(lambda: proxy.connections_opened > opened)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    proxy.resume()
    assert await echo(client, b"next") == b"next"
    assert [task for task in asyncio.all_tasks() if task.get_name() == "bananas operating"] == []


@pytest.mark.parametrize("where", ["reply", "handshake", "turn"])
async def test_close_in_the_middle(client: AsyncClient, proxy: FaultProxy, where: str) -> None:
    """The end of the client ends each step with an error that says so."""
    release = Signal()
    rule = proxy.on(command(b"ECHO" if where != "handshake" else b"HELLO"), HoldReply(release))
    steps = [asyncio.ensure_future(echo(client, b"1"))]
    await struck(rule)
    if where == "turn":
        steps.append(asyncio.ensure_future(echo(client, b"2")))
        await asyncio.sleep(0)
    await client.close()
    outcomes: List[Any] = await asyncio.gather(*steps, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {exc.ClientClosedError}
    with pytest.raises(exc.ClientClosedError):
        await echo(client, b"late")
    assert [task for task in asyncio.all_tasks() if task.get_name() == "bananas operating"] == []


async def test_no_connection_to_be_had(client: AsyncClient, proxy: FaultProxy) -> None:
    """A step that can't be sent waits for a connection, and says in the end that none is there."""
    assert await echo(client, b"1") == b"1"
    await _lose(client, proxy)
    step = asyncio.ensure_future(echo(client, b"2"))
    await asyncio.sleep(0)
    proxy.accept()
    assert await step == b"2"
    await _lose(client, proxy)
    with pytest.raises(exc.ConnectionError, match="can't reach Redis") as lost:
        await echo(client, b"3")
    assert not lost.value.sent


async def _lose(client: AsyncClient, proxy: FaultProxy) -> None:
    """Have the connection end, and no other be made."""
    link = connection(client)._link
    assert link is not None
    proxy.refuse()
    proxy.cut_all()
    await eventually(lambda: link.is_lost, "the end of the connection")


async def test_a_replica(own_server: RedisServer) -> None:
    """Nothing is asked of a replica; one that is promoted is used."""
    async with AsyncClient(own_server.url(), connect_timeout=1.5) as client:
        own_server.command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(exc.ConnectionError, match="is a replica: connect to the primary"):
            await echo(client, b"1")
        own_server.command("REPLICAOF", "NO", "ONE")
        assert await echo(client, b"2") == b"2"
        own_server.command("REPLICAOF", "127.0.0.1", "1")
        (refused,) = await connection(client).run([(b"SET", b"key", b"1")])
        assert refused.code == "READONLY"
        with pytest.raises(exc.ConnectionError, match="is a replica"):
            await echo(client, b"3")


async def test_a_held_connection(
    client: AsyncClient, proxy: FaultProxy, redis_server: RedisServer
) -> None:
    """What is watched is watched to the end, and nobody else's step comes in between."""
    order: List[bytes] = []

    async def other() -> None:
        order.append(await echo(client, b"other"))

    async with connection(client).exclusive() as held:
        await held.run([(b"WATCH", b"key")])
        waiting = asyncio.ensure_future(other())
        redis_server.command("SET", "key", "changed")
        replies = await held.run([(b"MULTI",), (b"SET", b"key", b"ours"), (b"EXEC",)])
        assert replies[-1] is None
        order.append(b"held")
    await waiting
    assert order == [b"held", b"other"]
    # What is left watched by an early exit spoils no later transaction.
    async with connection(client).exclusive() as held:
        await held.run([(b"WATCH", b"key")])
    redis_server.command("SET", "key", "again")
    replies = await connection(client).run([(b"MULTI",), (b"SET", b"key", b"x"), (b"EXEC",)])
    assert replies[-1] == [b"OK"]
    with contextlib.suppress(KeyError):
        async with connection(client).exclusive() as held:
            await held.run([(b"WATCH", b"key")])
            raise KeyError
    assert await echo(client, b"after") == b"after"


async def test_a_held_connection_is_never_replaced(client: AsyncClient, proxy: FaultProxy) -> None:
    """A watch that was lost with its connection can't let a transaction through."""
    async with connection(client).exclusive() as held:
        await held.run([(b"WATCH", b"key")])
        link = connection(client)._link
        assert link is not None
        proxy.cut_all(seen=b"WATCH")
        await eventually(lambda: link.is_lost, "the end of the connection")
        with pytest.raises(exc.ConnectionError):
            await held.run([(b"MULTI",), (b"SET", b"key", b"ours"), (b"EXEC",)])
        held.leaves = Leaves.NOTHING
    assert await echo(client, b"after") == b"after"


async def test_another_loop(redis_server: RedisServer) -> None:
    """A client's operating calls belong to its loop, as all its calls do."""
    client = AsyncClient(redis_server.url())
    assert await echo(client, b"1") == b"1"
    loop = asyncio.get_running_loop()

    def elsewhere() -> str:
        with pytest.raises(RuntimeError, match="belongs to another event loop") as caught:
            asyncio.run(echo(client, b"2"))
        return str(caught.value)

    assert await loop.run_in_executor(None, elsewhere)
    assert await echo(client, b"3") == b"3"
    await client.close()


@pytest.mark.asyncio_loop
async def test_close_in_another_loop(redis_server: RedisServer) -> None:
    """A client whose loop has ended is closed in the next one, its connections included."""

    def elsewhere() -> AsyncClient:
        client = AsyncClient(redis_server.url())
        assert asyncio.run(echo(client, b"1")) == b"1"
        return client

    client = await asyncio.get_running_loop().run_in_executor(None, elsewhere)
    await client.close()
    with redis_server.connect() as redis:
        await eventually(lambda: _clients(redis) == 1, "the end of the connections")


def _clients(redis: RawClient) -> int:
    listed: bytes = redis.command("CLIENT", "LIST", "TYPE", "normal")
    return len(listed.splitlines())
