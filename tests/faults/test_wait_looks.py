"""Looks at jobs that are waited for: what they find over slow links and beside slow workers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
from typing import Any, List

import pytest

from bananas import AsyncClient, Client, JobPlace
from bananas import exceptions as exc
from bananas._waits import waits
from tests.support import FaultProxy, HoldReply, RawClient, RedisServer, Signal, command, wait_until

from .timing import TOLERANCE, MachineLag, eventually
from .worker import FIELDS, document, finish, result_key, store

#: What no answer of a client may be left without for longer.
LIMIT = 30.0
DUE = "2025-01-15T10:30:07Z"


def failed(error: str = "boom") -> Any:
    """Return the fields of the failed result of an attempt."""
    return dict(FIELDS, status="failed", error=error)


def rewrite(redis: RawClient, job_id: str, **changes: Any) -> None:
    """Write a job's document anew, as a worker does after an attempt."""
    changes.setdefault("updated_at", "2025-01-15T10:30:06Z")
    redis.command("SET", f"bananas:job:{job_id}", document(job_id, **changes))


# -- a worker that is paused ---------------------------------------------------------------------


@pytest.mark.parametrize("blocking", [False, True])
async def test_worker_that_pauses_before_the_document(
    redis_server: RedisServer, blocking: bool
) -> None:
    """A failed attempt is not taken for the end while a worker still has the job."""
    loop = asyncio.get_running_loop()
    with redis_server.connect() as redis:
        redis.command("SET", "bananas:job:job", document("job"))
        redis.command("LPUSH", "bananas:queue:processing", "job")
        if blocking:

            def wait_for_it() -> Any:
                with Client(redis_server.url()) as other:
                    return other.wait_for_result("job", LIMIT)

            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                await _pause(redis, loop.run_in_executor(pool, wait_for_it))
        else:
            async with AsyncClient(redis_server.url()) as client:
                await _pause(redis, asyncio.ensure_future(client.wait_for_result("job", LIMIT)))


async def _pause(redis: RawClient, wait: asyncio.Future[Any]) -> None:
    def asked() -> int:
        lines = _calls(redis, "lpos")
        return int(lines[0].partition("calls=")[2].partition(",")[0]) if lines else 0

    redis.command("CONFIG", "RESETSTAT")
    store(redis, {"job": failed()})
    # Each of these comes half a second after the one before: the worker is long in coming.
    await eventually(lambda: asked() >= 4, "four looks at who has the job")
    assert not wait.done()
    rewrite(redis, "job", attempts=1, error="boom", scheduled_for=DUE)
    redis.command("LREM", "bananas:queue:processing", 1, "job")
    await asyncio.sleep(0)
    assert not wait.done()
    finish(redis, ["job"])
    assert (await wait).get_result() == "job"


def _calls(redis: RawClient, command: str) -> List[str]:
    lines = redis.command("INFO", "commandstats").decode().splitlines()
    return [line for line in lines if line.startswith(f"cmdstat_{command}:")]


async def test_nobody_has_the_job(redis_server: RedisServer) -> None:
    """A failure that no worker will speak of again is final."""
    with redis_server.connect() as redis:
        redis.command("SET", "bananas:job:job", document("job"))
        redis.command("LPUSH", "bananas:queue:processing", "other")
        store(redis, {"job": failed()})
        async with AsyncClient(redis_server.url()) as client:
            assert (await client.wait_for_result("job", LIMIT)).error == "boom"


# -- documents that this interpreter can't decode ------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    ["[" * 800 + "]" * 800, "9" * 5000, '{"a":' * 9998 + "1" + "}" * 9998],
    ids=["800 levels", "5000 digits", "9998 levels"],
)
@pytest.mark.parametrize("position", ["middle", "end"])
async def test_payload_that_only_go_reads(
    redis_server: RedisServer, payload: str, position: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry is told from the end beside a payload that Python can't decode."""
    monkeypatch.setattr(waits, "_LAST_LOOK", LIMIT)  # a tenth of a second may not do here
    fields = json.loads(document("job", attempts=1, error="boom", scheduled_for=DUE))
    del fields["payload"]
    rest = json.dumps(fields, separators=(",", ":"))[1:-1]
    text = f'{{"payload":{payload},{rest}}}'
    if position == "end":
        text = f'{{{rest},"payload":{payload}}}'
    with redis_server.connect() as redis:
        redis.command("SET", "bananas:job:job", text)
        store(redis, {"job": failed()})
        async with AsyncClient(redis_server.url()) as client:
            with pytest.raises(exc.TimeoutError, match='retrying after "boom"') as caught:
                await client.wait_for_result("job", 1.2)
            assert caught.value.whereabouts is JobPlace.RETRYING
            job = await client.get_job("job")
            assert job is not None
            assert (job.attempts, job.error, job.name) == (1, "boom", "work")
            assert payload in job.to_json()
            finish(redis, ["job"])
            assert (await client.wait_for_result("job", LIMIT)).get_result() == "job"


# -- short limits over a slow link ---------------------------------------------------------------


class Slow:
    """Holds every reply back for a while, on a link of its own."""

    def __init__(self, port: int, delay: float) -> None:
        self._target = port
        self._delay = delay
        self._pumps: List[asyncio.Future[None]] = []
        self._writers: List[Any] = []
        self.subscribed = False

    async def __aenter__(self) -> Slow:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: Any) -> None:
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: Any, writer: Any) -> None:
        to_server, to = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, to]
        self._pumps.append(asyncio.ensure_future(self._pump(reader, to, 0.0)))
        self._pumps.append(asyncio.ensure_future(self._pump(to_server, writer, self._delay)))

    async def _pump(self, reader: Any, writer: Any, delay: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            data = await reader.read(65536)
            if not data:
                return
            self.subscribed = self.subscribed or b"SUBSCRIBE" in data
            loop.call_later(delay, writer.write, data)


async def test_stored_results_over_a_slow_link(redis_server: RedisServer) -> None:
    """The shortest limit is enough to find what is stored, and opens no listener."""
    with redis_server.connect() as redis:
        finish(redis, ["a", "b"], publish=False)
    async with Slow(redis_server.port, 0.2) as slow:
        async with AsyncClient(f"redis://127.0.0.1:{slow.port}/0") as client:
            assert (await client.wait_for_result("a", 0)).get_result() == "a"
            found = [result.job_id async for result in client.as_completed(["a", "b"], 0)]
            assert sorted(found) == ["a", "b"]
            results = client.as_completed(["a", "none"], 0)
            assert (await results.__anext__()).job_id == "a"
            with pytest.raises(
                exc.TimeoutError, match="^no final result of 1 of 2 jobs .*: 1 missing$"
            ) as caught:
                await results.__anext__()
            assert caught.value.whereabouts is JobPlace.MISSING
            with pytest.raises(StopAsyncIteration):
                await results.__anext__()
            assert client.stats().listening is False
            assert not slow.subscribed
            assert (await client.wait_for_result("a", 0.05)).get_result() == "a"
            found = [result.job_id async for result in client.as_completed(["a", "b"], 0.05)]
            assert sorted(found) == ["a", "b"]


async def test_a_look_is_bounded(proxy: FaultProxy) -> None:
    """A look without an answer ends after a second, or after a shorter read_timeout."""
    loop = asyncio.get_running_loop()
    async with AsyncClient(proxy.url(), read_timeout=0.3) as client:
        proxy.on(command(b"LPOS"), HoldReply(Signal()), times=None)
        with MachineLag() as lag:
            start = loop.time()
            with pytest.raises(exc.TimeoutError, match="its place is unknown"):
                await client.wait_for_result("a", 0)
            assert 0.3 <= loop.time() - start <= 0.3 + TOLERANCE + lag.allowance


# -- callers that share --------------------------------------------------------------------------


async def test_each_waiter_gets_a_result_of_its_own(redis_server: RedisServer) -> None:
    """What one caller does to an answer, nobody else sees; nor to an error."""
    with redis_server.connect() as redis:
        async with AsyncClient(redis_server.url()) as client:
            waits = [asyncio.ensure_future(client.wait_for_result("a", LIMIT)) for _ in range(3)]
            iterators = [client.as_completed(["a"], LIMIT) for _ in range(2)]
            waits += [asyncio.ensure_future(results.__anext__()) for results in iterators]
            bad = [asyncio.ensure_future(client.wait_for_result("bad", LIMIT)) for _ in range(3)]
            await eventually(lambda: client.stats().waits == 2, "the waits to begin")
            store(redis, {"a": dict(FIELDS, result='{"list":[]}'), "bad": {"status": "odd"}})
            found = await asyncio.gather(*waits)
            for number, result in enumerate(found):
                assert result.result == {"list": []}
                result.result["list"].append(number)
            errors = await asyncio.gather(*bad, return_exceptions=True)
            assert {type(error) for error in errors} == {exc.SerializationError}
            assert len({id(error) for error in errors}) == 3


def test_each_thread_gets_a_result_of_its_own(redis_server: RedisServer) -> None:
    """The same for threads that share one client."""
    with redis_server.connect() as redis, Client(redis_server.url()) as client:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            waits = [pool.submit(client.wait_for_result, "a", LIMIT) for _ in range(4)]
            wait_until(lambda: client.stats().waits, "the waits to begin")
            store(redis, {"a": dict(FIELDS, result='{"list":[]}')})
            for wait in waits:
                answer = wait.result(LIMIT).result
                assert answer == {"list": []}
                answer["list"].append(1)


@pytest.mark.parametrize("timeout", [None, LIMIT])
async def test_consumers_of_one_iterator(redis_server: RedisServer, timeout: Any) -> None:
    """Every result goes to one consumer, and all consumers end."""
    ids = [f"job-{number}" for number in range(12)]

    async def consume(results: Any) -> List[str]:
        return [result.job_id async for result in results]

    with redis_server.connect() as redis:
        async with AsyncClient(redis_server.url()) as client:
            results = client.as_completed(ids, timeout)
            consumers = [asyncio.ensure_future(consume(results)) for _ in range(4)]
            await eventually(lambda: client.stats().waits == 12, "the waits to begin")
            finish(redis, ids)
            found = await asyncio.wait_for(asyncio.gather(*consumers), LIMIT)
            assert sorted(job_id for ids_ in found for job_id in ids_) == sorted(ids)


async def test_consumers_of_one_iterator_at_its_limit(redis_server: RedisServer) -> None:
    """When the time is over, each consumer that waits is told, and the next step ends."""
    async with AsyncClient(redis_server.url()) as client:
        results = client.as_completed(["a", "b"], 0.3)
        steps = [asyncio.ensure_future(results.__anext__()) for _ in range(3)]
        found = await asyncio.wait_for(asyncio.gather(*steps, return_exceptions=True), LIMIT)
        assert {type(error) for error in found} == {exc.TimeoutError}
        with pytest.raises(StopAsyncIteration):
            await results.__anext__()


def test_threads_that_share_one_iterator(redis_server: RedisServer) -> None:
    """The same for threads that share the blocking iterator."""
    ids = [f"job-{number}" for number in range(12)]
    with redis_server.connect() as redis, Client(redis_server.url()) as client:
        results = client.as_completed(ids, LIMIT)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            consumers = [pool.submit(list, results) for _ in range(4)]
            finish(redis, ids)
            found = [result.job_id for one in consumers for result in one.result(LIMIT)]
        assert sorted(found) == sorted(ids)


async def test_stats_from_another_thread(redis_server: RedisServer) -> None:
    """A probe on a thread without a loop may ask once something was waited for, too."""
    loop = asyncio.get_running_loop()
    with redis_server.connect() as redis:
        async with AsyncClient(redis_server.url()) as client:
            finish(redis, ["a"], publish=False)
            await client.wait_for_result("a", LIMIT)
            stats = await loop.run_in_executor(None, client.stats)
            assert stats.listening
            assert stats.last_pong_age is not None
            assert stats.last_pong_age >= 0


# -- long payloads -------------------------------------------------------------------------------


async def test_idle_waits_fetch_no_payloads(redis_server: RedisServer) -> None:
    """Waits for jobs with long payloads read the ends of their documents only."""
    jobs, length = 20, 1 << 20

    def sent(redis: RawClient) -> int:
        lines = redis.command("INFO", "stats").decode().splitlines()
        (line,) = (line for line in lines if line.startswith("total_net_output_bytes:"))
        return int(line.partition(":")[2])

    with redis_server.connect() as redis:
        async with AsyncClient(redis_server.url(), safety_interval=0.3) as client:
            ids = [await client.submit_job("work", "x" * length) for _ in range(jobs)]
            before = sent(redis)
            waits = [client.wait_for_result(job_id, 2.5) for job_id in ids]
            errors = await asyncio.gather(*waits, return_exceptions=True)
            assert {getattr(error, "whereabouts", error) for error in errors} == {JobPlace.QUEUED}
            assert sent(redis) - before < 2 * length


async def test_long_document_of_another_make(redis_server: RedisServer) -> None:
    """A long document whose end does not tell enough is read whole once, while it stays."""
    text = json.dumps({**json.loads(document("job")), "payload": 1, "more": "x" * 100_000})
    with redis_server.connect() as redis:
        redis.command("SET", "bananas:job:job", text)
        async with AsyncClient(redis_server.url(), safety_interval=0.1) as client:
            wait = asyncio.ensure_future(client.wait_for_result("job", LIMIT))

            def looks() -> str:
                return "".join(_calls(redis, "getrange"))

            redis.command("CONFIG", "RESETSTAT")
            await eventually(lambda: "calls=" in looks() and "calls=1," not in looks(), "two looks")
            assert "calls=1," in "".join(_calls(redis, "get"))
            failed_text = text.replace('"pending"', '"failed"').replace("xxx", "yyy")
            redis.command("SET", "bananas:job:job", failed_text)
            assert (await wait).is_failed


# -- where a job is ------------------------------------------------------------------------------


async def test_reason_why_redis_can_not_be_reached(redis_server: RedisServer) -> None:
    """A time-out without an answer says what stands in the way."""
    client = AsyncClient("redis://127.0.0.1:1/0", connect_timeout=0.5)
    expected = "(is|are) unknown: can't reach Redis at redis://127.0.0.1:1/0: "
    for timeout in (0, 0.1, 1.5):
        with pytest.raises(exc.TimeoutError, match=expected) as caught:
            await client.wait_for_result("a", timeout)
        assert caught.value.whereabouts is None
    with pytest.raises(exc.TimeoutError, match=expected):
        await client.as_completed(["a", "b"], 0.1).__anext__()
    with pytest.raises(exc.TimeoutError, match=expected):
        await client.watch("a", 0.1).__anext__()
    await client.close()


async def test_must_exist(redis_server: RedisServer) -> None:
    """Who asks for it is told at once that a job does not exist, and waits for one that does."""
    with redis_server.connect() as redis:
        async with AsyncClient(redis_server.url()) as client:
            for timeout in (None, LIMIT, 0.5, 0):
                with pytest.raises(exc.JobNotFoundError, match="^there is no job none: ") as caught:
                    await client.wait_for_result("none", timeout, must_exist=True)
                assert caught.value.job_id == "none"
            finish(redis, ["a"], publish=False)  # a result without a document
            found = await client.wait_for_result("a", LIMIT, must_exist=True)
            assert found.get_result() == "a"
            job_id = await client.submit_job("work", 1)
            wait = asyncio.ensure_future(client.wait_for_result(job_id, LIMIT, must_exist=True))
            await eventually(lambda: client.stats().waits == 1, "the wait to begin")
            assert redis.command("EXISTS", result_key(job_id)) == 0
            finish(redis, [job_id])
            assert (await wait).get_result() == job_id


async def test_locate(redis_server: RedisServer) -> None:
    """Each place is told in one round trip, and without searching the lists of queued jobs."""
    with redis_server.connect() as redis:
        redis.command("SET", "bananas:job:scheduled", document("scheduled", status="scheduled",
                      scheduled_for=DUE))  # fmt: skip
        rewrite(redis, "retrying", attempts=1, error="boom", scheduled_for=DUE)
        rewrite(redis, "taken")
        redis.command("LPUSH", "bananas:queue:processing", "taken")
        rewrite(redis, "completed", status="completed")
        rewrite(redis, "failed", status="failed", attempts=3, error="boom")
        rewrite(redis, "dead", status="failed", attempts=3, error="boom", payload="x" * 100_000)
        redis.command("LPUSH", "bananas:queue:dead", "dead")
        rewrite(redis, "cancelled", status="failed", error="cancelled", cancelled_at=DUE)
        store(redis, {"cancelled": dict(failed("cancelled"), cancelled="1")})
        redis.command("SET", "bananas:job:unreadable", "{")
        async with AsyncClient(redis_server.url()) as client:
            queued = await client.submit_job("work", "x" * 100_000)
            redis.command("CONFIG", "RESETSTAT")
            for place in JobPlace:
                job_id = queued if place is JobPlace.QUEUED else place.value
                before = client.stats().pipelines
                found = await client.locate(job_id)
                assert found.place is place
                retried = place is JobPlace.RETRYING
                due = retried or place is JobPlace.SCHEDULED
                assert (found.due is not None) is due
                attempts = {JobPlace.RETRYING: 1, JobPlace.FAILED: 3, JobPlace.DEAD: 3}
                assert found.attempts == attempts.get(place, 0)
                assert bool(found.last_error) is (place in attempts or place.value == "cancelled")
                assert client.stats().pipelines - before == 1
            assert not _calls(redis, "lrange")


def test_locate_blocking(redis_server: RedisServer) -> None:
    """The blocking client tells the same."""
    with Client(redis_server.url()) as client:
        assert client.locate(client.submit_job("work", 1)).place is JobPlace.QUEUED
        assert client.locate("none").place is JobPlace.MISSING
