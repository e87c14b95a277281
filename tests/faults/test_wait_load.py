"""Waits in their thousands cost one connection, keep apart, and end right and in time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import sys
import threading
from typing import Any, Callable, Dict, Iterator, Optional

import pytest

from bananas import AsyncClient, Job, JobResult
from bananas import exceptions as exc
from tests.support import FaultProxy, GoSilent, RedisServer, Signal, command

from .timing import TOLERANCE, MachineLag, eventually
from .trouble import Trouble
from .worker import FIELDS, channel, document, fail, finish, result_key, store


async def _wait_in_vain(client: AsyncClient, count: int, timeout: float) -> None:
    waits = [client.wait_for_result(f"job-{number}", timeout) for number in range(count)]
    for error in await asyncio.gather(*waits, return_exceptions=True):
        assert type(error) is exc.TimeoutError


async def test_5000_waits_leave_nothing_behind(
    redis_server: RedisServer, proxy: FaultProxy
) -> None:
    """5,000 waits of 50 ms take no more connections than one, and give everything back."""
    # So many keep a slow machine busy for seconds, in which the proxy may have no turn.
    async with AsyncClient(proxy.url(), connect_timeout=60, read_timeout=60) as client:

        def blocks() -> int:
            gc.collect()
            return sys.getallocatedblocks()

        async def settle() -> None:
            await eventually(lambda: not client.stats().open_requests, "the reads to end")
            await eventually(lambda: not redis_server.command("PUBSUB", "CHANNELS"), "no channel")

        await _wait_in_vain(client, 100, 0.05)
        await settle()
        baseline = blocks()
        await _wait_in_vain(client, 5000, 0.05)
        await settle()
        # One thing kept for each wait would be more.
        await eventually(lambda: blocks() - baseline < 2500, "the memory to be given back")
        assert client.stats().waits == 0
        assert proxy.connections_opened == 2


@pytest.mark.parametrize("cancelled", [0, 1], ids=["first", "second"])
async def test_one_of_two_waiters_cancelled(redis_server: RedisServer, cancelled: int) -> None:
    """Of two who wait for one job, the one that is left gets its result."""
    async with AsyncClient(redis_server.url()) as client:
        waits = [asyncio.ensure_future(client.wait_for_result("job")) for _ in range(2)]
        with redis_server.connect() as redis:
            await eventually(lambda: redis.command("PUBSUB", "CHANNELS"), "a subscription")
            waits[cancelled].cancel()
            with pytest.raises(asyncio.CancelledError):
                await waits[cancelled]
            assert redis.command("PUBSUB", "CHANNELS") == [channel("job").encode()]
            finish(redis, ["job"])
        assert (await waits[1 - cancelled]).get_result() == "job"
        assert client.stats().waits == 0


async def test_junk_on_channels(redis_server: RedisServer) -> None:
    """Whatever is published on whichever channel of ours, no wait minds."""
    junk = [b"", b"\xff\xfe\xfa", b"x" * (1 << 20), b"other", b'{"status": "completed"}', b"\r\n*3"]
    async with AsyncClient(redis_server.url()) as client:
        waits = [asyncio.ensure_future(client.wait_for_result(name)) for name in ("job", "other")]
        with redis_server.connect() as redis:
            await eventually(lambda: len(redis.command("PUBSUB", "CHANNELS")) == 2, "both channels")
            for message in junk:
                assert redis.command("PUBLISH", channel("job"), message) == 1
            redis.command("PUBLISH", b"bananas:result:notify:\xff\xfe", b"ready")
            finish(redis, ["other"])
            assert (await waits[1]).get_result() == "other"
            assert not waits[0].done()
            finish(redis, ["job"])
        assert (await waits[0]).get_result() == "job"
        assert client.stats().reconnects == 0


@pytest.mark.parametrize(
    "junk",
    [
        {"anything": "else"},
        dict(FIELDS, status="banana"),
        dict(FIELDS, completed_at="yesterday"),
        dict(FIELDS, duration_ms="1.5e3"),
        dict(FIELDS, result="{"),
        dict(FIELDS, result="NaN"),
        dict(FIELDS, result="[" * 200_000),
    ],
    ids=["no fields", "status", "time", "duration", "cut short", "no JSON", "too deep"],
)
async def test_junk_in_a_result(redis_server: RedisServer, junk: Dict[str, str]) -> None:
    """A result that can't be read ends the waits for its own job alone, and says which."""
    async with AsyncClient(redis_server.url()) as client:
        waits = [asyncio.ensure_future(client.wait_for_result(name)) for name in ("job", "other")]
        with redis_server.connect() as redis:
            await eventually(lambda: len(redis.command("PUBSUB", "CHANNELS")) == 2, "both channels")
            store(redis, {"job": junk})
            with pytest.raises(exc.SerializationError, match="job"):
                await waits[0]
            finish(redis, ["other"])
        assert (await waits[1]).get_result() == "other"


async def test_other_type_in_the_place_of_a_result(redis_server: RedisServer) -> None:
    """A key of another type where a result belongs ends the waits for its own job alone."""
    async with AsyncClient(redis_server.url()) as client:
        waits = [asyncio.ensure_future(client.wait_for_result(name)) for name in ("job", "other")]
        with redis_server.connect() as redis:
            await eventually(lambda: len(redis.command("PUBSUB", "CHANNELS")) == 2, "both channels")
            redis.command("SET", result_key("job"), "text")
            redis.command("PUBLISH", channel("job"), "ready")
            with pytest.raises(exc.ServerError, match="WRONGTYPE"):
                await waits[0]
            finish(redis, ["other"])
        assert (await waits[1]).get_result() == "other"


@pytest.mark.parametrize(
    "junk",
    [b"", b"\xff\xfe", b"{", b"[]", b'{"id": 1}', b"[" * 200_000, b"x" * (1 << 20)],
    ids=["empty", "no UTF-8", "cut short", "list", "types", "too deep", "1 MB"],
)
async def test_junk_in_a_document(redis_server: RedisServer, junk: bytes) -> None:
    """A document that can't be read is an error for who reads it; a result beside it counts."""
    async with AsyncClient(redis_server.url()) as client:
        with redis_server.connect() as redis:
            redis.command("SET", "bananas:job:job", junk)
            redis.command("SET", "bananas:job:other", document("other"))
            with pytest.raises(exc.SerializationError, match="job"):
                await client.get_job("job")
            assert (await client.get_job("other") or Job("", "", None)).name == "work"
            wait = asyncio.ensure_future(client.wait_for_result("job"))
            await eventually(lambda: redis.command("PUBSUB", "CHANNELS"), "a subscription")
            store(redis, {"job": dict(FIELDS, status="failed", error="boom")})
        result = await wait
        assert (result.is_failed, result.error) == (True, "boom")


@contextlib.contextmanager
def _in_trouble(trouble: Trouble, rng: random.Random) -> Iterator[None]:
    """Strike again and again, in a thread of its own, to the end of the block."""
    ending = threading.Event()

    def strike() -> None:
        while not ending.wait(rng.uniform(0.02, 0.15)):
            trouble.strike()

    thread = threading.Thread(target=strike, name="trouble")
    thread.start()
    yield
    ending.set()
    thread.join(60)
    trouble.end()


async def test_2000_waits_under_cuts_kills_silence_and_refusals(
    redis_server: RedisServer, proxy: FaultProxy, rng: random.Random
) -> None:
    """2,000 waits end with 2,000 right results, whatever happens to the connections meanwhile."""
    job_ids = [f"job-{number}" for number in range(2000)]
    failing = set(rng.sample(job_ids, 300))
    client = AsyncClient(proxy.url(), ping_interval=0.4, read_timeout=2.0, safety_interval=1.0)
    async with client:
        waits = [asyncio.ensure_future(client.wait_for_result(each, 60)) for each in job_ids]
        order = rng.sample(job_ids, len(job_ids))
        with _in_trouble(Trouble(redis_server, proxy, rng), rng):
            while order:
                part, order = order[:50], order[50:]
                with redis_server.connect() as worker:
                    finish(worker, [job_id for job_id in part if job_id not in failing])
                    fail(worker, [job_id for job_id in part if job_id in failing])
                await asyncio.sleep(rng.uniform(0.0, 0.2))
        results = await asyncio.gather(*waits)
    for job_id, result in zip(job_ids, results):
        assert result.job_id == job_id
        if job_id in failing:
            assert result.error == f"{job_id} failed"
        else:
            assert result.get_result() == job_id
    assert client.stats().reconnects > 5


def _unplug(server: RedisServer, proxy: FaultProxy) -> None:
    proxy.refuse()
    proxy.cut_all()


def _swallow(server: RedisServer, proxy: FaultProxy) -> None:
    proxy.mute()
    proxy.cut_all()


def _reset_often(server: RedisServer, proxy: FaultProxy) -> None:
    proxy.on(command(b"SUBSCRIBE"), GoSilent(), times=None)
    proxy.cut_all(reset=True)


#: What Redis, or the way there, does from a moment on.
CONDITIONS: Dict[str, Optional[Callable[[RedisServer, FaultProxy], object]]] = {
    "is well": None,
    "is frozen": lambda server, proxy: server.pause(),
    "is gone": lambda server, proxy: server.stop(),
    "refuses": _unplug,
    "is silent": lambda server, proxy: proxy.go_silent(),
    "accepts and does not answer": _swallow,
    "drips": lambda server, proxy: proxy.drip(0.02),
    "loses each subscription": _reset_often,
}


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("connected", [True, False], ids=["connected", "never connected"])
async def test_deadlines_are_kept(
    redis_server: RedisServer, proxy: FaultProxy, condition: str, connected: bool
) -> None:
    """A wait of a second or more ends within 0.2 s of its deadline whatever Redis does."""
    loop = asyncio.get_running_loop()
    impose = CONDITIONS[condition]
    client = AsyncClient(proxy.url())

    async def wait(number: int) -> float:
        timeout = 1.0 + 0.004 * number
        start = loop.time()
        with pytest.raises(exc.TimeoutError) as caught:
            await client.wait_for_result(f"job-{number}", timeout)
        assert caught.value.job_id == f"job-{number}"
        return loop.time() - start - timeout

    with MachineLag() as lag:
        if connected:
            await client.connect()
        waits = [asyncio.ensure_future(wait(number)) for number in range(50)]
        if connected:
            await eventually(lambda: client.stats().listening, "the listener")
        if impose is not None:
            await loop.run_in_executor(None, impose, redis_server, proxy)
        late = await asyncio.gather(*waits)
    assert min(late) > -1e-6  # what floats lose
    assert max(late) <= TOLERANCE + lag.allowance
    await client.close()


async def test_result_that_arrives_with_the_deadline(redis_server: RedisServer) -> None:
    """Results that are stored around the deadline are returned, or the wait times out: no more."""
    async with AsyncClient(redis_server.url()) as client:

        async def wait(number: int) -> Optional[JobResult[Any]]:
            try:
                return await client.wait_for_result(f"job-{number}", 0.3)
            except exc.TimeoutError:
                return None

        waits = [asyncio.ensure_future(wait(number)) for number in range(200)]
        release = Signal()

        def work() -> None:
            release.wait()
            with redis_server.connect() as redis:
                for number in range(200):
                    finish(redis, [f"job-{number}"])

        worker = threading.Thread(target=work)
        worker.start()
        await asyncio.sleep(0.28)
        release.set()
        results = await asyncio.gather(*waits)
        worker.join(60)
        for number, result in enumerate(results):
            assert result is None or result.get_result() == f"job-{number}"
        for number in range(200):
            result = await client.wait_for_result(f"job-{number}", 5)
            assert result.get_result() == f"job-{number}"
