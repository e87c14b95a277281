"""A client's life ends when its user says so, in order, and takes nobody with it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import warnings
from typing import Any, AsyncIterator, Awaitable, Callable, Coroutine, Dict, Iterator, List

import pytest

from bananas import AsyncClient, Client
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


def test_cancelled_close_leaves_nothing(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """Cancelling close() itself does not leave anything running."""

    async def main() -> None:
        client = AsyncClient(proxy.url())
        wait = asyncio.ensure_future(client.wait_for_result("job", None))
        await eventually(lambda: client.stats().listening, "the listener")
        proxy.go_silent()
        close = asyncio.ensure_future(client.close())
        await asyncio.sleep(0)
        close.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await close
        await client.close()
        with pytest.raises(exc.ClientClosedError):
            await wait
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


def test_forgotten_clients_give_their_connections_back(redis_server: RedisServer) -> None:
    """A blocking client that is forgotten without close() leaves no connection behind."""
    for _ in range(10):
        Client(redis_server.url()).submit_job("work", None)
    gc.collect()
    asyncio.run(
        eventually(
            lambda: redis_server.command("CLIENT", "LIST").count(b"\n") == 1, "no connection left"
        )
    )


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
