"""Blocking calls give way to Ctrl-C, refuse a loop's own thread, and keep many threads apart."""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import Any, Callable, Dict, List

import pytest

from bananas import Client
from bananas import exceptions as exc
from bananas._blocking import ProcessConnections
from bananas._blocking.connection_pool import ConnectionPool
from tests.support import FaultProxy, HoldReply, RedisServer, Signal, command

from .inventory import Inventory
from .programs.interrupted import CALLS
from .running import Program
from .timing import eventually
from .worker import finish


@pytest.mark.parametrize("call", sorted(CALLS))
def test_interrupt(redis_server: RedisServer, proxy: FaultProxy, call: str) -> None:
    """Ctrl-C ends a blocking call at once, cancels its coroutine, and leaves the client usable."""
    release = Signal()
    words = {"submit_job": b"EXEC", "submit_job with an id": b"EXEC", "get_job": b"GET"}
    seen = words.get(call, b"SUBSCRIBE")
    before = 1 if seen == b"EXEC" else 0  # the program has submitted a job before
    rule = proxy.on(command(seen), HoldReply(release), skip=before)
    with Program("interrupted", call, proxy.url()) as program:
        program.expect("calling")
        rule.wait()
        program.process.send_signal(signal.SIGINT)
        program.expect("interrupted")
        release.set()
        program.say("go on")
        program.expect("usable")
        program.end_well()
    found = Inventory(redis_server)
    assert set(found.queued.values()) == {1}
    assert set(found.queued) == found.documents


def test_storm_of_interrupts(redis_server: RedisServer, seed: int) -> None:
    """Whichever moment of a call Ctrl-C strikes, the next call works, and nothing is queued twice,
    nor is what was returned missing."""
    with Program("storm", redis_server.url(), "5000", str(seed)) as program:
        program.expect("usable")
        program.end_well()
    found = Inventory(redis_server)
    assert set(found.queued.values()) == {1}
    assert set(found.queued) == found.documents


BLOCKING: Dict[str, Callable[[Client], object]] = {
    "connect": lambda client: client.connect(),
    "submit": lambda client: client.submit_job("work", None),
    "read": lambda client: client.get_job("job"),
    "wait": lambda client: client.wait_for_result("job", 0.1),
    "iterate": lambda client: list(client.as_completed(["job"], 0.1)),
    "stats": lambda client: client.stats(),
    "close": lambda client: client.close(),
}


@pytest.mark.parametrize("call", BLOCKING.values(), ids=list(BLOCKING))
def test_refuses_the_thread_of_a_running_loop(
    redis_server: RedisServer, call: Callable[[Client], object]
) -> None:
    """A blocking call on the thread of a running loop says so, and works on another thread."""

    async def main(client: Client) -> None:
        with pytest.raises(RuntimeError, match="use AsyncClient, or asyncio.to_thread"):
            call(client)
        with pytest.raises(RuntimeError, match="use AsyncClient, or asyncio.to_thread") as caught:
            Client(redis_server.url())
        assert caught.value.__context__ is None
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, client.submit_job, "work", None)

    with Client(redis_server.url()) as client:
        asyncio.run(main(client))
    assert redis_server.command("LLEN", "bananas:queue:normal") == 1


def test_64_threads_on_one_client(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """64 threads share one client and its connections, and each gets its own replies alone."""
    failures: List[BaseException] = []
    begin = threading.Barrier(64)

    def work(number: int) -> None:
        try:
            begin.wait(60)
            for turn in range(20):
                job_id = f"job-{number}-{turn}"
                assert client.submit_job("work", [number, turn], job_id=job_id) == job_id
                job = client.get_job(job_id)
                assert job is not None
                assert (job.id, job.payload) == (job_id, [number, turn])
                assert client.get_result(f"none-{number}") is None
                if turn % 5 == 0:
                    finish(workers[number], [job_id])
                    assert client.wait_for_result(job_id).get_result() == job_id
        except BaseException as error:
            failures.append(error)

    workers = [redis_server.connect() for _ in range(64)]
    with Client(proxy.url()) as client:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        assert (
            proxy.connections_opened == 3
        )  # a blocking one, the loop's connection, the listener's
        assert client.stats().reconnects == 0
    for worker in workers:
        worker.close()
    assert failures == []
    found = Inventory(redis_server)
    assert (len(found.queued), set(found.queued.values())) == (64 * 20, {1})


def test_64_threads_under_cuts(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """Connections that break between 64 threads' calls mix nothing up and lose nothing."""
    failures: List[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(10):
                job_id = client.submit_job("work", [number, turn])
                job = client.get_job(job_id)
                assert job is not None
                assert (job.id, job.payload) == (job_id, [number, turn])
        except BaseException as error:
            failures.append(error)

    with Client(proxy.url()) as client:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            _one_more(proxy, threads)
            proxy.cut_all()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    assert failures == []
    found = Inventory(redis_server)
    assert (len(found.queued), set(found.queued.values())) == (640, {1})


def _one_more(proxy: FaultProxy, threads: List[threading.Thread]) -> None:
    """Wait for the next transaction, if there is to be one."""
    before = proxy.commands["EXEC"]
    proxy.wait(
        lambda: proxy.commands["EXEC"] > before or not any(each.is_alive() for each in threads)
    )


async def test_closing_in_another_thread_ends_a_blocking_wait(redis_server: RedisServer) -> None:
    """close() in one thread ends the blocking waits of others."""
    client = await asyncio.get_running_loop().run_in_executor(None, Client, redis_server.url())
    errors: List[BaseException] = []

    def wait() -> None:
        try:
            client.wait_for_result("never", None)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=wait) for _ in range(8)]
    for thread in threads:
        thread.start()
    await eventually(lambda: redis_server.command("PUBSUB", "CHANNELS"), "the waits")
    await asyncio.get_running_loop().run_in_executor(None, client.close)
    for thread in threads:
        thread.join(20)
    assert [type(error).__name__ for error in errors] == ["ClientClosedError"] * 8


def test_iterators_end_with_their_client(redis_server: RedisServer) -> None:
    """Leaving an iterator after its client was closed raises nothing, and hides no exception."""
    client = Client(redis_server.url())

    def leave() -> None:
        with client.as_completed(["job"]), client.watch("job"):
            client.close()
            raise LookupError

    with pytest.raises(LookupError):
        leave()


@pytest.mark.parametrize("kind", [ProcessConnections, ConnectionPool])
def test_interrupted_while_it_is_made(kind: Any) -> None:
    """What Ctrl-C has kept from being made is collected in silence."""
    kind.__new__(kind).__del__()


def test_errors_do_not_tell_of_the_loop_thread() -> None:
    """What the owner was about when it told of an error is neither printed nor kept alive."""
    with pytest.raises(exc.ConnectionError) as caught:
        Client("redis://127.0.0.1:1")
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)


def test_a_refused_wait_does_not_tell_of_the_listener(redis_server: RedisServer) -> None:
    """Neither does one that is ended since connecting has become pointless."""
    redis_server.command("ACL", "SETUSER", "gone", "on", ">secret", "~*", "&*", "+@all")
    with Client(redis_server.url().replace("redis://", "redis://gone:secret@")) as client:
        redis_server.command("ACL", "DELUSER", "gone")
        with pytest.raises(exc.AuthenticationError) as caught:
            client.wait_for_result("job", 20)
    assert caught.value.__context__ is None
