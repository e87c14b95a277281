"""A server that is busy with somebody's script, or loads its data, holds calls up and ends none."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Iterator, List

import pytest

from bananas import AsyncClient, Client, JobPriority, JobSpec
from bananas import exceptions as exc
from tests.support import RawClient, RedisServer, RespError
from tests.support.framing import encode_command

from .inventory import nothing_left
from .submits import WAYS, Way
from .timing import TOLERANCE, MachineLag, eventually
from .worker import finish

LOOP = "while true do end"

either_database = pytest.mark.parametrize("db", [0, 3])
# A connection that was made before knows its database: only a new one has to choose it.
before_or_during = pytest.mark.parametrize(
    ("db", "when"), [(3, "before"), (0, "during"), (3, "during")]
)


class Script:
    """Somebody's script, which keeps the server busy from ``start`` to ``stop``."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._client = RawClient(server.port)
        self._killer = RawClient(server.port)
        self._running = False

    def start(self) -> None:
        """Start it, and return once the server says that it is busy."""
        self._client.send("EVAL", LOOP, 0)
        self._running = True
        while True:
            try:
                self._killer.command("GET", "key")
            except RespError as error:
                assert str(error).startswith("BUSY")
                return

    def stop(self) -> None:
        """End it."""
        if self._running:
            self._running = False
            self._killer.command("SCRIPT", "KILL")
            with contextlib.suppress(RespError):
                self._client.receive()

    def close(self) -> None:
        """End it, and be gone."""
        self.stop()
        self._client.close()
        self._killer.close()


@pytest.fixture(scope="module")
def _quick_server() -> Iterator[RedisServer]:
    """A server that says after 20 ms already that it is busy."""
    with RedisServer(args=["--lua-time-limit", "20"]) as server:
        yield server


@pytest.fixture
def server(_quick_server: RedisServer) -> RedisServer:
    """The same, without any data."""
    _quick_server.command("FLUSHALL")
    return _quick_server


@pytest.fixture
def script(server: RedisServer) -> Iterator[Script]:
    """A script that does not run yet."""
    script = Script(server)
    yield script
    script.close()


def _queued_once(server: RedisServer, db: int, ids: List[str]) -> None:
    with RawClient(server.port) as redis:
        redis.command("SELECT", db)
        for job_id in ids:
            assert redis.command("EXISTS", f"bananas:job:{job_id}") == 1
        found: List[bytes] = []
        for key in redis.command("KEYS", "*queue:*"):
            if redis.command("TYPE", key) == b"zset":
                found += redis.command("ZRANGE", key, 0, -1)
            else:
                found += redis.command("LRANGE", key, 0, -1)
    assert sorted(found) == sorted(job_id.encode() for job_id in ids)


@before_or_during
@pytest.mark.asyncio
async def test_calls_wait_for_the_end_of_a_script(
    server: RedisServer, script: Script, db: int, when: str
) -> None:
    """Submits, reads and waits succeed once the script is over, whenever the client connected."""
    client = AsyncClient(server.url(db), safety_interval=0.2)
    if when == "before":
        await client.connect()
        await client.get_job("job")
    script.start()
    wait = asyncio.ensure_future(client.wait_for_result("awaited", 30))
    submits = [asyncio.ensure_future(way(client, None)) for way in WAYS.values()]
    read = asyncio.ensure_future(client.get_job("job"))
    connect = asyncio.ensure_future(client.connect())
    await asyncio.sleep(0.5)  # the script, whose length matters here
    assert not any(task.done() for task in [wait, read, connect, *submits])
    script.stop()
    ids = [job_id for found in await asyncio.gather(*submits) for job_id in found]
    assert await read is None
    await connect
    _queued_once(server, db, ids)
    with server.connect() as redis:
        redis.command("SELECT", db)
        finish(redis, ["awaited"])
    assert (await wait).get_result() == "awaited"
    await client.close()


@before_or_during
@pytest.mark.asyncio
async def test_script_that_outlasts_submits(
    server: RedisServer, script: Script, db: int, when: str
) -> None:
    """A script that is longer than the limit refuses the job with its code, and nothing is left."""
    # A server that is busy with a script answers seldom, most of all on a busy machine.
    timeout = 3.0

    async def refused(client: AsyncClient, submit: Way) -> float:
        start = asyncio.get_running_loop().time()
        with pytest.raises(exc.JobRejectedError, match="BUSY") as caught:
            await submit(client, None)
        assert caught.value.code == "BUSY"
        return asyncio.get_running_loop().time() - start

    async with contextlib.AsyncExitStack() as stack:
        # A client for each way to submit: together the jobs would have a connection, and an end.
        clients = [
            AsyncClient(server.url(db), submit_timeout=timeout, connect_timeout=1.2) for _ in WAYS
        ]
        for client in clients:
            stack.push_async_callback(client.close)
            if when == "before":
                await client.connect()
                await client.get_job("job")
        script.start()
        with MachineLag() as lag:
            took = await asyncio.gather(*map(refused, clients, WAYS.values()))
        assert timeout <= min(took)
        assert max(took) <= timeout + TOLERANCE + lag.allowance
        script.stop()
        nothing_left(server)
        ids = [await submit(client, None) for client, submit in zip(clients, WAYS.values())]
        _queued_once(server, db, [job_id for some in ids for job_id in some])


@either_database
@pytest.mark.asyncio
async def test_script_that_outlasts_a_read(server: RedisServer, script: Script, db: int) -> None:
    """A read is told why it has no answer; connecting is, too, and may be tried again."""
    script.start()
    client = AsyncClient(server.url(db), read_timeout=1.5, connect_timeout=1.2)
    with pytest.raises(exc.ServerError, match="BUSY") as caught:
        await client.get_job("job")
    assert caught.value.code == "BUSY"
    with pytest.raises(exc.ConnectionError, match="BUSY") as refused:
        await client.connect()
    assert not refused.value.permanent
    script.stop()
    await client.connect()
    await client.close()


@before_or_during
def test_blocking_client(server: RedisServer, script: Script, db: int, when: str) -> None:
    """The blocking client goes on in the same way, on its pool, too."""
    ids: List[str] = []
    client = Client(server.url(db), submit_timeout=1.5, connect_timeout=1.2)
    ids += [client.submit_job("work", number) for number in range(10)]
    script.start()
    if when == "during":
        client.close()
        with pytest.raises(exc.ConnectionError, match="BUSY"):
            Client(server.url(db), connect_timeout=1.2)
    else:
        specs = [JobSpec("work", 1), JobSpec("work", 2, job_id="order-1")]
        calls = [
            lambda: client.submit_job("work", None),
            lambda: client.submit_jobs(specs),
            lambda: client.submit_job_scheduled("work", None, JobPriority.LOW, timedelta(hours=1)),
        ]
        for call in calls:
            with pytest.raises(exc.JobRejectedError) as caught:
                call()
            assert caught.value.code == "BUSY"
    script.stop()
    with Client(server.url(db)) as again:
        ids.append(again.submit_job("work", None))
    _queued_once(server, db, ids)
    client.close()


@pytest.mark.asyncio
async def test_connection_is_kept_while_the_server_is_busy(
    server: RedisServer, script: Script
) -> None:
    """A healthy connection is not given up because of a script."""
    async with AsyncClient(server.url()) as client:
        script.start()
        submit = asyncio.ensure_future(client.submit_job("work", None))
        await asyncio.sleep(0.3)  # the script, whose length matters here
        script.stop()
        _queued_once(server, 0, [await submit])
        assert client.stats().reconnects == 0


@either_database
@pytest.mark.asyncio
async def test_loading(db: int) -> None:
    """While a server loads its data, submits and waits go on; at their limit they say so."""
    # While it reads a log of writes, every server answers after each thousand of them.
    with RedisServer(args=["--appendonly", "yes"]) as server:
        _write_much(server, 8)
        server.command("CONFIG", "SET", "key-load-delay", 0)
        async with AsyncClient(server.url(db), submit_timeout=60, connect_timeout=60) as client:
            wait = asyncio.ensure_future(client.wait_for_result("awaited", 60))
            await eventually(lambda: client.stats().listening, "the listener")
            server.stop(keep_data=True)
            server._args += ["--key-load-delay", "500"]
            starting = asyncio.get_running_loop().run_in_executor(None, server.start)
            submit = asyncio.ensure_future(client.submit_job("work", None))
            await eventually(lambda: _is_loading(server), "the server to load")
            short = AsyncClient(server.url(db), submit_timeout=3, connect_timeout=3)
            with pytest.raises(exc.JobRejectedError) as caught:
                await short.submit_job("work", None)
            assert caught.value.code == "LOADING"
            await short.close()
            assert not submit.done()
            assert _is_loading(server)
            with contextlib.suppress(RespError):  # Redis 6.2 takes it only after loading
                server.command("CONFIG", "SET", "key-load-delay", 0)
            await starting
            _queued_once(server, db, [await submit])
            with server.connect() as redis:
                redis.command("SELECT", db)
                finish(redis, ["awaited"])
            assert (await wait).get_result() == "awaited"


def _write_much(server: RedisServer, thousands: int) -> None:
    with server.connect() as redis:
        for _ in range(thousands):
            redis.socket.sendall(encode_command("INCR", "other") * 1000)
            for _ in range(1000):
                redis.receive()


def _is_loading(server: RedisServer) -> bool:
    try:
        server.command("GET", "key")
    except RespError as error:
        return str(error).startswith("LOADING")
    except (OSError, EOFError):
        pass
    return False
