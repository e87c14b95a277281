"""Which connections are opened, to where, for how long, and what goes by the loop instead."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Dict, Iterator, List

import pytest

from bananas import Client, JobPriority, JobSpec
from bananas import exceptions as exc
from bananas._blocking import loop_thread
from bananas._blocking.connection_pool import ConnectionPool
from tests.behaviour.tls import CERTIFICATE, TlsRelay
from tests.support import FaultProxy, HoldReply, RedisServer, SentinelServer, Signal, command
from tests.support.ports import HOST

from .inventory import Inventory, nothing_left, queued_once
from .running import Program
from .test_busy import Script
from .test_connection_pool import Caller, pool_of

_MOST = 8
PASSWORD = "hunter2-and-more"


@contextmanager
def stopped_loop() -> Iterator[None]:
    """Keep the loop of blocking calls from running."""
    stopped, go_on = threading.Event(), threading.Event()

    def stop() -> None:
        stopped.set()
        go_on.wait(60)

    loop_thread.loop_thread().loop.call_soon_threadsafe(stop)
    assert stopped.wait(60)
    try:
        yield
    finally:
        go_on.set()


def submit_on_the_pool(client: Client, count: int = 3) -> List[str]:
    """Submit while the loop stands still."""
    before = pool_of(client).submits
    with stopped_loop():
        ids = [client.submit_job("work", number) for number in range(count)]
    assert pool_of(client).submits - before == count
    return ids


def test_program_that_only_submits_has_no_thread(redis_server: RedisServer) -> None:
    """Connecting, submitting, a look at the state and closing need no thread but the caller's."""
    with Program("submitting", redis_server.url()) as program:
        program.expect("one thread")
        program.end_well()


def test_unix_socket(redis_server: RedisServer) -> None:
    """A unix socket does as well."""
    with Client(f"unix://{redis_server.unix_socket}") as client:
        queued_once(redis_server, *submit_on_the_pool(client))


@pytest.mark.asyncio
async def test_tls(redis_server: RedisServer) -> None:
    """TLS does as well, and a connection that was closed meanwhile is noticed before it is used."""

    def submit(url: str) -> List[str]:
        with Client(url) as client:
            ids = submit_on_the_pool(client)
            for task in list(relay._tasks):
                loop.call_soon_threadsafe(task.cancel)
            while pool_of(client)._free[0].is_quiet:
                pass
            ids += submit_on_the_pool(client)
            assert client.stats().reconnects == 1
        return ids

    loop = asyncio.get_running_loop()
    async with TlsRelay(redis_server.port) as relay:
        url = f"rediss://localhost:{relay.port}?ssl_ca_certs={CERTIFICATE}"
        ids = await loop.run_in_executor(None, submit, url)
    queued_once(redis_server, *ids)


def test_sentinel_and_failover() -> None:
    """The pool asks the sentinels where the primary is, and after a failover asks them again."""
    with RedisServer(password=PASSWORD) as primary:
        with RedisServer(password=PASSWORD, replica_of=primary) as replica:
            with SentinelServer(primary) as sentinel:
                sentinel.wait_for_replicas()
                with Client.from_sentinel(
                    [(HOST, sentinel.port)],
                    "mymaster",
                    f"redis://:{PASSWORD}@",
                    connect_timeout=20,
                    submit_timeout=60,
                ) as client:
                    queued_once(primary, *submit_on_the_pool(client))
                    primary.stop()
                    job_id = client.submit_job("work", None)
                    assert job_id in Inventory(replica).queued
                    submit_on_the_pool(client)


def test_user_with_few_rights(own_server: RedisServer) -> None:
    """A user that may do what a producer does, and no more, submits on the pool."""
    own_server.command(
        "ACL", "SETUSER", "producer", "on", ">secret", "~bananas:*",
        "+multi", "+exec", "+mset", "+lpush", "+discard",
    )  # fmt: skip
    with Client(own_server.url(username="producer", password="secret")) as client:
        queued_once(own_server, *submit_on_the_pool(client))
        with pytest.raises(exc.JobRejectedError, match="NOPERM"):
            client.submit_job_scheduled("work", None, scheduled_for=timedelta(hours=1))


class Provider:
    """Gives credentials, and counts."""

    def __init__(self) -> None:
        self.asked = 0

    def get_credentials(self) -> object:
        self.asked += 1
        return ("producer", "secret")


class AsyncProvider:
    """Can be asked on an event loop only."""

    async def get_credentials_async(self) -> object:
        return ("producer", "secret")


def test_credential_provider(own_server: RedisServer) -> None:
    """Every connection asks the provider anew; one that needs an event loop has the loop submit."""
    own_server.command("ACL", "SETUSER", "producer", "on", ">secret", "~*", "&*", "+@all")
    provider = Provider()
    with Client(own_server.url(), credential_provider=provider) as client:  # type: ignore[arg-type]
        ids = submit_on_the_pool(client)
        assert provider.asked == 1
    with Client(own_server.url(), credential_provider=AsyncProvider()) as client:  # type: ignore[arg-type]
        ids.append(client.submit_job("work", None))
        assert pool_of(client).submits == 0
    queued_once(own_server, *ids)


def test_wrong_password(own_server: RedisServer) -> None:
    """It fails in one attempt, and no message shows it."""
    own_server.command("ACL", "SETUSER", "producer", "on", ">secret", "~*", "+@all")
    own_server.command("CONFIG", "RESETSTAT")
    with pytest.raises(exc.AuthenticationError) as caught:
        Client(own_server.url(username="producer", password="a-wrong-one"))
    assert "a-wrong-one" not in str(caught.value)
    failed = own_server.command("INFO", "stats")
    if b"acl_access_denied_auth" in failed:
        assert b"acl_access_denied_auth:1\r" in failed


def test_connection_that_was_idle_for_a_minute(redis_server: RedisServer) -> None:
    """It is closed and not used, wherever it lies in the stack."""
    now = 1000.0
    with Client(redis_server.url()) as client:
        pool = pool_of(client)
        pool._clock = lambda: now
        ids = [client.submit_job("work", None)]
        now += 59.9
        ids.append(client.submit_job("work", None))
        assert pool.opened == 1
        now += 60
        ids.append(client.submit_job("work", None))
        assert (pool.opened, pool.open_connections) == (2, 1)
        second = pool._open_connection()
        pool._open.add(second)
        second.used_at = now
        pool._free.appendleft(second)
        now += 59
        ids += [client.submit_job("work", None) for _ in range(3)]
        assert pool.open_connections == 2
        now += 1
        ids.append(client.submit_job("work", None))
        assert pool.open_connections == 1
        assert second._socket is None
        assert client.stats().reconnects == 0
    queued_once(redis_server, *ids)


def test_eight_are_taken(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """While eight threads have a connection each, others share the connection of the loop."""
    release = Signal()
    with Client(proxy.url()) as client:
        pool = pool_of(client)
        callers: List[Caller] = []
        for _ in range(_MOST):
            rule = proxy.on(command(b"EXEC"), HoldReply(release))
            callers.append(Caller(lambda: client.submit_job("work", 1)))
            rule.wait()
        assert (pool.open_connections, pool.in_use) == (_MOST, _MOST)
        ids = [client.submit_job("work", 2) for _ in range(3)]
        assert (pool.open_connections, pool.submits) == (_MOST, 0)
        release.set()
        ids += [str(caller.join()) for caller in callers]
        assert (pool.submits, pool.in_use, len(pool._free)) == (_MOST, 0, _MOST)
        ids += submit_on_the_pool(client)
        stats = client.stats()
        assert (stats.open_requests, stats.reconnects) == (0, 0)
    queued_once(redis_server, *ids)


def test_other_calls_go_by_the_loop(redis_server: RedisServer) -> None:
    """Reads, submits of many and chosen ids take no connection of the pool."""
    with Client(redis_server.url()) as client:
        pool = pool_of(client)
        job_id = client.submit_job("work", None)
        ids = [job_id, client.submit_job("work", None, job_id="order-1")]
        ids += client.submit_jobs([JobSpec("work", None)] * 2)
        job = client.get_job(job_id)
        assert job is not None
        assert (pool.opened, pool.submits) == (1, 1)
        assert client.submit_job("work", None, job_id="order-1") == "order-1"
    queued_once(redis_server, *ids)


def test_large_document_goes_by_the_loop(redis_server: RedisServer) -> None:
    """A document of more than a MiB is for the loop."""
    text = "x" * 3_000_000
    with Client(redis_server.url()) as client:
        job_id = client.submit_job("work", text)
        assert pool_of(client).submits == 0
        job = client.get_job(job_id)
        assert job is not None
        assert job.payload == text
    queued_once(redis_server, job_id)


def test_replies_byte_by_byte(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """Replies that come in pieces are put together on the connection."""
    with Client(proxy.url()) as client:
        proxy.drip(0)
        queued_once(redis_server, *submit_on_the_pool(client))


def test_server_that_drips_for_ever(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """A reply that comes a byte at a time, too slowly, is given up in time."""
    with Client(proxy.url(), submit_timeout=1.0, connect_timeout=1.0) as client:
        proxy.drip(0.3)
        with pytest.raises((exc.OutcomeUnknownError, exc.ConnectionError)):
            client.submit_job("work", None)
        proxy.drip(None)
        client.submit_job("work", None)


def test_connecting_to_a_server_that_drips(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """The handshake of a blocking connection ends in time, however it is drawn out."""
    proxy.drip(0.2)
    with pytest.raises(exc.ConnectionError, match="did not answer within 0.6 s"):
        Client(proxy.url(), connect_timeout=0.6)


def test_server_restarted(own_server: RedisServer) -> None:
    """Connections to a server that was restarted are replaced, and nothing is sent on them."""
    with Client(own_server.url()) as client:
        callers = [Caller(lambda: client.submit_job("work", 1)) for _ in range(4)]
        for caller in callers:
            caller.join()
        own_server.restart(keep_data=False)
        ids = submit_on_the_pool(client)
        assert client.stats().reconnects >= 1
    queued_once(own_server, *ids)


def test_server_that_is_gone(own_server: RedisServer) -> None:
    """The error says that nothing was sent, and the state tells of the loss."""
    with Client(own_server.url(), connect_timeout=0.5) as client:
        client.submit_job("work", None)
        own_server.stop()
        assert not client.stats().connected
        with pytest.raises(exc.ConnectionError, match="not sent"):
            client.submit_job("work", None)
        with pytest.raises(exc.ConnectionError, match="connection refused"):
            client.connect()
        own_server.start()
        client.connect()
        assert client.stats().connected
        queued_once(own_server, client.submit_job("work", None))


def test_refusals_are_judged_on_the_pool(own_server: RedisServer) -> None:
    """What Redis refuses is undone and reported without the loop; the connection is used again."""
    refused: Dict[str, str] = {}
    with Client(own_server.url()) as client:
        ids = submit_on_the_pool(client)
        own_server.command("SET", "bananas:queue:high", "not a queue")
        with stopped_loop():
            with pytest.raises(exc.JobRejectedError, match="WRONGTYPE") as caught:
                client.submit_job("work", None, JobPriority.HIGH)
            refused["WRONGTYPE"] = str(caught.value.job_id)
            own_server.command("DEL", "bananas:queue:high")
            own_server.command("CONFIG", "SET", "maxmemory", "1")
            with pytest.raises(exc.JobRejectedError, match="OOM") as caught:
                client.submit_job("work", None)
            refused["OOM"] = str(caught.value.job_id)
            own_server.command("CONFIG", "SET", "maxmemory", "0")
            own_server.command("ACL", "SETUSER", "default", "-mset")
            with pytest.raises(exc.JobRejectedError, match="NOPERM") as caught:
                client.submit_job("work", None)
            refused["NOPERM"] = str(caught.value.job_id)
            own_server.command("ACL", "SETUSER", "default", "+mset")
        ids += submit_on_the_pool(client)
        assert client.stats().reconnects == 0
        assert pool_of(client).opened == 1
    assert len(refused) == 3
    queued_once(own_server, *ids)


@pytest.mark.parametrize("command_taken", ["multi", "exec"])
def test_transactions_taken_away(own_server: RedisServer, command_taken: str) -> None:
    """A user that is no longer allowed MULTI or EXEC leaves nothing behind."""
    own_server.command("ACL", "SETUSER", "producer", "on", ">secret", "~*", "&*", "+@all")
    with Client(own_server.url(username="producer", password="secret")) as client:
        ids = submit_on_the_pool(client)
        own_server.command("ACL", "SETUSER", "producer", f"-{command_taken}")
        with pytest.raises(exc.JobRejectedError, match="NOPERM"):
            client.submit_job("work", None)
        own_server.command("ACL", "SETUSER", "producer", f"+{command_taken}")
        ids += submit_on_the_pool(client)
    queued_once(own_server, *ids)


def test_transactions_taken_away_and_connection_lost(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written without a transaction is not written again if it can't be undone."""
    undo = ConnectionPool._undo

    def cut_before(pool: ConnectionPool, use: Any, outcomes: Any) -> None:
        use.connection.shut_down()
        own_server.command("ACL", "SETUSER", "producer", "+multi")
        undo(pool, use, outcomes)

    own_server.command("ACL", "SETUSER", "producer", "on", ">secret", "~*", "&*", "+@all")
    with Client(own_server.url(username="producer", password="secret")) as client:
        ids = submit_on_the_pool(client)
        own_server.command("ACL", "SETUSER", "producer", "-multi")
        monkeypatch.setattr(ConnectionPool, "_undo", cut_before)
        ids.append(client.submit_job("work", None))
        monkeypatch.undo()
        ids += submit_on_the_pool(client)
    queued_once(own_server, *ids)


def test_demoted_in_between(own_server: RedisServer) -> None:
    """A server that has become a replica is waited for, and the job is queued once it is none."""
    with RedisServer() as other, Client(own_server.url()) as client:
        ids = submit_on_the_pool(client)
        own_server.command("REPLICAOF", HOST, other.port)
        caller = Caller(lambda: client.submit_job("work", None))
        while pool_of(client).open_connections:
            pass
        own_server.command("REPLICAOF", "NO", "ONE")
        ids.append(str(caller.join()))
        ids += submit_on_the_pool(client)
    assert set(ids[-4:]) <= set(Inventory(own_server).queued)


def test_busy_server(own_server: RedisServer) -> None:
    """A server that runs a script holds a submit up, and ends none."""
    script = Script(own_server)
    try:
        with Client(own_server.url()) as client:
            ids = submit_on_the_pool(client)
            script.start()
            caller = Caller(lambda: client.submit_job("work", None))
            while pool_of(client).open_connections:
                pass
            script.stop()
            ids.append(str(caller.join()))
        queued_once(own_server, *ids)
    finally:
        script.close()


def test_cell_of_a_notebook(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell runs inside its kernel's loop, which is none of ours."""
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))

    async def cell() -> str:
        return client.submit_job("work", None)

    with Client(redis_server.url()) as client:
        queued_once(redis_server, asyncio.run(cell()))
        assert pool_of(client).submits == 1


def test_closed_client_leaves_nothing(redis_server: RedisServer) -> None:
    """close() closes every connection, and a submit after it is refused."""
    with Client(redis_server.url()) as client:
        pool = pool_of(client)
        client.submit_job("work", None)
        connection = pool._free[0]
    assert connection._socket is None
    assert pool.open_connections == 0
    with pytest.raises(exc.ClientClosedError):
        client.submit_job("work", None)
    redis_server.command("FLUSHALL")
    nothing_left(redis_server)
