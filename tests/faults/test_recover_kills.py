"""A recovery that is killed leaves every job in one place, and another one goes on."""

from __future__ import annotations

import random
from collections import Counter
from typing import Counter as Counts
from typing import List

import pytest

from bananas import AsyncClient
from tests.support import RedisServer

from .running import Program

pytestmark = pytest.mark.asyncio

_JOBS = 3000
_PLACES = ["bananas:queue:processing", "bananas:queue:normal", "bananas:queue:dead"]


def _fill(server: RedisServer) -> None:
    """Have killed workers leave jobs behind, every third with no attempt left."""
    documents: List[str] = []
    for number in range(_JOBS):
        documents += (
            f"bananas:job:{number}",
            f'{{"id":"{number}","name":"work","payload":1,"status":"pending",'
            f'"priority":"normal","attempts":0,"max_retries":{number % 3 + 1}}}',
        )
    server.command("MSET", *documents)
    server.command("LPUSH", _PLACES[0], *range(_JOBS))


def _places(server: RedisServer) -> Counts[bytes]:
    """Return how often each id stands anywhere."""
    return Counter(one for place in _PLACES for one in server.command("LRANGE", place, 0, -1))


async def test_killed_at_any_moment(redis_server: RedisServer, rng: random.Random) -> None:
    """At any moment nothing is lost, nothing stands in two places, and attempts count once."""
    _fill(redis_server)
    everything = Counter(b"%d" % number for number in range(_JOBS))
    with Program("recovering", redis_server.url()) as program:
        for _ in range(rng.randint(1, 5)):
            program.line()
        program.process.kill()
        program.end()
    assert _places(redis_server) == everything
    assert redis_server.command("LLEN", _PLACES[0]) < _JOBS
    async with AsyncClient(redis_server.url()) as client:
        await client.recover(0)
    assert _places(redis_server) == everything
    assert redis_server.command("LLEN", _PLACES[0]) == 0
    assert redis_server.command("LLEN", _PLACES[2]) == _JOBS / 3
    documents = redis_server.command("MGET", *(f"bananas:job:{n}" for n in range(_JOBS)))
    assert all(b'"attempts":1,' in document for document in documents)
