"""A client of a primary that Sentinel manages finds the primary, wherever it is now."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import contextmanager
from typing import Iterator, Optional, Tuple

import pytest

from bananas import AsyncClient
from bananas import exceptions as exc
from tests.support import RedisServer, SentinelServer
from tests.support.ports import HOST, free_port

from .inventory import queued_once
from .submits import WAYS
from .timing import TOLERANCE, MachineLag, eventually
from .worker import finish

pytestmark = pytest.mark.asyncio

PASSWORD = "hunter2-and-more"


@contextmanager
def _deployment() -> Iterator[Tuple[RedisServer, RedisServer, SentinelServer]]:
    """A primary, its replica, and a Sentinel that knows both."""
    with RedisServer(password=PASSWORD) as primary:
        with RedisServer(password=PASSWORD, replica_of=primary) as replica:
            with SentinelServer(primary) as sentinel:
                sentinel.wait_for_replicas()
                yield primary, replica, sentinel


def _client(
    *ports: int,
    name: str = "mymaster",
    connect_timeout: float = 20,
    password: Optional[str] = PASSWORD,
) -> AsyncClient:
    return AsyncClient.from_sentinel(
        [(HOST, port) for port in ports],
        name,
        "redis://" if password is None else f"redis://:{password}@ignored:1",
        connect_timeout=connect_timeout,
        submit_timeout=30,
        ping_interval=0.5,
    )


async def test_failover() -> None:
    """Submits and waits under way when the primary ends, or freezes, end on the new one."""
    with _deployment() as first, _deployment() as second:
        await asyncio.gather(_fail_over(*first, "stop", 20), _fail_over(*second, "pause", 2))


async def _fail_over(
    primary: RedisServer,
    replica: RedisServer,
    sentinel: SentinelServer,
    how: str,
    connect_timeout: float,
) -> None:
    async with _client(free_port(), sentinel.port, connect_timeout=connect_timeout) as client:
        await client.submit_job("work", None, job_id="before")
        with primary.connect() as redis:  # WAIT waits for the last write of its own connection
            redis.command("SET", "later", 1)
            redis.command("DEL", "later")
            assert redis.command("WAIT", 1, 10_000) == 1
        wait = asyncio.ensure_future(client.wait_for_result("before", 40))
        await eventually(lambda: _subscribed(primary), "a subscription")
        await asyncio.get_running_loop().run_in_executor(None, getattr(primary, how))
        submits = [asyncio.ensure_future(submit(client, None)) for submit in WAYS.values()]
        ids = [job_id for ids in await asyncio.gather(*submits) for job_id in ids]
        assert sentinel.primary_port() == replica.port
        await eventually(lambda: _subscribed(replica), "a new subscription")
        with replica.connect() as redis:
            finish(redis, ["before"])
        assert (await wait).get_result() == "before"
        assert client.stats().reconnects >= 2
        queued_once(replica, "before", *ids)


def _subscribed(server: RedisServer) -> bool:
    return bool(server.command("PUBSUB", "CHANNELS", "bananas:*"))


async def test_sentinel_that_is_not_there() -> None:
    """Without any Sentinel a client says so in one attempt, in a line that names them all."""
    first, second = free_port(), free_port()
    client = _client(first, second)
    try:
        with pytest.raises(exc.ConnectionError, match="no sentinel names a primary") as caught:
            await client.connect()
    finally:
        await client.close()
    assert f"{HOST}:{first}" in str(caught.value)
    assert f"{HOST}:{second}" in str(caught.value)
    assert PASSWORD not in f"{caught.value} {client!r}"


async def test_sentinel_that_says_nothing() -> None:
    """A sentinel that accepts and stays silent leaves the next one its share of the time."""
    with RedisServer() as primary, SentinelServer(primary) as sentinel, _mute() as mute:
        clients = [_client(mute, sentinel.port, connect_timeout=6, password=None) for _ in range(2)]
        try:
            # One connects first; the submit of the other has that same time for all of it.
            _, job_id = await asyncio.gather(
                clients[0].connect(), clients[1].submit_job("work", None)
            )
        finally:
            await asyncio.gather(*(client.close() for client in clients))
        queued_once(primary, job_id)


async def test_sentinels_that_say_nothing() -> None:
    """Sentinels that are all silent are named, within the time for one connection."""
    with _mute() as first, _mute() as second:
        client = _client(first, second, connect_timeout=0.6)
        try:
            with MachineLag() as lag:
                started = time.monotonic()
                with pytest.raises(exc.ConnectionError, match="no sentinel names") as caught:
                    await client.connect()
                took = time.monotonic() - started
                assert took < 0.6 + TOLERANCE + lag.allowance
        finally:
            await client.close()
    for port in (first, second):
        assert f"{HOST}:{port}" in str(caught.value)


@contextmanager
def _mute() -> Iterator[int]:
    """The port of somebody who accepts connections and never says a word."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        sock.listen(16)
        yield sock.getsockname()[1]


async def test_sentinel_that_knows_no_such_primary() -> None:
    """A name that the sentinels do not know is named in the error."""
    with RedisServer() as primary, SentinelServer(primary) as sentinel:
        client = _client(sentinel.port, name="other")
        try:
            with pytest.raises(exc.ConnectionError, match="'other'"):
                await client.connect()
        finally:
            await client.close()


async def test_sentinel_that_names_a_replica() -> None:
    """A server that turns out to be no primary is not written to; the sentinels are asked again."""
    with _deployment() as (primary, replica, sentinel):
        async with _client(sentinel.port) as client:
            # As after a failover that this Sentinel has not heard of.
            primary.command("REPLICAOF", HOST, replica.port)
            primary.command("CLIENT", "KILL", "TYPE", "normal")
            submit = asyncio.ensure_future(client.submit_job("work", None))
            await eventually(lambda: client.stats().connected is False, "the link to be lost")
            assert not submit.done()
            primary.command("REPLICAOF", "NO", "ONE")
            job_id = await submit
            document = json.loads(primary.command("GET", f"bananas:job:{job_id}"))
            assert document["id"] == job_id
