"""Requeuing dead letters is killed, cancelled and cut off, and loses and doubles nothing."""

from __future__ import annotations

import asyncio
import random
from typing import Any, List, Tuple

import pytest

from bananas import AsyncClient
from bananas import exceptions as exc
from tests.support import Cut, FaultProxy, LoseReply, RedisServer, command

from .letters import DEAD, QUEUE, bury
from .running import Program

pytestmark = pytest.mark.asyncio


def check(server: RedisServer, ids: List[str], others: List[bytes]) -> None:
    """Check that all letters are queued once, in their order, and that only others are left."""
    assert server.command("LRANGE", QUEUE, 0, -1)[::-1] == [one.encode() for one in ids]
    documents = server.command("MGET", *(f"bananas:job:{one}" for one in ids))
    assert all(b'"status":"pending"' in document for document in documents)
    assert server.command("LRANGE", DEAD, 0, -1)[::-1] == others


def without_scripts(server: RedisServer) -> Tuple[str, str]:
    """Make a user who may not run scripts; returns name and password."""
    server.command("ACL", "SETUSER", "limited", "on", ">secret", "~*", "&*", "+@all", "-eval")
    return "limited", "secret"


async def test_killed_at_any_moment(redis_server: RedisServer, rng: random.Random) -> None:
    """The same command again goes on, and so do two operators at once."""
    ids = [f"job{number}" for number in range(1200)]
    others = [f"other{number}" for number in range(100)]
    for at in range(0, 1200, 12):
        bury(redis_server, ids[at : at + 12])
        bury(redis_server, [others[at // 12]], "other")
    kills = 4
    url, seed = redis_server.url(), str(rng.random())

    with Program("requeueing", url, str(redis_server.port), seed, str(kills)) as program:
        gone = [int(program.line()) for _ in range(kills)]
        program.end_well()
    assert gone == sorted(gone)
    async with AsyncClient(url) as one, AsyncClient(url) as two:
        found = await asyncio.gather(*(x.dead_letters.requeue(name="work") for x in (one, two)))
    assert gone[-1] + sum(counts.done for counts in found) == 1200
    queued = redis_server.command("LRANGE", QUEUE, 0, -1)
    assert sorted(queued) == sorted(one.encode() for one in ids)
    new = [f"new{number}" for number in range(kills)]
    left = redis_server.command("LRANGE", DEAD, 0, -1)[::-1]
    assert left == [one.encode() for one in [*others, *new]]
    documents = redis_server.command("MGET", *(f"bananas:job:{one}" for one in ids))
    assert all(b'"status":"pending"' in document for document in documents)


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "transaction"])
async def test_cancelled_at_any_moment(
    redis_server: RedisServer, rng: random.Random, scripts: bool
) -> None:
    """A page has gone or has not, and the next call goes on."""
    ids = [f"job{number}" for number in range(1500)]
    bury(redis_server, ids)
    url = redis_server.url() if scripts else redis_server.url(0, *without_scripts(redis_server))
    async with AsyncClient(url) as client:
        for _ in range(40):
            running = asyncio.ensure_future(client.dead_letters.requeue(all=True, limit=20))
            for _ in range(rng.randint(0, 60)):
                await asyncio.sleep(0)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await client.dead_letters.requeue(all=True)
    check(redis_server, ids, [])


@pytest.mark.parametrize(("verb", "skip"), [(b"EVAL", 2), (b"EXEC", 1)])
@pytest.mark.parametrize("fault", [Cut(), LoseReply()], ids=["request", "reply"])
async def test_a_step_that_is_lost(
    redis_server: RedisServer, proxy: FaultProxy, verb: bytes, skip: int, fault: Any
) -> None:
    """The error says that a reply was lost; the page has gone or not, and the next call goes on."""
    ids = [f"job{number}" for number in range(500)]
    bury(redis_server, ids)
    limited = without_scripts(redis_server) if verb == b"EXEC" else ()
    async with AsyncClient(proxy.url(0, *limited)) as client:
        proxy.on(command(verb), fault, skip=skip)
        with pytest.raises((exc.ConnectionError, exc.TimeoutError)):
            await client.dead_letters.requeue(all=True)
        await client.dead_letters.requeue(all=True)
    check(redis_server, ids, [])
