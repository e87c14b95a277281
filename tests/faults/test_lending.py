"""A blocking caller that is alone: whatever happens, its jobs are queued once."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
from datetime import timedelta
from types import SimpleNamespace
from typing import Callable, Dict, List, Optional, Tuple

import pytest

from bananas import Client, JobPriority, JobSpec
from bananas import exceptions as exc
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
from tests.support.server_process import wait_until

from .inventory import Inventory, queued_once
from .programs.struck import DEEDS
from .running import Program
from .submits import CUTS
from .worker import finish

_MANY = 20

WAYS: Dict[str, Callable[[Client], str]] = {
    "single": lambda client: client.submit_job("work", {"number": 1}),
    "scheduled": lambda client: client.submit_job_scheduled(
        "work", [1], JobPriority.LOW, timedelta(hours=1)
    ),
    "routed": lambda client: client.submit_job("work", "text", routing_key="gpu"),
}
#: Which reply is missing: with the first, the thread waits itself; without the last, the loop does.
either_waits = pytest.mark.parametrize("missing", [b"MULTI", b"EXEC"], ids=["thread", "loop"])
every_way = pytest.mark.parametrize("submit", WAYS.values(), ids=WAYS.keys())


def lend(client: Client) -> List[str]:
    """Submit a few jobs, and return the ids."""
    return [client.submit_job("before", None) for _ in range(5)]


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
    """Whether it is lent or not, what is submitted later stands later in its list."""
    with Client(redis_server.url()) as client:
        ids = [client.submit_job("work", number) for number in range(_MANY)]
        assert client.get_job(ids[0]) is not None
        ids += [client.submit_job("work", number) for number in range(_MANY)]
    found = redis_server.command("LRANGE", "bananas:queue:normal", 0, -1)
    assert [job_id.decode() for job_id in reversed(found)] == ids


def test_every_other_call_takes_it_back(redis_server: RedisServer) -> None:
    """Reads, submits of many, chosen ids, waits and a look at the state work on a lent one."""
    calls: Dict[str, Callable[[], object]] = {
        "connect": lambda: client.connect(),
        "get_job": lambda: client.get_job("none"),
        "get_result": lambda: client.get_result("none"),
        "submit_jobs": lambda: client.submit_jobs([JobSpec("work", None)] * 2),
        "chosen id": lambda: client.submit_job("work", None, job_id="order-1"),
        "stats": lambda: client.stats(),
    }
    with Client(redis_server.url()) as client:
        for call in calls.values():
            lend(client)
            call()
        lend(client)
        with pytest.raises(exc.TimeoutError):
            client.wait_for_result("none", 0.01)
        assert client.stats().reconnects == 0


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
        ids = lend(client)
        rule = proxy.on(command(first), action)
        ids.append(submit(client))
        assert rule.fired == 1
        ids.append(submit(client))
        ids += lend(client)
    queued_once(redis_server, *ids)


def test_cut_after_any_number_of_bytes(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """A submit that is cut off after any number of bytes succeeds, and is queued once."""
    with Client(proxy.url()) as client:
        ids = lend(client)
        before = proxy.bytes_forwarded
        ids.append(client.submit_job("work", 1))
        size = proxy.bytes_forwarded - before
        for offset in range(0, size, 3):
            ids += lend(client)
            cut = proxy.cut_stream(offset)
            ids.append(client.submit_job("work", 1))
            assert cut.fired == 1
    queued_once(redis_server, *ids)


def test_replies_byte_by_byte(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """Replies that come in pieces are put together by the loop."""
    with Client(proxy.url()) as client:
        ids = lend(client)
        proxy.drip(0)
        ids += [client.submit_job("work", number) for number in range(_MANY)]
        assert client.stats().reconnects == 0
    queued_once(redis_server, *ids)


def test_more_than_the_network_takes(redis_server: RedisServer) -> None:
    """A document of 30 MB is written as far as it goes, and the loop writes the rest."""
    text = "x" * 30_000_000
    with Client(redis_server.url()) as client:
        ids = lend(client)
        ids.append(client.submit_job("work", text))
        job = client.get_job(ids[-1])
        assert job is not None
        assert job.payload == text
        assert client.stats().reconnects == 0
    queued_once(redis_server, *ids)


def test_closed_by_the_server_while_idle(redis_server: RedisServer) -> None:
    """A connection that ended while it was lent is noticed before anything is sent on it."""
    with Client(redis_server.url()) as client:
        ids = lend(client)
        redis_server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        ids.append(client.submit_job("work", None))
        assert client.stats().reconnects == 1
        ids += lend(client)
    queued_once(redis_server, *ids)


def test_server_that_is_gone(own_server: RedisServer) -> None:
    """A submit that was not sent is not called doubtful, and the state tells of the loss."""
    with Client(own_server.url(), connect_timeout=0.5) as client:
        lend(client)
        own_server.stop()
        wait_until(lambda: not client.stats().connected, "the loss is noticed")
    with Client(own_server.start().url(), connect_timeout=0.5) as client:
        lend(client)
        own_server.stop()
        with pytest.raises(exc.ConnectionError, match="not sent"):
            client.submit_job("work", None)
        own_server.start()
        queued_once(own_server, client.submit_job("work", None))


def test_stray_reply_while_idle(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """A reply that nobody asked for costs the connection, and is nobody's reply."""
    with Client(proxy.url()) as client:
        ids = lend(client)
        proxy.inject(b"+OK\r\n")
        ids.append(client.submit_job("work", None))
        assert client.stats().reconnects == 1
    queued_once(redis_server, *ids)


@either_waits
def test_server_that_falls_silent(
    redis_server: RedisServer, proxy: FaultProxy, missing: bytes
) -> None:
    """A reply that does not come is found out about in time."""
    with Client(proxy.url(), submit_timeout=2) as client:
        ids = lend(client)
        rule = proxy.on(command(missing), LoseReplySilently())
        ids.append(client.submit_job("work", None))
        assert rule.fired == 1
        ids += lend(client)
    queued_once(redis_server, *ids)


def test_server_that_stays_silent(redis_server: RedisServer) -> None:
    """A submit of which nothing can be found out says so, and was queued once or not at all."""
    with Client(redis_server.url(), submit_timeout=0.5, connect_timeout=0.5) as client:
        ids = lend(client)
        redis_server.pause()
        with pytest.raises(exc.OutcomeUnknownError) as caught:
            client.submit_job("work", None)
        redis_server.resume()
        ids += lend(client)
    found = Inventory(redis_server)
    assert set(found.queued) - {caught.value.job_id} == set(ids)
    assert set(found.queued.values()) == {1}
    assert set(found.queued) == found.documents


def test_refusals(own_server: RedisServer) -> None:
    """A job that Redis refuses is refused as ever, and nothing of it is left behind."""
    with Client(own_server.url()) as client:
        ids = lend(client)
        own_server.command("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(exc.JobRejectedError, match="OOM"):
            client.submit_job("work", None)
        own_server.command("CONFIG", "SET", "maxmemory", "0")
        ids += lend(client)
        own_server.command("SET", "bananas:queue:high", "not a queue")
        with pytest.raises(exc.JobRejectedError, match="WRONGTYPE"):
            client.submit_job("work", None, JobPriority.HIGH)
        own_server.command("DEL", "bananas:queue:high")
        ids += lend(client)
        with pytest.raises(exc.SerializationError):
            client.submit_job("work", float("nan"))
        with pytest.raises(ValueError, match="name"):
            client.submit_job("", None)
        assert client.stats().reconnects == 0
    queued_once(own_server, *ids)


@either_waits
def test_others_join_while_a_reply_is_awaited(
    redis_server: RedisServer, proxy: FaultProxy, missing: bytes
) -> None:
    """Calls of other threads wait for the reply to a lone submit, and then share a pipeline."""
    release = Signal()
    with Client(proxy.url()) as client:
        ids = lend(client)
        rule = proxy.on(command(missing), HoldReply(release))
        first = Caller(lambda: client.submit_job("work", 1))
        rule.wait()
        others = [Caller(lambda: client.submit_job("work", 2)) for _ in range(3)]
        reading = Caller(lambda: client.get_job(ids[0]))
        while client.stats().open_requests < 5:
            pass
        assert proxy.commands["EXEC"] == len(ids) + 1
        release.set()
        ids += [str(caller.join()) for caller in [first, *others]]
        assert reading.join() is not None
        assert proxy.commands["EXEC"] == len(ids) - 2
        stats = client.stats()
        assert (stats.open_requests, stats.reconnects) == (0, 0)
        ids += lend(client)
    queued_once(redis_server, *ids)


@either_waits
def test_notification_while_a_reply_is_awaited(
    redis_server: RedisServer, proxy: FaultProxy, missing: bytes
) -> None:
    """The read that a notification asks for waits for the reply to a lone submit."""
    release = Signal()
    worker = redis_server.connect()
    with Client(proxy.url(), safety_interval=600) as client:
        waiting = Caller(lambda: client.wait_for_result("awaited").get_result())
        while not (client.stats().listening and proxy.commands["GETRANGE"]):
            pass
        ids = lend(client)
        rule = proxy.on(command(missing), HoldReply(release))
        submitting = Caller(lambda: client.submit_job("work", None))
        rule.wait()
        read = proxy.commands["HGETALL"]
        finish(worker, ["awaited"])
        while client._inner._pipeline.open_requests < 2:  # stats() would take it back itself
            pass
        assert proxy.commands["HGETALL"] == read
        release.set()
        assert waiting.join() == "awaited"
        ids.append(str(submitting.join()))
        assert client.stats().reconnects == 0
    worker.close()
    found = Inventory(redis_server)
    assert (set(found.queued), set(found.queued.values())) == (set(ids), {1})


@either_waits
@pytest.mark.parametrize("reply", ["comes", "is lost"])
def test_closing_while_a_reply_is_awaited(
    redis_server: RedisServer, proxy: FaultProxy, reply: str, missing: bytes
) -> None:
    """close() in another thread ends a lone submit at once, and says that it may be queued."""
    release = Signal()
    with Client(proxy.url(), submit_timeout=600, read_timeout=600) as client:
        lend(client)
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


def test_unix_socket(redis_server: RedisServer) -> None:
    """A unix socket is lent like any other."""
    with Client(f"unix://{redis_server.unix_socket}") as client:
        ids = lend(client)
        ids.append(client.submit_job("work", None))
    queued_once(redis_server, *ids)


def test_cell_of_a_notebook(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell runs inside its kernel's loop, which is none of ours, whoever has the connection."""
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))

    async def cell() -> str:
        return client.submit_job("work", None)

    with Client(redis_server.url()) as client:
        ids = lend(client)
        queued_once(redis_server, *ids, asyncio.run(cell()))


@pytest.mark.parametrize("through", ["whole replies", "pieces"])
@pytest.mark.parametrize("deed", DEEDS)
def test_signal_handler_at_any_instruction(
    redis_server: RedisServer, proxy: FaultProxy, deed: str, through: str
) -> None:
    """Whatever a handler that interrupts a lone submit does, and wherever it does it, nothing waits
    for a time-out, and every job is queued once or not at all."""
    stride = 1
    url = redis_server.url()
    if through == "pieces":
        proxy.drip(0)
        url, stride = proxy.url(), 11
    with Program("struck", url, deed, str(stride), redis_server.url()) as program:
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
