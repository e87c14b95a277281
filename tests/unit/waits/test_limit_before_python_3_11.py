"""The limit of a wait: its own, and beside it no cancellation gets lost."""

from __future__ import annotations

import asyncio
import builtins
from typing import Any, Dict, List, Optional

import anyio
import pytest

from bananas import JobResult, JobStatus
from bananas import exceptions as exc
from bananas._waits.limit_before_python_3_11 import event_limit
from bananas._waits.waits import Waits
from bananas._wire.keys import Keys

LIMIT = 0.05


class SilentListener:
    """Stands for a connection on which nothing ever comes."""

    def __init__(self, machine: Any) -> None:
        self.wanted: Dict[str, None] = {}

    def subscribe(self, job_id: str) -> None:
        self.wanted[job_id] = None

    def unsubscribe(self, job_id: str) -> None:
        del self.wanted[job_id]

    def keep_going(self) -> None: ...

    def let_go(self) -> None: ...

    async def close(self) -> None: ...


class AbsentPipeline:
    """Stands for a connection that is not to be had: reads fail at once."""

    is_closed = False

    def refuse_closed(self) -> None: ...

    def running_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def start(self, commands: Any, then: Any) -> None:
        then(None, exc.ConnectionError("nobody is there"))

    async def call(self, commands: Any, **_: Any) -> Any:
        raise exc.ConnectionError("nobody is there")


def make() -> Waits:
    """Return waits that hear and read nothing."""
    pipeline: Any = AbsentPipeline()
    listen: Any = SilentListener
    return Waits(pipeline, listen, Keys(), safety_interval=5.0, read_timeout=5.0)


async def test_cancelled_exactly_at_the_limit() -> None:
    """Of 1,000 waits that are cancelled in the turn in which their time is over, each is cancelled.

    None of them returns, and none takes the cancellation for the end of its time.
    """
    loop = asyncio.get_running_loop()
    waits = make()
    went_on: List[object] = []

    async def wait(number: int) -> None:
        with pytest.raises(exc.TimeoutError):
            await waits.wait(f"job-{number}", LIMIT)
        went_on.append(number)
        await asyncio.sleep(3600)  # a cancellation that got lost would leave it here

    tasks: List[asyncio.Task[None]] = []
    for number in range(1000):
        tasks.append(asyncio.ensure_future(wait(number)))
        # Timers run in the order of their times: this one just before, with, or just after.
        moment = loop.time() + LIMIT + (number % 3 - 1) * 1e-5
        loop.call_soon(lambda task=tasks[-1], when=moment: loop.call_at(when, task.cancel))
    done, pending = await asyncio.wait(tasks, timeout=60)
    assert (len(done), len(pending)) == (1000, 0)
    assert all(task.cancelled() for task in tasks)
    assert len(waits) == 0
    await waits.close()


async def test_time_is_over() -> None:
    """A wait ends at its own limit, whatever becomes of the others."""
    loop = asyncio.get_running_loop()
    waits = make()

    async def wait(limit: float) -> float:
        began = loop.time()
        with pytest.raises(exc.TimeoutError, match="nobody is there"):
            await waits.wait("job", limit)
        return loop.time() - began - limit

    assert min(await asyncio.gather(*[wait(n * LIMIT) for n in (3, 1, 2, 0)])) >= 0
    assert len(waits) == 0
    await waits.close()


@pytest.mark.parametrize("timeout", [None, 3600.0])
async def test_result_within_the_limit(timeout: Optional[float]) -> None:
    """A result ends the wait, and a limit that is left touches nobody."""
    waits = make()
    task = asyncio.ensure_future(waits.wait("job", timeout))
    await asyncio.sleep(0)
    (job,) = waits._machine._registry
    result: JobResult[Any] = JobResult("job", JobStatus.COMPLETED, 7)
    waits._machine._effects.resolve(job.waits[0], result)
    assert await task is result
    await waits.close()


async def test_limit_of_a_surrounding_scope() -> None:
    """A limit of the caller around the wait is the caller's."""
    waits = make()
    with anyio.move_on_after(LIMIT) as scope:
        await waits.wait("job", 3600)
    assert scope.cancelled_caught
    assert len(waits) == 0
    await waits.close()


async def test_event_limit() -> None:
    """Below Python 3.11 the event itself is told that the time is over."""
    loop = asyncio.get_running_loop()
    late: asyncio.Future[int] = loop.create_future()
    with pytest.raises(builtins.TimeoutError), event_limit(late, 0.0):
        await late
    for seconds in (None, 0.0, 3600.0):
        early: asyncio.Future[int] = loop.create_future()
        early.set_result(7)
        with event_limit(early, seconds):
            assert await early == 7
        await asyncio.sleep(0.001)
        assert early.result() == 7
