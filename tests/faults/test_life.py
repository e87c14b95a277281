"""A client's life ends when its user says so, in order, and takes nobody with it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import threading
import time
import warnings
from typing import Any, AsyncIterator, Awaitable, Callable, Coroutine, Dict, Iterator, List

import pytest

from bananas import AsyncClient, Client, JobResult, JobStatus
from bananas import exceptions as exc
from tests.support import (
    FaultProxy,
    HoldReply,
    LoseReplySilently,
    RedisServer,
    Signal,
    command,
)

from .programs.leaving import WAYS
from .running import Program
from .timing import MachineLag, eventually
from .worker import finish

Scene = Callable[[AsyncClient, RedisServer, FaultProxy], Awaitable[List[Coroutine[Any, Any, Any]]]]


@pytest.fixture(autouse=True)
def _spared_collector() -> Iterator[None]:
    """Spare the collector what is older than the test: to collect that takes 0.3 s, each time."""
    # Not for a whole run: Hypothesis looks for the referrers of its random generators.
    gc.freeze()
    yield
    gc.unfreeze()


@contextlib.contextmanager
def _nothing_complains() -> Iterator[None]:
    """Check for ResourceWarnings, and for what a loop reports to nobody in particular."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    messages = [str(warning.message) for warning in caught]
    # A loop that the test runner has made for other tests is dropped when a test runs its own.
    assert [text for text in messages if not text.startswith("unclosed event loop")] == []


async def _alone() -> None:
    """Check that no task is left but this one."""
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


# What is under way when the client is closed.


async def _waits(
    client: AsyncClient, server: RedisServer, proxy: FaultProxy
) -> List[Coroutine[Any, Any, Any]]:
    """Many waits, with a live listener."""
    return [client.wait_for_result(f"job-{number}", None) for number in range(100)]


async def _submits(
    client: AsyncClient, server: RedisServer, proxy: FaultProxy
) -> List[Coroutine[Any, Any, Any]]:
    """Submits whose replies are held up."""
    proxy.on(command(b"EXEC"), HoldReply(Signal()), times=None)
    return [client.submit_job("work", number) for number in range(100)]


async def _reads(
    client: AsyncClient, server: RedisServer, proxy: FaultProxy
) -> List[Coroutine[Any, Any, Any]]:
    """Reads whose replies are held up."""
    proxy.on(command(b"GET"), HoldReply(Signal()), times=None)
    return [client.get_job(f"job-{number}") for number in range(100)]


async def _reconnect(
    client: AsyncClient, server: RedisServer, proxy: FaultProxy
) -> List[Coroutine[Any, Any, Any]]:
    """Waits, reads and submits while no connection can be had."""
    proxy.refuse()
    proxy.cut_all()
    return [client.wait_for_result("job"), client.get_job("job"), client.submit_job("work", None)]


async def _handshake(
    client: AsyncClient, server: RedisServer, proxy: FaultProxy
) -> List[Coroutine[Any, Any, Any]]:
    """Waits, reads and submits while the server accepts connections and says nothing."""
    proxy.mute()
    proxy.cut_all()
    return [client.wait_for_result("job"), client.get_job("job"), client.submit_job("work", None)]


async def _frozen(
    client: AsyncClient, server: RedisServer, proxy: FaultProxy
) -> List[Coroutine[Any, Any, Any]]:
    """Everything at once, on connections that have gone silent."""
    proxy.go_silent()
    return [client.submit_and_wait("work", "x" * (1 << 20), timeout=None), client.get_job("job")]


@pytest.mark.parametrize("elsewhere", [False, True], ids=["own task", "another task"])
@pytest.mark.parametrize("scene", [_waits, _submits, _reads, _reconnect, _handshake, _frozen])
def test_close_ends_everything(
    redis_server: RedisServer, proxy: FaultProxy, scene: Scene, elsewhere: bool
) -> None:
    """close() ends all that is under way with ClientClosedError, within 2 s; nothing is left."""

    async def main() -> None:
        complaints: List[Dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        client = AsyncClient(proxy.url())
        await client.connect()
        calls = [asyncio.ensure_future(call) for call in await scene(client, redis_server, proxy)]
        await eventually(
            lambda: client.stats().open_requests + client.stats().waits >= len(calls) // 2,
            "the calls to be under way",
        )
        with MachineLag() as lag:
            start = loop.time()
            if elsewhere:
                await asyncio.ensure_future(client.close())
            else:
                await client.close()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert loop.time() - start < 2 + lag.allowance
        assert {type(outcome) for outcome in outcomes} == {exc.ClientClosedError}
        await client.close()
        await client.aclose()
        for late in (client.get_job("job"), client.wait_for_result("job"), client.connect()):
            with pytest.raises(exc.ClientClosedError):
                await late
        await _alone()
        assert complaints == []

    with _nothing_complains():
        asyncio.run(main())


def test_close_before_and_without_a_connection() -> None:
    """A client that never connected is closed like any other."""

    async def main() -> None:
        client = AsyncClient("redis://127.0.0.1:1")
        await client.close()
        with pytest.raises(exc.ClientClosedError):
            await client.submit_job("work", None)
        await _alone()

    with _nothing_complains():
        asyncio.run(main())


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("turns", [1, 2, 3, 4, 5, 7, 10])
@pytest.mark.parametrize("scene", [_waits, _submits, _reconnect, _handshake, _frozen])
def test_cancelled_close_leaves_nothing(
    redis_server: RedisServer, proxy: FaultProxy, scene: Scene, turns: int, twice: bool
) -> None:
    """Cancelling close(), in whichever turn of the loop, does not leave anything running."""

    async def main() -> None:
        client = AsyncClient(proxy.url())
        await client.connect()
        calls = [asyncio.ensure_future(call) for call in await scene(client, redis_server, proxy)]
        await eventually(
            lambda: client.stats().open_requests + client.stats().waits >= len(calls) // 2,
            "the calls to be under way",
        )
        close = asyncio.ensure_future(client.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        close.cancel()
        if twice:
            await asyncio.sleep(0)
            close.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await close
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {exc.ClientClosedError}
        await _alone()

    with _nothing_complains():
        asyncio.run(main())


async def test_user_exception_inside_async_with(redis_server: RedisServer) -> None:
    """An exception in the block leaves it unchanged, whatever the client is doing."""
    reason = KeyError("mine")
    waits: List[asyncio.Future[Any]] = []

    async def use() -> None:
        async with AsyncClient(redis_server.url()) as client:
            waits.append(asyncio.ensure_future(client.wait_for_result("job")))
            await eventually(lambda: client.stats().listening, "the listener")
            raise reason

    with pytest.raises(KeyError) as caught:
        await use()
    assert caught.value is reason
    assert (reason.__cause__, reason.__context__) == (None, None)
    with pytest.raises(exc.ClientClosedError):
        await waits[0]


async def test_server_failure_does_not_reach_into_the_block(proxy: FaultProxy) -> None:
    """A listener in trouble cancels no code of the user's."""
    async with AsyncClient(proxy.url()) as client:
        wait = asyncio.ensure_future(client.wait_for_result("job", 60))
        await eventually(lambda: client.stats().listening, "the listener")
        proxy.refuse()
        proxy.cut_all()
        await eventually(lambda: not client.stats().listening, "the listener to fail")
        assert not wait.done()
        wait.cancel()


async def test_enter_and_leave_in_different_tasks(redis_server: RedisServer) -> None:
    """One task may enter the client, others use it, and yet another leave it."""
    client = AsyncClient(redis_server.url())
    assert await asyncio.ensure_future(client.__aenter__()) is client
    job_id = await asyncio.ensure_future(client.submit_job("work", None))
    assert await client.get_job(job_id) is not None
    await asyncio.ensure_future(client.__aexit__(None, None, None))
    await _alone()


async def test_abandoned_generator_fixture(redis_server: RedisServer) -> None:
    """A client in a generator that another task finishes, as test fixtures do, is closed well."""

    async def fixture() -> AsyncIterator[AsyncClient]:
        async with AsyncClient(redis_server.url()) as client:
            yield client

    generator = fixture()
    client = await asyncio.ensure_future(generator.__aiter__().__anext__())
    await client.submit_job("work", None)
    with pytest.raises(StopAsyncIteration):
        await asyncio.ensure_future(generator.__aiter__().__anext__())
    await _alone()


CALLS: Dict[str, Callable[[AsyncClient], Coroutine[Any, Any, Any]]] = {
    "connect": lambda client: client.connect(),
    "submit": lambda client: client.submit_job("work", None),
    "read": lambda client: client.get_job("job"),
    "wait": lambda client: client.wait_for_result("job", 1),
    "submit and wait": lambda client: client.submit_and_wait("work", None, timeout=1),
    "iterate": lambda client: client.as_completed(["job"], 1).__anext__(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
async def test_second_loop_beside_the_first(
    redis_server: RedisServer, call: Callable[[AsyncClient], Coroutine[Any, Any, Any]]
) -> None:
    """A client that lives in one loop refuses calls from another one, and says why."""
    async with AsyncClient(redis_server.url()) as client:
        wait = asyncio.ensure_future(client.wait_for_result("kept", 30))
        await eventually(lambda: client.stats().listening, "the listener")
        caught: List[BaseException] = []

        async def intrude() -> None:
            try:
                await call(client)
            except Exception as error:
                caught.append(error)

        thread = threading.Thread(target=lambda: asyncio.run(intrude()))
        thread.start()
        await asyncio.get_running_loop().run_in_executor(None, thread.join)
        (error,) = caught
        assert isinstance(error, RuntimeError)
        assert "belongs to another event loop" in str(error)
        assert not wait.done()
        assert client.stats().waits == 1
        wait.cancel()


@pytest.mark.asyncio_loop
@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_second_loop_after_the_first(
    redis_server: RedisServer, call: Callable[[AsyncClient], Coroutine[Any, Any, Any]]
) -> None:
    """A client whose loop has ended refuses calls from the next one, and says why."""

    async def first() -> None:
        await client.connect()
        with pytest.raises(exc.TimeoutError):
            await client.wait_for_result("job", 0.01)

    async def second() -> None:
        with pytest.raises(RuntimeError, match="belongs to another event loop"):
            await call(client)

    client = AsyncClient(redis_server.url())
    with _nothing_complains():
        asyncio.run(first())
        asyncio.run(second())
        asyncio.run(client.close())


Use = Callable[[AsyncClient], Awaitable[Any]]


async def _submit(client: AsyncClient) -> None:
    await client.submit_job("work", None)


async def _wait(client: AsyncClient) -> None:
    with pytest.raises(exc.TimeoutError):
        await client.wait_for_result("job", 0.3)


async def _abandon_a_wait(client: AsyncClient) -> None:
    await client.connect()
    wait = asyncio.ensure_future(client.wait_for_result("job", None))
    await eventually(lambda: client.stats().listening, "the listener")
    wait.cancel()
    await asyncio.wait([wait])


async def _iterate(client: AsyncClient) -> None:
    await client.connect()
    results = client.as_completed(["one", "other"], None)
    step = asyncio.ensure_future(results.__anext__())
    await eventually(lambda: client.stats().listening, "the listener")
    step.cancel()
    await asyncio.wait([step])


USES: Dict[str, Use] = {
    "submit": _submit,
    "wait": _wait,
    "cancelled wait": _abandon_a_wait,
    "iteration": _iterate,
}


def _forgets(use: Callable[[], Any]) -> List[str]:
    """Return what is warned of while something runs."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        use()
        gc.collect()
    texts = [str(warning.message) for warning in caught if warning.category is ResourceWarning]
    # A loop that the test runner has made for other tests is dropped when a test runs its own.
    return [text for text in texts if not text.startswith("unclosed event loop")]


def _connections(server: RedisServer) -> int:
    return bytes(server.command("CLIENT", "LIST")).count(b"\n") - 1


async def _no_connection(server: RedisServer) -> None:
    await eventually(lambda: not _connections(server), "no connection left")


def _unclosed(kind: str, server: RedisServer) -> str:
    return (
        f"unclosed client <{kind} {server.url()} routing_key=None>: close() it, or use it in a "
        "with statement"
    )


@pytest.mark.parametrize("use", USES.values(), ids=list(USES))
def test_forgotten_in_a_loop(redis_server: RedisServer, use: Use) -> None:
    """An AsyncClient that is forgotten warns and leaves no connection, task or thread."""

    async def main() -> None:
        threads = threading.active_count()
        for _ in range(20):
            client = AsyncClient(redis_server.url())
            await use(client)
            del client
        gc.collect()
        await _no_connection(redis_server)
        await _only_this_task()
        assert threading.active_count() == threads

    found = _forgets(lambda: asyncio.run(main()))
    assert found == [_unclosed("AsyncClient", redis_server)] * 20


def test_forgotten_but_for_a_part(redis_server: RedisServer) -> None:
    """The queue, the results or an iterator keep a client alive, and nothing else does."""

    async def main() -> List[Any]:
        client = AsyncClient(redis_server.url())
        parts = [client.queue, client.results, client.as_completed(["job"], 0.01)]
        await client.submit_job("work", None)
        del client
        while parts:
            gc.collect()
            await asyncio.sleep(0)
            assert _connections(redis_server)
            part = parts.pop()
            if parts:
                assert warned == []
            del part
        gc.collect()
        await _no_connection(redis_server)
        return []

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warned = caught
        asyncio.run(main())
        gc.collect()
    assert [str(warning.message) for warning in caught] == [_unclosed("AsyncClient", redis_server)]


def test_a_client_in_use_is_not_forgotten(redis_server: RedisServer) -> None:
    """A call that is under way keeps its client, though nobody else does."""

    async def main() -> None:
        wait = asyncio.ensure_future(AsyncClient(redis_server.url()).wait_for_result("job", 30))
        await eventually(lambda: _connections(redis_server) == 2, "both connections")
        gc.collect()
        assert not wait.done()
        async with AsyncClient(redis_server.url()) as other:
            await other.results.store_result(JobResult("job", JobStatus.COMPLETED, 1))
        assert (await wait).get_result() == 1

    assert len(_forgets(lambda: asyncio.run(main()))) == 1


async def _only_this_task() -> None:
    await eventually(lambda: len(asyncio.all_tasks()) == 1, "no task left")


@pytest.mark.asyncio_loop
@pytest.mark.parametrize("use", USES.values(), ids=list(USES))
@pytest.mark.parametrize("forget_first", [False, True], ids=["forgotten later", "forgotten before"])
def test_forgotten_when_its_loop_has_ended(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture, use: Use, forget_first: bool
) -> None:
    """Its loop may be closed, or run no more; that is as silent, and as complete."""

    def main() -> None:
        loop = asyncio.new_event_loop()
        client = [AsyncClient(redis_server.url())]
        loop.run_until_complete(use(client[0]))
        if forget_first:
            client.clear()
            gc.collect()
            asyncio.run(_no_connection(redis_server))
            loop.run_until_complete(_only_this_task())
        loop.close()
        client.clear()
        gc.collect()

    assert _forgets(main) == [_unclosed("AsyncClient", redis_server)]
    asyncio.run(_no_connection(redis_server))
    assert caplog.records == []


def test_forgotten_by_another_thread(redis_server: RedisServer) -> None:
    """The last who refers to a client may be any thread."""

    async def main() -> None:
        client = [AsyncClient(redis_server.url())]
        await _abandon_a_wait(client[0])
        thread = threading.Thread(target=client.clear)
        thread.start()
        await asyncio.get_running_loop().run_in_executor(None, thread.join)
        await _no_connection(redis_server)
        await _only_this_task()

    assert _forgets(lambda: asyncio.run(main())) == [_unclosed("AsyncClient", redis_server)]


def test_forgotten_blocking_clients(redis_server: RedisServer) -> None:
    """A blocking client that is forgotten warns, and leaves no connection behind."""

    def use() -> None:
        for _ in range(10):
            client = Client(redis_server.url())
            client.submit_job("work", None)
            with pytest.raises(exc.TimeoutError):
                client.wait_for_result("job", 0.05)
            del client

    assert _forgets(use) == [_unclosed("Client", redis_server)] * 10
    asyncio.run(_no_connection(redis_server))


def test_never_used_is_nothing_to_warn_of(redis_server: RedisServer) -> None:
    """A client that was closed, or never used, is forgotten without a word."""

    async def main() -> None:
        AsyncClient(redis_server.url())
        async with AsyncClient(redis_server.url()) as client:
            await _abandon_a_wait(client)

    def use() -> None:
        asyncio.run(main())
        Client(redis_server.url()).close()
        with pytest.raises(exc.ConnectionError):
            Client("redis://127.0.0.1:1")

    assert _forgets(use) == []


_caller: contextvars.ContextVar[str] = contextvars.ContextVar("caller", default="nobody")


def test_nothing_inherits_the_context_of_its_first_caller(redis_server: RedisServer) -> None:
    """Owners, timers and readers, and what they log, know no context variable of any caller."""
    seen: List[str] = []

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(_caller.get())

    def provoke(client: Any) -> None:
        redis_server.command("CLIENT", "KILL", "TYPE", "normal")
        redis_server.command("CLIENT", "KILL", "TYPE", "pubsub")

    async def main() -> None:
        _caller.set("first")
        async with AsyncClient(redis_server.url()) as client:
            wait = asyncio.ensure_future(client.wait_for_result("job", 20))
            await eventually(lambda: client.stats().listening, "the listener")
            provoke(client)
            await eventually(lambda: len(seen) >= 2, "both losses in the log")
            wait.cancel()
            names = [task.get_name() for task in asyncio.all_tasks()]
            assert any(name.startswith("bananas") for name in names)

    def block() -> None:
        _caller.set("first")
        with Client(redis_server.url()) as client:
            for _ in range(10):
                client.submit_job("work", None)
                client.get_job("job")
            with pytest.raises(exc.TimeoutError):
                client.wait_for_result("job", 0.05)
            provoke(client)
            deadline = time.monotonic() + 20
            while len(seen) < 2 and time.monotonic() < deadline:
                client.get_job("job")

    log, handler = logging.getLogger("bananas"), Heard()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        asyncio.run(main())
        assert set(seen) == {"nobody"}
        seen.clear()
        contextvars.copy_context().run(block)
        assert set(seen) == {"nobody"}
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def test_close_ends_the_connections_of_a_forked_child(redis_server: RedisServer) -> None:
    """A forked child that lives does not keep the parent's connections open."""
    with Program("inheriting", redis_server.url()) as program:
        program.expect("closed")
        asyncio.run(_no_connection(redis_server))
        program.say("end")
        program.end_well()


@pytest.mark.parametrize("way", sorted(WAYS))
def test_process_ends(redis_server: RedisServer, proxy: FaultProxy, way: str) -> None:
    """A process that does not close its client ends in 3 s with status 0 and without a word."""
    if way == "submitting":
        proxy.on(command(b"EXEC"), HoldReply(Signal()))
    if way == "connecting":
        proxy.mute()
    with MachineLag() as lag, Program("leaving", way, proxy.url()) as program:
        program.expect("leaving")
        assert program.end_well() < 3 + lag.allowance
    if way == "collected_late":
        assert redis_server.command("LLEN", "bananas:queue:normal") == 1


def test_exit_hook_after_the_loop_has_ended(redis_server: RedisServer) -> None:
    """A call from an exit hook that comes too late gets a typed error; close() still works."""
    with Program("late_hook", redis_server.url()) as program:
        program.expect("leaving")
        program.expect("closed")
        program.end_well()


@pytest.mark.parametrize("spared", [True, False], ids=["callers go on", "all"])
def test_every_task_is_cancelled(
    redis_server: RedisServer, proxy: FaultProxy, spared: bool
) -> None:
    """After all tasks of the loop were cancelled, calls under way end, and later ones work."""

    async def sweep(*spare: Any) -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task(), *spare}:
            task.cancel()
        await asyncio.sleep(0.05)  # the sweep's own pause

    async def main() -> None:
        async with AsyncClient(proxy.url(), submit_timeout=1, read_timeout=1) as client:
            wait = asyncio.ensure_future(client.wait_for_result("awaited", 30))
            await eventually(lambda: client.stats().listening, "the listener")
            proxy.on(command(b"EXEC"), LoseReplySilently())
            submit = asyncio.ensure_future(client.submit_job("work", None))
            await eventually(lambda: proxy.commands["EXEC"] == 1, "the submit")
            vain = asyncio.ensure_future(client.wait_for_result("nothing", 1))
            await asyncio.sleep(0)
            await sweep(*([wait, submit, vain] if spared else []))
            if spared:
                with pytest.raises(exc.TimeoutError):
                    await asyncio.wait_for(vain, 20)
                (outcome,) = await asyncio.wait_for(
                    asyncio.gather(submit, return_exceptions=True), 20
                )
                assert isinstance(outcome, (str, exc.OutcomeUnknownError))
            else:
                assert wait.cancelled()
                assert submit.cancelled()
            for number in range(2):
                assert await client.get_job(await client.submit_job("work", None)) is not None
                again = asyncio.ensure_future(client.wait_for_result(f"again-{number}", 30))
                await eventually(lambda: client.stats().listening, "the listener")
                with redis_server.connect() as redis:
                    finish(redis, ["awaited", f"again-{number}"])
                assert (await again).get_result() == f"again-{number}"
                if spared:
                    assert (await wait).get_result() == "awaited"
                await sweep()
            with pytest.raises(exc.TimeoutError):
                await client.wait_for_result("nothing", 0.3)

    asyncio.run(main())
