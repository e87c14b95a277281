"""The owner where no connection is to be had, and where others end its task."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any, List, Optional

import anyio
import pytest

from bananas import ClientClosedError
from bananas import ConnectionError as BananasConnectionError
from bananas import TimeoutError as BananasTimeoutError
from bananas._pipeline.auto_pipeline import AutoPipeline
from bananas._pipeline.transaction import Entry
from bananas._redis.async_connection import Link
from bananas._redis.protocol import LinkLost


class StandIn:
    """Stands for a connection to a server that never answers."""

    endpoint = "redis://stand-in"
    client_id, run_id, role, no_transactions = 1, "run", "master", None
    is_lost = is_dirty = False
    unsent, unread = 0, ()
    on_lost: Any = None

    def __init__(self) -> None:
        self.is_aborted = False
        self.sent = 0

    def send(self, commands: object) -> None:
        """Write commands."""
        self.sent += 1

    def expect(self, count: int, receiver: object) -> None:
        """Expect replies, of which none comes."""

    def report_progress(self, receiver: object) -> None:
        """Report nothing."""

    def abort(self) -> None:
        self.is_aborted = True

    async def aclose(self) -> None:
        self.abort()


VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="nobody")


async def never() -> Link:
    raise await asyncio.get_running_loop().create_future()


def hanging(attempts: List[asyncio.Task[Any]]) -> Any:
    """Return what never connects; the task of each attempt is noted."""

    async def hangs() -> Link:
        task = asyncio.current_task()
        assert task is not None
        attempts.append(task)
        return await never()

    return hangs


def pipeline_of(open_link: Any, limit: float = 60.0) -> AutoPipeline:
    """Return a pipeline, all of whose limits are the same."""
    return AutoPipeline(open_link, connect_timeout=limit, submit_timeout=limit, read_timeout=limit)


def entry() -> Entry:
    """Return an entry."""
    return Entry("a", b"key", b"{}", b"list")


async def test_what_is_asked_for_when_time_is_over_has_a_time_limit_too() -> None:
    """A callback may ask again."""
    pipeline = AutoPipeline(never, connect_timeout=60, submit_timeout=60, read_timeout=0.02)
    patient = pipeline.start_submit([entry()])
    second: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    def told_again(_: Optional[List[Any]], error: Optional[BaseException]) -> None:
        assert error is not None
        second.set_result(error)

    def told(_: Optional[List[Any]], error: Optional[BaseException]) -> None:
        pipeline.start([(b"PING",)], told_again)

    pipeline.start([(b"PING",)], told)
    with anyio.fail_after(30):
        error = await second
    assert isinstance(error, (BananasTimeoutError, ConnectionError))
    assert not patient.done()
    patient.cancel()
    await pipeline.close()


async def test_cancelled_from_outside() -> None:
    """A task that somebody cancels is started again, and its requests end in time."""
    attempts: List[asyncio.Task[Any]] = []
    pipeline = pipeline_of(hanging(attempts), 1.0)
    future = pipeline.start_submit([entry()])
    with anyio.fail_after(30):
        while len(attempts) < 3:
            await asyncio.sleep(0.001)
            if attempts and not attempts[-1].done():
                attempts[-1].cancel()
        with pytest.raises(BananasConnectionError):
            await future
    await pipeline.close()


async def test_cancelled_before_its_first_step() -> None:
    """A task that is cancelled before it runs at all is started again, too."""
    attempts: List[None] = []

    async def fails() -> Link:
        attempts.append(None)
        raise BananasConnectionError("no", permanent=True)

    pipeline = pipeline_of(fails)
    future = pipeline.start_submit([entry()])
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    with anyio.fail_after(30), pytest.raises(BananasConnectionError):
        await future
    assert len(attempts) == 1
    await pipeline.close()


async def test_cancelled_when_its_connection_is_lost() -> None:
    """Then the next connection is another task's: it is neither dropped nor made twice."""
    tasks: List[asyncio.Task[Any]] = []
    made: List[StandIn] = []

    async def opens() -> Any:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        await asyncio.sleep(0)
        made.append(StandIn())
        return made[-1]

    async def connected() -> None:
        while not pipeline.is_connected:
            await asyncio.sleep(0)

    pipeline = pipeline_of(opens)
    futures = [pipeline.start_submit([entry()])]
    with anyio.fail_after(30):
        await connected()
        made[0].on_lost(LinkLost("it was cut"))
        tasks[0].cancel()
        while len(tasks) < 2:
            await asyncio.sleep(0)
        futures.append(pipeline.start_submit([entry()]))
        await asyncio.wait(tasks[:1])
        await connected()
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(tasks) == len(made) == 2
        assert pipeline.is_connected
        assert not made[1].is_aborted
        await pipeline.close()
        await asyncio.gather(*futures, return_exceptions=True)
    assert made[1].is_aborted


async def test_cancelled_while_an_outcome_is_asked_for() -> None:
    """Its time limit does not put the next attempt to connect off."""
    attempts: List[asyncio.Task[Any]] = []
    pipeline = pipeline_of(hanging(attempts))
    pipeline.running_loop()
    lost: Any = StandIn()

    def settle(age: float) -> asyncio.Future[Any]:
        since = asyncio.get_running_loop().time() - age
        return asyncio.ensure_future(pipeline.settle(entry(), lost, since))

    settling = [settle(0)]
    with anyio.fail_after(30):
        while not attempts:
            await asyncio.sleep(0)
        attempts[0].cancel()
        await asyncio.wait(attempts[:1])
        settling.append(settle(20))
        while len(attempts) < 2:
            await asyncio.sleep(0.001)
        await pipeline.close()
        await asyncio.gather(*settling, return_exceptions=True)


async def test_task_has_no_context_of_its_caller() -> None:
    """What the first caller has in its context is not found by what outlives the call."""
    found: List[str] = []

    async def looks() -> Link:
        found.append(VARIABLE.get())
        raise BananasConnectionError("no")

    VARIABLE.set("the caller")
    pipeline = pipeline_of(looks)
    with pytest.raises(BananasConnectionError):
        await pipeline.connect()
    assert found == ["nobody"]
    await pipeline.close()


async def test_defect_ends_all() -> None:
    """Nobody waits in silence for what has gone wrong inside."""

    async def breaks() -> Link:
        raise KeyError("a defect")

    pipeline = pipeline_of(breaks)
    future = pipeline.start_submit([entry()])
    with anyio.fail_after(30), pytest.raises(Exception, match="internal error"):
        await future
    await pipeline.close()


async def test_closed() -> None:
    """A closed pipeline takes nothing, neither small nor large."""
    pipeline = pipeline_of(never)
    future = pipeline.start_submit([entry()])
    await pipeline.close()
    await pipeline.close()
    with pytest.raises(ClientClosedError):
        await future
    large = entry()
    large.document = bytes(2 << 20)
    for one in (entry(), large):
        with pytest.raises(ClientClosedError):
            pipeline.start_submit([one])
    with pytest.raises(ClientClosedError):
        await pipeline.call([(b"PING",)])
    lost: Any = StandIn()
    with pytest.raises(ClientClosedError):
        await pipeline.settle(entry(), lost, asyncio.get_running_loop().time())


async def test_connection_with_an_unexpected_reply() -> None:
    """Nothing is sent on it any more, and its task ends."""
    made: List[StandIn] = []
    tasks: List[Any] = []

    async def opens() -> Any:
        tasks.append(asyncio.current_task())
        made.append(StandIn())
        made[-1].is_dirty = len(made) == 1
        return made[-1]

    pipeline = pipeline_of(opens)
    future = pipeline.start_submit([entry()])
    with anyio.fail_after(30):
        while len(made) < 2:
            await asyncio.sleep(0.001)
        await asyncio.wait(tasks[:1])
    assert (made[0].is_aborted, made[0].sent) == (True, 0)
    await pipeline.close()
    await asyncio.gather(future, return_exceptions=True)


async def test_call_that_writes() -> None:
    """It is known to be one, and is fenced like a submit."""
    pipeline = pipeline_of(never)
    calls = [
        asyncio.ensure_future(pipeline.call([(b"DEL", b"key")], writes=writes))
        for writes in (True, False)
    ]
    await asyncio.sleep(0)
    requests: List[Any] = list(pipeline._connections.main.machine.pending.deadlines)
    assert [request.writes for request in requests] == [True, False]
    await pipeline.close()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_closed_before_it_was_used() -> None:
    """Nothing was made, and nothing is to be ended."""
    pipeline = pipeline_of(never)
    await pipeline.close()
    assert (pipeline.connections, pipeline.batches, pipeline.open_requests) == (0, 0, 0)
    assert not pipeline.is_connected


def test_abandoned_while_it_connects(caplog: pytest.LogCaptureFixture) -> None:
    """An attempt that fails because its loop is closed is not followed by another one."""

    async def open_link() -> Link:
        try:
            return await never()
        finally:
            raise BananasConnectionError("the loop is closed")

    async def begin() -> AutoPipeline:
        pipeline = pipeline_of(open_link)
        pipeline.start([(b"PING",)], lambda replies, error: None)
        for _ in range(3):
            await asyncio.sleep(0)
        return pipeline

    loop = asyncio.new_event_loop()
    pipeline = loop.run_until_complete(begin())
    loop.close()
    pipeline.abandon()
    assert "internal error" not in caplog.text
