"""Plain submits of blocking callers go out on a pool, and nothing that may happen shows it."""

from __future__ import annotations

import random
import socket
import threading
import time
from datetime import timedelta
from typing import Callable, Dict, List, Optional, Tuple

import pytest

from bananas import Client, JobPriority
from bananas import exceptions as exc
from bananas._blocking.blocking_connection import BlockingConnection
from bananas._blocking.connection_pool import ConnectionPool
from bananas._redis import Endpoint, new_reader, pack
from tests.support import (
    CutReply,
    FaultProxy,
    HoldReply,
    Inject,
    LoseReply,
    LoseReplySilently,
    RedisServer,
    Signal,
    command,
)
from tests.support.faults import Action

from .inventory import Inventory, queued_once
from .programs.struck import DEEDS
from .running import Program
from .submits import CUTS

_MANY = 20

WAYS: Dict[str, Callable[[Client], str]] = {
    "single": lambda client: client.submit_job("work", {"number": 1}),
    "scheduled": lambda client: client.submit_job_scheduled(
        "work", [1], JobPriority.LOW, timedelta(hours=1)
    ),
    "routed": lambda client: client.submit_job("work", "text", routing_key="gpu"),
}
#: Which reply is missing.
any_reply = pytest.mark.parametrize("missing", [b"MULTI", b"EXEC"])
every_way = pytest.mark.parametrize("submit", WAYS.values(), ids=WAYS.keys())


def pool_of(client: Client) -> ConnectionPool:
    """The pool of a client."""
    return client._connections.here.pool


class Caller:
    """A thread that makes one call.

    Args:
        call: The call.
    """

    def __init__(self, call: Callable[[], object]) -> None:
        self.value: object = None
        self.error: Optional[BaseException] = None
        self._call = call
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.value = self._call()
        except BaseException as error:
            self.error = error

    def join(self) -> object:
        """Wait for its end; return what the call has returned, or raise what it has raised."""
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error
        return self.value


def test_jobs_keep_their_order(redis_server: RedisServer) -> None:
    """Whether by the pool or by the loop, what is submitted later stands later in its list."""
    with Client(redis_server.url()) as client:
        ids = [client.submit_job("work", number) for number in range(_MANY)]
        assert client.get_job(ids[0]) is not None
        ids += [client.submit_job("work", number) for number in range(_MANY)]
    found = redis_server.command("LRANGE", "bananas:queue:normal", 0, -1)
    assert [job_id.decode() for job_id in reversed(found)] == ids


FAULTS: Dict[str, Tuple[bytes, Action]] = {
    **CUTS,
    "all replies lost": (b"MULTI", LoseReply()),
    "last reply lost": (b"EXEC", LoseReply()),
    "first reply in part": (b"MULTI", CutReply(3)),
    "last reply in part": (b"EXEC", CutReply(9)),
    "stray reply at first": (b"MULTI", Inject(b"+OK\r\n")),
    "stray reply in between": (b"EXEC", Inject(b"+OK\r\n")),
    "stray reply at last": (b"EXEC", Inject(b":1\r\n", after=True)),
}


@every_way
@pytest.mark.parametrize(("first", "action"), FAULTS.values(), ids=FAULTS.keys())
def test_fault(
    redis_server: RedisServer,
    proxy: FaultProxy,
    submit: Callable[[Client], str],
    first: bytes,
    action: Action,
) -> None:
    """Wherever its connection is cut or spoilt, a submit succeeds, and is queued once."""
    with Client(proxy.url()) as client:
        ids = [client.submit_job("before", None)]
        rule = proxy.on(command(first), action)
        ids.append(submit(client))
        assert rule.fired == 1
        ids.append(submit(client))
        ids.append(client.submit_job("after", None))
    queued_once(redis_server, *ids)


def test_cut_after_any_number_of_bytes(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """A submit that is cut off after any number of bytes succeeds, and is queued once."""
    with Client(proxy.url()) as client:
        ids = [client.submit_job("before", None)]
        before = proxy.bytes_forwarded
        ids.append(client.submit_job("work", 1))
        size = proxy.bytes_forwarded - before
        for offset in range(0, size, 3):
            ids.append(client.submit_job("after", None))
            cut = proxy.cut_stream(offset)
            ids.append(client.submit_job("work", 1))
            assert cut.fired == 1
    queued_once(redis_server, *ids)


def test_stray_reply_while_idle(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """A reply that nobody asked for costs the connection, and is nobody's reply."""
    with Client(proxy.url()) as client:
        ids = [client.submit_job("before", None)]
        proxy.inject(b"+OK\r\n")
        ids.append(client.submit_job("work", None))
        assert client.stats().reconnects == 1
    queued_once(redis_server, *ids)


def test_stray_reply_behind_the_last_one() -> None:
    """A reply that came together with the last one makes its connection unfit for the next use."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = BlockingConnection(Endpoint(), 60)
        connection._socket, connection._reader = ours, new_reader()
        connection._is_readable = lambda: False
        theirs.sendall(b"+PONG\r\n+OK\r\n")
        until = time.monotonic() + 60
        assert connection.exchange(pack([("PING",)]), 1, until, 60) == [b"PONG"]
        # Releases of hiredis before 2.2 can't tell.
        assert connection.is_quiet is not hasattr(connection._reader, "has_data")


@any_reply
def test_server_that_falls_silent(
    redis_server: RedisServer, proxy: FaultProxy, missing: bytes
) -> None:
    """A reply that does not come is found out about in time."""
    with Client(proxy.url(), submit_timeout=2) as client:
        ids = [client.submit_job("before", None)]
        rule = proxy.on(command(missing), LoseReplySilently())
        ids.append(client.submit_job("work", None))
        assert rule.fired == 1
        ids.append(client.submit_job("after", None))
    queued_once(redis_server, *ids)


def test_server_that_stays_silent(redis_server: RedisServer) -> None:
    """A submit of which nothing can be found out says so, and was queued once or not at all."""
    with Client(redis_server.url(), submit_timeout=0.5, connect_timeout=0.5) as client:
        ids = [client.submit_job("before", None)]
        redis_server.pause()
        with pytest.raises(exc.OutcomeUnknownError) as caught:
            client.submit_job("work", None)
        redis_server.resume()
        ids.append(client.submit_job("after", None))
    assert caught.value.__context__ is None
    found = Inventory(redis_server)
    assert set(found.queued) - {caught.value.job_id} == set(ids)
    assert set(found.queued.values()) == {1}
    assert set(found.queued) == found.documents


def test_refusals(own_server: RedisServer) -> None:
    """A job that Redis refuses is refused as ever, and nothing of it is left behind."""
    with Client(own_server.url()) as client:
        ids = [client.submit_job("before", None)]
        own_server.command("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(exc.JobRejectedError, match="OOM"):
            client.submit_job("work", None)
        own_server.command("CONFIG", "SET", "maxmemory", "0")
        ids.append(client.submit_job("after", None))
        own_server.command("SET", "bananas:queue:high", "not a queue")
        with pytest.raises(exc.JobRejectedError, match="WRONGTYPE"):
            client.submit_job("work", None, JobPriority.HIGH)
        own_server.command("DEL", "bananas:queue:high")
        ids.append(client.submit_job("after", None))
        with pytest.raises(exc.SerializationError):
            client.submit_job("work", float("nan"))
        with pytest.raises(ValueError, match="name"):
            client.submit_job("", None)
        assert client.stats().reconnects == 0
    queued_once(own_server, *ids)


@any_reply
@pytest.mark.parametrize("reply", ["comes", "is lost"])
def test_closing_while_a_reply_is_awaited(
    redis_server: RedisServer, proxy: FaultProxy, reply: str, missing: bytes
) -> None:
    """close() in another thread ends a lone submit at once, and says that it may be queued."""
    release = Signal()
    with Client(proxy.url(), submit_timeout=600, read_timeout=600) as client:
        client.submit_job("before", None)
        held = HoldReply(release) if reply == "comes" else LoseReplySilently()
        rule = proxy.on(command(missing), held)
        caller = Caller(lambda: client.submit_job("work", None))
        rule.wait()
        client.close()
        with pytest.raises(exc.ClientClosedError, match="may or may not be queued"):
            caller.join()
        release.set()
        with pytest.raises(exc.ClientClosedError):
            client.submit_job("work", None)


def test_closing_before_a_connection_is_opened(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A submit that close() overtakes before it has a connection opens none."""
    client = Client(redis_server.url())
    pool = pool_of(client)
    look = pool._clock

    def look_late() -> float:
        client.close()
        return look()

    monkeypatch.setattr(pool, "_clock", look_late)
    with pytest.raises(exc.ClientClosedError):
        client.submit_job("work", None)
    assert pool.opened == 1


def test_closing_while_a_connection_is_opened(redis_server: RedisServer) -> None:
    """What was opened for a submit as close() came is closed when the submit ends."""
    client = Client(redis_server.url())
    pool = pool_of(client)
    pool._close_free()
    open_connection = pool._open_connection
    opened: List[BlockingConnection] = []

    def open_late() -> BlockingConnection:
        client.close()
        opened.append(open_connection())
        return opened[0]

    pool._open_connection = open_late
    job_id = client.submit_job("work", None)
    assert (opened[0]._socket, pool.open_connections) == (None, 0)
    queued_once(redis_server, job_id)


@pytest.mark.parametrize("end", ["is cut", "is silent", "has ended"])
def test_connecting_again(redis_server: RedisServer, proxy: FaultProxy, end: str) -> None:
    """connect() replaces a connection that turns out to be lost, without the loop."""
    with Client(proxy.url()) as client:
        pool = pool_of(client)
        silence, pool._silence = pool._silence, 0.1
        if end == "has ended":
            pool._free[0].shut_down()
            pool._free[0]._is_readable = lambda: False  # it has ended after this look
        else:
            proxy.on(command(b"PING"), LoseReply() if end == "is cut" else LoseReplySilently())
        client.connect()
        assert (pool.opened, pool.lost, pool.open_connections) == (2, 1, 1)
        assert client._connections.looping is None
        pool._silence = silence
        queued_once(redis_server, client.submit_job("work", None))


#: Which call is interrupted, and how many instructions lie between two strikes. Where the first one
#: is, chance decides: in the course of many runs there is a strike before each instruction.
STRUCK = {
    "on a blocking connection": 1,
    "on a blocking connection, in pieces": 11,
    "opening a blocking connection": 29,
    "starting the loop": 13,
}


@pytest.mark.parametrize("call", STRUCK)
@pytest.mark.parametrize("deed", DEEDS)
def test_signal_handler_at_any_instruction(
    redis_server: RedisServer, proxy: FaultProxy, rng: random.Random, deed: str, call: str
) -> None:
    """Whatever a handler that interrupts a call does, and wherever it does it, nothing waits for a
    time-out, and every job is queued once or not at all."""
    url = redis_server.url()
    call, _, pieces = call.partition(", ")
    stride = STRUCK[call]
    if pieces:
        proxy.drip(0)
        url, stride = proxy.url(), STRUCK["on a blocking connection, in pieces"]
    strikes = str(rng.randrange(stride)), str(stride)
    with Program("struck", url, call, deed, *strikes, redis_server.url()) as program:
        program.expect("usable")
        program.end_well()
    found = Inventory(redis_server)
    assert set(found.queued.values()) == {1}
    assert set(found.queued) == found.documents


def test_company_that_comes_and_goes(
    redis_server: RedisServer, proxy: FaultProxy, rng: random.Random
) -> None:
    """While threads come and go, and connections are cut, every job is queued once."""
    ids: List[str] = []
    ending = threading.Event()

    def submit() -> None:
        for number in range(400):
            ids.append(client.submit_job("work", number))
        ending.set()

    def disturb() -> None:
        while not ending.is_set():
            deed = rng.choice(["read", "submit", "look", "cut"])
            if deed == "read":
                client.get_job("none")
            elif deed == "submit":
                ids.extend(client.submit_job("work", None) for _ in range(rng.randrange(8)))
            elif deed == "look":
                client.stats()
            else:
                proxy.cut_all()
            ending.wait(rng.random() / 50)

    with Client(proxy.url()) as client:
        callers = [Caller(submit), Caller(disturb)]
        for caller in callers:
            caller.join()
    queued_once(redis_server, *ids)
