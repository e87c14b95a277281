"""Waits outlive whatever becomes of the connection that brings their notifications."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Dict, List, Sequence

import pytest

from bananas import AsyncClient, JobResult
from bananas import exceptions as exc
from bananas._redis import async_connection
from bananas._redis.protocol import Command
from tests.support import Cut, FaultProxy, RedisServer, command

from .timing import TOLERANCE, MachineLag, eventually, first_looks_over
from .worker import channel, finish

NEVER = 3600.0


def _ids(count: int) -> List[str]:
    return [f"job-{number}" for number in range(count)]


def _start(
    client: AsyncClient, job_ids: Sequence[str], timeout: float = 40.0
) -> Dict[str, asyncio.Task[JobResult[Any]]]:
    return {
        job_id: asyncio.ensure_future(client.wait_for_result(job_id, timeout)) for job_id in job_ids
    }


async def _check_own(waits: Dict[str, asyncio.Task[JobResult[Any]]]) -> None:
    """Every wait has ended with the result of its own job."""
    for job_id, wait in waits.items():
        result = await wait
        assert (result.job_id, result.get_result()) == (job_id, job_id)


def _subscribed(server: RedisServer) -> List[bytes]:
    return sorted(server.command("PUBSUB", "CHANNELS"))


async def _all_subscribed(server: RedisServer, job_ids: Sequence[str]) -> None:
    wanted = sorted(channel(job_id).encode() for job_id in job_ids)
    await eventually(lambda: _subscribed(server) == wanted, f"{len(wanted)} channels")


async def test_ten_kills_of_the_subscriber_under_500_waits(
    redis_server: RedisServer, proxy: FaultProxy
) -> None:
    """500 waits survive ten CLIENT KILL TYPE pubsub, results being stored in every gap."""
    job_ids = _ids(500)
    async with AsyncClient(proxy.url(), safety_interval=NEVER) as client:
        waits = _start(client, job_ids)
        await _all_subscribed(redis_server, job_ids)
        await first_looks_over(client, proxy, len(job_ids))
        with redis_server.connect() as redis:
            for turn in range(10):
                assert redis.command("CLIENT", "KILL", "TYPE", "pubsub") == 1
                finish(redis, job_ids[50 * turn : 50 * turn + 50])
                if turn < 9:
                    await _all_subscribed(redis_server, job_ids[50 * turn + 50 :])
        await _check_own(waits)
        stats = client.stats()
        assert (stats.waits, stats.results_by_safety_read) == (0, 0)
        assert stats.reconnects >= 9


async def test_restart_that_keeps_the_data() -> None:
    """All waits finish after some attempts without a server, those included that were notified
    while nobody could listen."""
    job_ids = _ids(100)
    loop = asyncio.get_running_loop()
    with RedisServer() as server, FaultProxy(server) as proxy:
        async with AsyncClient(proxy.url(), safety_interval=NEVER) as client:
            waits = _start(client, job_ids)
            await _all_subscribed(server, job_ids)
            proxy.refuse()
            proxy.cut_all()
            with server.connect() as redis:
                finish(redis, job_ids[:30])
            await loop.run_in_executor(None, server.stop, True)
            opened = proxy.connections_opened
            proxy.accept()
            await eventually(lambda: proxy.connections_opened > opened + 2, "attempts in vain")
            await loop.run_in_executor(None, server.start)
            with server.connect() as redis:
                finish(redis, job_ids[30:60])
                await _all_subscribed(server, job_ids[60:])
                finish(redis, job_ids[60:])
            await _check_own(waits)
            assert client.stats().reconnects >= 2


async def test_restart_that_loses_the_data() -> None:
    """Waits whose jobs are gone end at their own deadlines, before and after the server is back."""
    timeouts = [1.0 + 0.5 * number for number in range(6)]
    loop = asyncio.get_running_loop()
    with MachineLag() as lag, RedisServer() as server:
        async with AsyncClient(server.url()) as client:
            ids = [await client.submit_job("work", None) for _ in timeouts]

            async def wait(job_id: str, timeout: float) -> exc.TimeoutError:
                start = loop.time()
                with pytest.raises(exc.TimeoutError) as caught:
                    await client.wait_for_result(job_id, timeout)
                assert timeout <= loop.time() - start <= timeout + TOLERANCE + lag.allowance
                return caught.value

            waits = [asyncio.ensure_future(wait(*each)) for each in zip(ids, timeouts)]
            await loop.run_in_executor(None, server.restart, False, 2.0)
            errors = await asyncio.gather(*waits)
            assert [error.job_id for error in errors] == ids
            assert (errors[0].whereabouts, errors[-1].whereabouts) == (None, "missing")


async def test_half_open_link_is_noticed(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """A pub/sub link that goes silent is replaced within two ping intervals; nothing is lost."""
    ping_interval = 1.0
    job_ids = _ids(50)
    client = AsyncClient(proxy.url(), ping_interval=ping_interval, safety_interval=NEVER)
    async with client:
        waits = _start(client, job_ids)
        await _all_subscribed(redis_server, job_ids)
        await first_looks_over(client, proxy, len(job_ids))
        with MachineLag() as lag:
            proxy.go_silent(seen=b"SUBSCRIBE")
            silent_since = time.monotonic()
            with redis_server.connect() as redis:
                finish(redis, job_ids)
            await eventually(lambda: client.stats().reconnects, "a new link")
            assert time.monotonic() - silent_since < 2 * ping_interval + lag.allowance
        await _check_own(waits)
        assert client.stats().results_by_safety_read == 0


async def test_idle_link_that_answers_is_kept(proxy: FaultProxy) -> None:
    """Silence alone, with pongs in between, costs no reconnect."""
    async with AsyncClient(proxy.url(), ping_interval=0.2) as client:
        waits = _start(client, _ids(1))
        await proxy.wait_async(lambda: proxy.commands["PING"] >= 6, what="five pings")
        stats = client.stats()
        assert (stats.listening, stats.reconnects) == (True, 0)
        assert stats.last_pong_age is not None
        for wait in waits.values():
            wait.cancel()


@pytest.mark.parametrize(
    "message",
    [
        b"*3\r\n$7\r\nmessage\r\n*1\r\n:1\r\n$1\r\nx\r\n",
        b"*3\r\n$9\r\nsubscribe\r\n$-1\r\n:0\r\n",
        b"*3\r\n$7\r\nmessage\r\n$5\r\nother\r\n$1\r\nx\r\n",
        b"*3\r\n$7\r\nmessage\r\n$3\r\n\xff\x00\xfe\r\n$1\r\nx\r\n",
        b"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$5\r\nother\r\n$1\r\nx\r\n",
    ],
    ids=["channel of the wrong type", "no channel", "other channel", "bytes", "pattern"],
)
async def test_message_that_nobody_subscribed_to(
    redis_server: RedisServer, proxy: FaultProxy, message: bytes
) -> None:
    """It is passed over: the connection is kept, and the notification behind it is heard."""
    async with AsyncClient(proxy.url(), safety_interval=NEVER) as client:
        waits = _start(client, ["job"])
        await _all_subscribed(redis_server, ["job"])
        await first_looks_over(client, proxy, 1)
        opened = proxy.connections_opened
        proxy.inject(message, seen=b"SUBSCRIBE")
        with redis_server.connect() as redis:
            finish(redis, ["job"])
        await _check_own(waits)
        assert proxy.connections_opened == opened
        assert client.stats().results_by_notification == 1


async def test_output_buffer_kill(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """Waits finish though the server drops the subscriber for an overfull output buffer."""
    job_ids = _ids(200)
    setting = "client-output-buffer-limit"
    before = redis_server.command("CONFIG", "GET", setting)[1]
    redis_server.command("CONFIG", "SET", setting, "pubsub 262144 0 0")
    try:
        async with AsyncClient(proxy.url(), safety_interval=NEVER) as client:
            waits = _start(client, job_ids)
            await _all_subscribed(redis_server, job_ids)
            await first_looks_over(client, proxy, len(job_ids))
            with redis_server.connect() as redis:
                # One turn of the server in which it can't write. Valkey counts nothing of a message
                # that it does not copy, and copies the small ones.
                redis.command("MULTI")
                for _ in range(128):
                    redis.command("PUBLISH", channel(job_ids[0]), b"x" * (1 << 13))
                redis.command("EXEC")
                finish(redis, job_ids)
            await _check_own(waits)
            assert client.stats().reconnects == 1
            assert "overcoming of output buffer limits" in redis_server.log()
    finally:
        redis_server.command("CONFIG", "SET", setting, before)


async def test_first_look_of_a_wait_that_follows_another(
    redis_server: RedisServer, proxy: FaultProxy
) -> None:
    """Where nothing notifies, a wait begun as another for its job ends is read half a second on."""
    places: List[List[str]] = []
    async with AsyncClient(proxy.url(), safety_interval=NEVER) as client:
        await client.get_job("none")
        proxy.refuse()
        with pytest.raises(exc.TimeoutError):
            await client.wait_for_result("job", 2.0)
        assert proxy.commands["GETRANGE"] == 2  # of the job: the first look, and the last
        with redis_server.connect() as redis:
            finish(redis, ["job"])
        second = client.wait_for_result("job", 20)
        asyncio.get_running_loop().call_soon(
            lambda: places.append(list(client._waits._machine._pacing._again))
        )
        assert (await second).get_result() == "job"
        assert client.stats().results_by_safety_read == 1
        assert places == [[]]  # not in the place of the first, before all that came later


async def test_read_that_can_not_be_sent(
    redis_server: RedisServer, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lack of memory for the read of one result keeps nobody else from hearing of theirs."""
    failed: List[Sequence[Command]] = []
    pack = async_connection.pack

    def out_of_memory(commands: Sequence[Command]) -> bytes:
        if commands[0][0] == b"HGETALL":
            monkeypatch.setattr(async_connection, "pack", pack)
            failed.append(commands)
            raise MemoryError
        return pack(commands)

    async with AsyncClient(proxy.url(), safety_interval=NEVER) as client:
        waits = _start(client, ["unlucky", "job"])
        await _all_subscribed(redis_server, ["job", "unlucky"])
        await first_looks_over(client, proxy, len(waits))
        monkeypatch.setattr(async_connection, "pack", out_of_memory)
        with redis_server.connect() as redis:
            finish(redis, ["unlucky"])
            await eventually(lambda: bool(failed), "a read that fails")
            finish(redis, ["job"])
        await _check_own({"job": waits["job"]})
        assert client.stats().results_by_notification == 1
        waits["unlucky"].cancel()


async def test_lost_unsubscribe(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """A channel whose UNSUBSCRIBE went down with the link is not subscribed again."""
    async with AsyncClient(proxy.url()) as client:
        waits = _start(client, ["kept", "dropped"])
        await _all_subscribed(redis_server, ["kept", "dropped"])
        cut = proxy.on(command(b"UNSUBSCRIBE"), Cut(before=True))
        again = proxy.on(command(b"SUBSCRIBE", channel("dropped").encode()), Cut())
        waits.pop("dropped").cancel()
        await cut.wait_async()
        await eventually(lambda: client.stats().reconnects == 1, "a new link")
        await _all_subscribed(redis_server, ["kept"])
        with redis_server.connect() as redis:
            finish(redis, ["kept"])
        await _check_own(waits)
        await _all_subscribed(redis_server, [])
        assert again.fired == 0


@pytest.mark.parametrize("timeout", [0, 0.3])
async def test_time_out_while_the_server_refuses_to_read(
    own_server: RedisServer, timeout: float
) -> None:
    """A wait ends as one that has found nothing, though the last look at the job is refused."""
    async with AsyncClient(own_server.url(), read_timeout=2) as client:
        own_server.command("CONFIG", "SET", "replica-serve-stale-data", "no")
        own_server.command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(exc.TimeoutError, match="is unknown: Redis refuses: MASTERDOWN"):
            await client.wait_for_result("job", timeout)
        with pytest.raises(exc.ServerError, match="MASTERDOWN"):
            await client.get_job("job")


async def test_listener_that_is_cancelled(redis_server: RedisServer) -> None:
    """Without another call, a listener that somebody has cancelled is started again."""
    async with AsyncClient(redis_server.url(), safety_interval=NEVER) as client:
        waits = _start(client, ["job"])
        await _all_subscribed(redis_server, ["job"])
        for turn in range(3):
            for task in asyncio.all_tasks():
                if task.get_name() == "bananas listener":
                    task.cancel()
            await eventually(lambda: not client.stats().listening, "the listener to end")
            await eventually(lambda: client.stats().listening, "another listener")
            assert client.stats().reconnects == turn + 1
        await _all_subscribed(redis_server, ["job"])
        with redis_server.connect() as redis:
            finish(redis, ["job"])
        await _check_own(waits)
