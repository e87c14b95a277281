"""No caller is handed a reply that is not its own, nor waits for a connection that is of no use."""

from __future__ import annotations

import asyncio
import random
from typing import Any, Awaitable, Callable, List, Sequence, Type

import pytest

from bananas import AsyncClient, JobResult
from bananas import exceptions as exc
from tests.support import (
    Cut,
    FaultProxy,
    Hold,
    Inject,
    LoseReply,
    RawClient,
    RedisServer,
    Signal,
    command,
)
from tests.support.faults import Match
from tests.support.framing import encode_command

from .inventory import nothing_left, queued_once
from .submits import WAYS, Way
from .timing import TOLERANCE, MachineLag, eventually, first_looks_over
from .worker import finish

pytestmark = pytest.mark.asyncio

every_way = pytest.mark.parametrize("submit", WAYS.values(), ids=WAYS.keys())

# Replies that a client could take for its own, and one that it could not.
STRAY = {
    "OK": b"+OK\r\n",
    "QUEUED": b"+QUEUED\r\n",
    "one": b":1\r\n",
    "zero": b":0\r\n",
    "nothing": b"$-1\r\n",
    "no array": b"*-1\r\n",
    "error": b"-OOM no\r\n",
    "applied": b"*2\r\n+OK\r\n:1\r\n",
    "document": b'$21\r\n{"id": "not-this-one"}\r\n',
}
every_stray = pytest.mark.parametrize("stray", STRAY.values(), ids=STRAY.keys())


def _share_of(name: bytes, share: float, rng: random.Random) -> Match:
    return lambda words: words[0].upper() == name and rng.random() < share


async def _wait_for_news(
    client: AsyncClient, server: RedisServer, proxy: FaultProxy
) -> asyncio.Task[JobResult[Any]]:
    """Begin a wait for the job ``job``, up to where only a notification will end it."""
    wait = asyncio.ensure_future(client.wait_for_result("job"))
    await eventually(lambda: bool(server.command("PUBSUB", "CHANNELS")), "a channel")
    await first_looks_over(client, proxy, 1)
    return wait


async def _in_time(
    limit: float, expected: Type[Exception], call: Callable[[], Awaitable[Any]]
) -> None:
    """Check that a call fails as expected, 0.2 s after its deadline at the latest."""
    loop = asyncio.get_running_loop()
    with MachineLag() as lag:
        start = loop.time()
        with pytest.raises(expected):
            await call()
        took = loop.time() - start
    assert took <= limit + TOLERANCE + lag.allowance


@every_stray
async def test_stray_reply_on_an_idle_connection(
    redis_server: RedisServer, proxy: FaultProxy, stray: bytes
) -> None:
    """A reply that comes while nothing was asked is never taken for one to what is asked next."""
    async with AsyncClient(proxy.url()) as client:
        ids: List[str] = []
        for submit in WAYS.values():
            await client.submit_job("work", "right", job_id="known")
            before = client.stats().connections
            proxy.inject(stray)
            job = await client.get_job("known")
            assert job is not None
            assert (job.id, job.payload) == ("known", "right")
            proxy.inject(stray)
            ids += await submit(client, None)
            await client.get_job("known")
            assert client.stats().connections > before
    queued_once(redis_server, "known", *ids)


@every_stray
@pytest.mark.parametrize("after", [False, True], ids=["before", "behind"])
async def test_stray_reply_during_a_submit(
    redis_server: RedisServer, proxy: FaultProxy, stray: bytes, after: bool
) -> None:
    """A reply slipped in among those to a submit does not make it more, or less, than queued."""
    ids: List[str] = []
    async with AsyncClient(proxy.url()) as client:
        for name in (b"MULTI", b"MSET", b"LPUSH", b"EXEC"):
            injected = proxy.on(command(name), Inject(stray, after))
            ids.append(await client.submit_job("work", None))
            await injected.wait_async()
            injected = proxy.on(command(name), Inject(stray, after))
            ids.append(await client.submit_job("work", None, job_id=f"chosen-{name.decode()}"))
            await injected.wait_async()
    queued_once(redis_server, *ids)


@every_stray
async def test_stray_reply_while_finding_out(redis_server: RedisServer, stray: bytes) -> None:
    """A reply slipped in while the client looks what became of a submit does not mislead it."""

    async def submit(name: bytes) -> List[str]:
        ids: List[str] = []
        with FaultProxy(redis_server) as proxy:
            async with AsyncClient(proxy.url()) as client:
                for lost in (LoseReply(), Cut(before=True)):
                    for job_id in (None, f"chosen-{name.decode()}-{len(ids)}"):
                        proxy.on(command(b"EXEC"), lost)
                        proxy.on(command(name), Inject(stray))
                        ids.append(await client.submit_job("work", None, job_id=job_id))
                        proxy.clear()
        return ids

    names = [b"WATCH", b"EXISTS", b"GET", b"TYPE", b"HELLO", b"CLIENT", b"INFO"]
    found = await asyncio.gather(*map(submit, names))
    queued_once(redis_server, *[job_id for ids in found for job_id in ids])


@every_stray
async def test_stray_reply_before_a_read(
    redis_server: RedisServer, proxy: FaultProxy, stray: bytes
) -> None:
    """A reply slipped in before that to a read is not handed out, nor does it shift later ones."""
    async with AsyncClient(proxy.url()) as client:
        for number in range(5):
            await client.submit_job("work", number, job_id=f"job-{number}")
        proxy.on(command(b"GET"), Inject(stray), skip=2)
        jobs = await asyncio.gather(*[client.get_job(f"job-{number}") for number in range(5)])
        assert [job and job.payload for job in jobs] == list(range(5))
        assert await client.get_result("job-0") is None


@every_stray
async def test_stray_reply_before_an_awaited_result(
    redis_server: RedisServer, proxy: FaultProxy, stray: bytes
) -> None:
    """A reply slipped in before a result that a wait reads by itself does not end the wait."""
    async with AsyncClient(proxy.url(), safety_interval=3600) as client:
        wait = await _wait_for_news(client, redis_server, proxy)
        before = client.stats()
        injected = proxy.on(command(b"HGETALL"), Inject(stray))
        with redis_server.connect() as redis:
            finish(redis, ["job"])
        await injected.wait_async()
        assert (await wait).get_result() == "job"
        assert client.stats().connections == before.connections + 1


async def test_stray_result_behind_a_submit(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """What came behind the replies to a submit is not taken for the result that is read next."""
    stray = encode_command("status", "completed", "result", '"stray"') + b"-NOPERM no ECHO\r\n"
    with redis_server.connect() as redis:
        finish(redis, ["job"])
    async with AsyncClient(proxy.url(), safety_interval=3600) as client:
        injected = proxy.on(command(b"EXEC"), Inject(stray, after=True))
        await client.submit_job("work", None)
        await injected.wait_async()
        assert (await client.wait_for_result("job")).get_result() == "job"


async def test_a_read_and_a_submit_of_one_turn(
    redis_server: RedisServer, proxy: FaultProxy
) -> None:
    """A result that is looked at while a submit is about to be sent is not sent in its place."""
    async with AsyncClient(proxy.url(), safety_interval=3600) as client:
        first = await _wait_for_news(client, redis_server, proxy)
        before = client.stats()
        submit = asyncio.ensure_future(client.submit_job("work", None))
        second = asyncio.ensure_future(client.wait_for_result("job"))  # looks at once
        job_id = await submit
        assert client.stats().connections == before.connections
        with redis_server.connect() as redis:
            finish(redis, ["job"])
        assert (await first).get_result() == (await second).get_result() == "job"
    queued_once(redis_server, job_id)


async def test_a_wait_lets_go_of_watched_keys(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """What a submit with a known id has watched is let go of with the next read of a result."""
    with redis_server.connect() as redis:
        finish(redis, ["known"])
    async with AsyncClient(proxy.url()) as client:
        await client.submit_job("work", None, job_id="known")
        await client.submit_job("work", None, job_id="known")
        assert proxy.commands["UNWATCH"] == 0
        await client.wait_for_result("known")
        assert proxy.commands["UNWATCH"] == 1


@every_way
async def test_closed_by_the_server_while_idle(
    redis_server: RedisServer, proxy: FaultProxy, submit: Way
) -> None:
    """A submit succeeds at the first attempt after the server has closed an idle connection."""
    ids: List[str] = []
    async with AsyncClient(proxy.url(), submit_timeout=5) as client:
        for close in (
            lambda: redis_server.command("CLIENT", "KILL", "TYPE", "normal"),
            proxy.cut_all,
            lambda: proxy.cut_all(reset=True),
        ):
            close()  # the loop has not run since: the client can't know yet
            ids += await submit(client, None)
            close()
            await eventually(lambda: proxy.connections_open == 0, "the client to notice")
            ids += await submit(client, None)
    queued_once(redis_server, *ids)


async def test_server_that_says_nothing(proxy: FaultProxy) -> None:
    """A server that accepts and is silent costs a call no more than its own time limit.

    A wait looks once, for as long as a read may take: only a limit below that is exceeded by it.
    """
    proxy.mute()
    client = AsyncClient(proxy.url(), connect_timeout=0.4, submit_timeout=0.6, read_timeout=0.6)
    try:
        await _in_time(0.4, exc.ConnectionError, client.connect)
        await _in_time(0.4, exc.ConnectionError, lambda: client.submit_job("work", None))
        await _in_time(0.4, exc.ConnectionError, lambda: client.get_job("job"))
        await _in_time(0.8, exc.TimeoutError, lambda: client.wait_for_result("job", 0.8))
        await _in_time(0.4 + 0.6, exc.TimeoutError, lambda: client.wait_for_result("job", 0.4))
    finally:
        await client.close()


async def test_time_limit_below_that_of_connecting(proxy: FaultProxy) -> None:
    """The shorter limit counts, whatever else is waiting for a connection."""
    proxy.mute()
    client = AsyncClient(proxy.url(), connect_timeout=3, submit_timeout=0.3, read_timeout=0.5)
    try:
        read = asyncio.ensure_future(client.get_job("job"))
        await proxy.wait_async(lambda: proxy.connections_open == 1, what="an attempt")
        await _in_time(0.3, exc.ConnectionError, lambda: client.submit_job("work", None))
        await _in_time(0.5, exc.ConnectionError, lambda: read)
    finally:
        await client.close()


@pytest.mark.parametrize("job_id", [None, "chosen"])
async def test_server_that_falls_silent(
    redis_server: RedisServer, proxy: FaultProxy, job_id: str
) -> None:
    """A submit that has been sent is unknown at its deadline, a read has timed out."""
    release = Signal()
    async with AsyncClient(proxy.url(), submit_timeout=0.6, read_timeout=0.6) as client:
        held = proxy.on(command(b"MULTI"), Hold(release))
        sent = asyncio.ensure_future(client.submit_job("work", None, job_id=job_id))
        await held.wait_async()
        proxy.mute()
        late = asyncio.ensure_future(client.get_job("job"))
        await _in_time(0.6, exc.OutcomeUnknownError, lambda: sent)
        await _in_time(0.6, exc.BananasError, lambda: late)
        release.set()


async def test_deadline_while_the_reply_is_under_way(
    redis_server: RedisServer, proxy: FaultProxy
) -> None:
    """A submit that was sent shortly before its deadline is unknown then, and never 'not sent'."""
    release = Signal()
    async with AsyncClient(proxy.url(), submit_timeout=1) as client:
        held = proxy.on(command(b"MSET"), Hold(release), times=3)
        first = asyncio.ensure_future(client.submit_job("work", None))
        await held.wait_async()
        # It waits behind the first, which is given up after 0.4 s, is then sent with it, and again.
        second = asyncio.ensure_future(client.submit_job("work", None))
        outcomes = await asyncio.gather(first, second, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {str, exc.OutcomeUnknownError}
        assert exc.OutcomeUnknownError in {type(outcome) for outcome in outcomes}
        release.set()
        ids = [str(getattr(outcome, "job_id", outcome)) for outcome in outcomes]
        for job_id in ids:
            assert await client.submit_job("work", None, job_id=job_id) == job_id
    queued_once(redis_server, *ids)


async def test_server_that_drips(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """Replies that come byte by byte, too slowly, end as silence does."""
    async with AsyncClient(proxy.url(), submit_timeout=0.6, read_timeout=0.6) as client:
        proxy.drip(0.1)
        await _in_time(0.6, exc.OutcomeUnknownError, lambda: client.submit_job("work", None))
        await _in_time(0.6, exc.BananasError, lambda: client.get_job("job"))
        proxy.drip(None)
        assert await client.submit_job("work", None, job_id="job") == "job"
    client = AsyncClient(proxy.url(), connect_timeout=0.4)
    proxy.drip(0.1)
    try:
        await _in_time(0.4, exc.ConnectionError, client.connect)
    finally:
        # Right after a time limit, when a cancellation may get lost in it on older Pythons.
        await client.close()
    assert len(asyncio.all_tasks()) == 1


async def test_replies_byte_by_byte(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """Replies that come byte by byte are put together."""
    proxy.drip(0)
    async with AsyncClient(proxy.url()) as client:
        ids = [job_id for submit in WAYS.values() for job_id in await submit(client, None)]
        assert [job and job.id for job in await client.get_jobs(ids)] == ids
    queued_once(redis_server, *ids)


async def test_300_at_once(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """300 concurrent submits of each kind need one connection."""
    async with AsyncClient(proxy.url()) as client:
        found = await asyncio.gather(
            *[submit(client, None) for submit in WAYS.values() for _ in range(300)]
        )
        assert client.stats().connections == 1
    assert proxy.connections_opened == 1
    queued_once(redis_server, *[job_id for ids in found for job_id in ids])


async def test_200_at_once_with_one_id(redis_server: RedisServer) -> None:
    """200 concurrent submits of one id, from four clients, queue it once."""
    clients = [AsyncClient(redis_server.url()) for _ in range(4)]
    try:
        ids = await asyncio.gather(
            *[client.submit_job("work", None, job_id="one") for client in clients * 50]
        )
    finally:
        for client in clients:
            await client.close()
    assert ids == ["one"] * 200
    queued_once(redis_server, "one")


async def test_slow_server_and_recovery(redis_server: RedisServer) -> None:
    """While the server hangs, 300 calls fail in time, each with its type; then all is well."""
    async with AsyncClient(redis_server.url(), submit_timeout=0.5, read_timeout=0.5) as client:
        redis_server.pause()
        try:
            with MachineLag() as lag:
                start = asyncio.get_running_loop().time()
                outcomes = await asyncio.gather(
                    *[client.submit_job("work", None) for _ in range(150)],
                    *[client.get_job("job") for _ in range(150)],
                    return_exceptions=True,
                )
                took = asyncio.get_running_loop().time() - start
        finally:
            redis_server.resume()
        assert took <= 0.5 + TOLERANCE + lag.allowance
        assert {type(outcome) for outcome in outcomes[:150]} == {exc.OutcomeUnknownError}
        assert {type(outcome) for outcome in outcomes[150:]} <= {
            exc.TimeoutError,
            exc.ConnectionError,
        }
    async with AsyncClient(redis_server.url()) as client:
        ids = [outcome.job_id for outcome in outcomes[:150]]  # type: ignore[union-attr]
        again = await asyncio.gather(
            *[client.submit_job("work", None, job_id=job_id) for job_id in ids]
        )
    assert again == ids
    queued_once(redis_server, *again)


@pytest.mark.parametrize("at_once", [1, 25])
async def test_a_third_of_all_replies_lost(
    redis_server: RedisServer, proxy: FaultProxy, rng: random.Random, at_once: int
) -> None:
    """In 1,000 submits with 30 % of the replies lost, 1,000 ids are queued, each once."""
    ids: List[str] = []

    async def work(client: AsyncClient) -> None:
        for _ in range(1000 // at_once):
            ids.append(await client.submit_job("work", None))

    async with AsyncClient(proxy.url(), submit_timeout=30) as client:
        lost = proxy.on(_share_of(b"EXEC", 0.3, rng), LoseReply(), times=None)
        await asyncio.gather(*[work(client) for _ in range(at_once)])
        assert lost.fired >= 1
    assert len(set(ids)) == 1000
    queued_once(redis_server, *ids)


@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not sent"])
async def test_restarted_server_numbers_its_clients_anew(
    own_server: RedisServer, applied: bool
) -> None:
    """A connection of another process that has the old one's number is left alone."""
    with FaultProxy(own_server) as proxy:
        async with AsyncClient(proxy.url()) as client:
            number = _number_of_the_client(own_server)
            lost = proxy.on(command(b"EXEC"), LoseReply() if applied else Cut(before=True))
            submit = asyncio.ensure_future(client.submit_job("work", None))
            await lost.wait_async()
            proxy.refuse()
            proxy.cut_all()
            own_server.restart(keep_data=True)
            innocents = _connect_up_to(own_server, number)
            try:
                proxy.accept()
                queued_once(own_server, await submit)
                for innocent in innocents:
                    assert innocent.command("PING") == b"PONG"
            finally:
                for innocent in innocents:
                    innocent.close()


def _number_of_the_client(server: RedisServer) -> int:
    lines = server.command("CLIENT", "LIST").splitlines()
    (ours,) = [line for line in lines if b"name=bananas" in line]
    return int(ours.split(b" ")[0].partition(b"=")[2])


def _connect_up_to(server: RedisServer, number: int) -> Sequence[RawClient]:
    """Open connections until there has been one with this number."""
    clients = [server.connect()]
    while clients[-1].command("CLIENT", "ID") < number:
        clients.append(server.connect())
    return clients


async def test_nothing_listens(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """Without a server a submit says within the connect time-out that nothing was sent."""
    proxy.refuse()
    client = AsyncClient(proxy.url(), connect_timeout=0.4)
    try:
        await _in_time(0.4, exc.ConnectionError, client.connect)
        await _in_time(0.4, exc.ConnectionError, lambda: client.submit_job("work", None))
        proxy.accept()
        queued_once(redis_server, await client.submit_job("work", None))
    finally:
        await client.close()


async def test_cluster_is_refused() -> None:
    """A Redis Cluster is refused, in one attempt and one line."""
    with RedisServer(args=["--cluster-enabled", "yes"]) as server, FaultProxy(server) as proxy:
        client = AsyncClient(proxy.url())
        try:
            calls: List[Callable[[], Awaitable[object]]] = [
                client.connect,
                lambda: client.submit_job("work", None),
            ]
            for attempts, call in enumerate(calls, start=1):
                with pytest.raises(exc.ConnectionError) as caught:
                    await call()
                assert str(caught.value).endswith(
                    f"Redis at {proxy.url()} is a Redis Cluster, which is not supported; use a "
                    "single primary or Sentinel"
                )
                assert proxy.connections_opened == attempts
        finally:
            await client.close()
        nothing_left(server)
