"""A submit whose connection is cut, wherever that is, is queued once, or its caller is told."""

from __future__ import annotations

import asyncio
import random
from typing import Awaitable, Callable, Iterable, List

import pytest

from bananas import AsyncClient
from bananas import exceptions as exc
from tests.support import Cut, CutAfterBytes, CutReply, FaultProxy, LoseReply, RedisServer, command
from tests.support.faults import Action

from .inventory import nothing_left, queued_once
from .submits import CUTS, WAYS, Way

pytestmark = pytest.mark.asyncio

Run = Callable[[FaultProxy, AsyncClient, int], Awaitable[List[str]]]

every_way = pytest.mark.parametrize("submit", WAYS.values(), ids=WAYS.keys())

_AT_ONCE = 8


async def _all_queued_once(server: RedisServer, offsets: Iterable[int], run: Run) -> None:
    """Submit once for each offset, several at a time, each with a proxy and a client of its own,
    and check what has become of all of them."""
    left = iter(offsets)
    ids: List[str] = []

    async def work() -> None:
        with FaultProxy(server) as proxy:
            async with AsyncClient(proxy.url()) as client:
                for offset in left:
                    ids.extend(await run(proxy, client, offset))

    await asyncio.gather(*[work() for _ in range(_AT_ONCE)])
    queued_once(server, *ids)


async def _size(server: RedisServer, submit: Way, *, from_hello_on: bool = False) -> int:
    """Return how many bytes a submit sends, on a connection that there is or on a new one."""
    with FaultProxy(server) as proxy:
        async with AsyncClient(proxy.url()) as client:
            if from_hello_on:
                proxy.on(command(b"EXEC"), Cut(before=True))
            before = proxy.bytes_forwarded
            await submit(client, None)
            sent = proxy.bytes_forwarded - before
    server.command("FLUSHALL")
    return sent


@every_way
@pytest.mark.parametrize(("first", "action"), CUTS.values(), ids=CUTS.keys())
async def test_cut(
    redis_server: RedisServer, proxy: FaultProxy, submit: Way, first: bytes, action: Action
) -> None:
    """A submit that is cut off at an odd place succeeds, and is queued once."""
    async with AsyncClient(proxy.url()) as client:
        cut = proxy.on(command(first), action)
        ids = await submit(client, None)
        assert cut.fired == 1
    queued_once(redis_server, *ids)


async def test_cut_on_the_server_side_only(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """A submit on a connection that the server lost, and the client did not, succeeds."""
    async with AsyncClient(proxy.url(), submit_timeout=2) as client:
        proxy.on(command(b"EXEC"), Cut(side="server"))
        queued_once(redis_server, await client.submit_job("work", None))


@pytest.mark.parametrize("name", ["single", "idempotent", "batch"])
async def test_cut_at_every_byte(redis_server: RedisServer, rng: random.Random, name: str) -> None:
    """A submit that is cut off after any number of bytes succeeds, and is queued once; of a
    batch, 350 places are taken."""
    submit = WAYS[name]

    async def run(proxy: FaultProxy, client: AsyncClient, offset: int) -> List[str]:
        cut = proxy.cut_stream(offset)
        ids = await submit(client, None)
        assert cut.fired == 1
        return ids

    offsets = range(await _size(redis_server, submit))
    assert len(offsets) > 300
    places = rng.sample(offsets, 350) if name == "batch" else offsets
    await _all_queued_once(redis_server, places, run)


@pytest.mark.parametrize("name", ["single", "batch"])
@pytest.mark.parametrize("lost", [LoseReply(), Cut(before=True)], ids=["applied", "not sent"])
async def test_cut_again_at_every_byte_of_finding_out(
    redis_server: RedisServer, rng: random.Random, name: str, lost: Action
) -> None:
    """A cut anywhere in the connection that is to find out what became of a submit, and to send
    it again, does no harm either."""
    submit = WAYS[name]

    async def run(proxy: FaultProxy, client: AsyncClient, offset: int) -> List[str]:
        proxy.on(command(b"EXEC"), lost)
        again = proxy.on(command(b"HELLO"), CutAfterBytes(offset))
        ids = await submit(client, None)
        again.disarm()
        return ids

    offsets = range(await _size(redis_server, submit, from_hello_on=True))
    assert len(offsets) > 300
    await _all_queued_once(redis_server, rng.sample(offsets, min(len(offsets), 150)), run)


@every_way
async def test_reply_cut_at_every_byte(redis_server: RedisServer, submit: Way) -> None:
    """A submit whose reply comes in part, or whole and then the end, succeeds."""

    async def run(proxy: FaultProxy, client: AsyncClient, count: int) -> List[str]:
        ids: List[str] = []
        for name in (b"MULTI", b"MSET", b"EXEC"):
            cut = proxy.on(command(name), CutReply(count))
            ids += await submit(client, None)
            await cut.wait_async()
        return ids

    await _all_queued_once(redis_server, range(16), run)


@pytest.mark.parametrize("name", ["single", "idempotent"])
async def test_cut_for_ever(redis_server: RedisServer, proxy: FaultProxy, name: str) -> None:
    """A client that is cut off at each attempt gives up at its deadline, and does not hammer."""
    async with AsyncClient(proxy.url(), submit_timeout=1) as client:
        before = proxy.connections_opened
        proxy.on(command(b"EXEC"), Cut(before=True), times=None)
        # The deadline may come before a cut, or after it was found out that nothing is queued.
        with pytest.raises((exc.OutcomeUnknownError, exc.ConnectionError)):
            await WAYS[name](client, None)
        assert proxy.connections_opened - before <= 20
    nothing_left(redis_server)
