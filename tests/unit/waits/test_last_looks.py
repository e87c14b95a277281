"""The last looks of waits that are over in the same turn of the loop."""

from __future__ import annotations

import asyncio
from typing import Any, List, Optional, Sequence

import pytest

from bananas import TimeoutError as BananasTimeoutError
from bananas._redis import Command
from bananas._waits.last_looks import LastLooks
from bananas._wire import Keys


class Pipeline:
    """Answers that no job is there, once it is told to answer.

    Attributes:
        calls: The commands of each call.
        limits: The time-out of each call, in seconds.
        may_answer: Set when calls are answered.
        error: What the calls fail with, if they do.
    """

    def __init__(self) -> None:
        self.calls: List[Sequence[Command]] = []
        self.limits: List[float] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.error: Optional[Exception] = None

    running_loop = staticmethod(asyncio.get_running_loop)

    async def call(self, commands: Sequence[Command], *, timeout: float) -> List[Any]:
        self.calls.append(commands)
        self.limits.append(timeout)
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return [[] if command[0] == b"HGETALL" else None for command in commands]


def looks(pipeline: Any) -> LastLooks:
    return LastLooks(pipeline, Keys())


async def test_they_share_round_trips() -> None:
    """A thousand looks take as many round trips as one look for a thousand jobs."""
    pipeline = Pipeline()
    last_looks = looks(pipeline)
    found: List[Any] = await asyncio.gather(
        *(last_looks.look([f"job-{number}"], 0.1) for number in range(1000))
    )
    assert len(pipeline.calls) == 10
    assert [list(known) == list(found[0]) for known in found] == [True] * 1000
    assert set(found[0]) == {f"job-{number}" for number in range(1000)}


async def test_another_turn_is_another_look() -> None:
    """A look tells what is true after it was asked for, and looks do not hold each other up."""
    pipeline = Pipeline()
    pipeline.may_answer.clear()
    last_looks = looks(pipeline)
    first = asyncio.ensure_future(last_looks.look(["job"], 0.1))
    while not pipeline.calls:
        await asyncio.sleep(0)
    others = [asyncio.ensure_future(last_looks.look(["job", name], 0.1)) for name in "ab"]
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(pipeline.calls) == 1
    pipeline.may_answer.set()
    assert list(await first) == ["job"]
    assert [sorted(await other) for other in others] == [["a", "b", "job"]] * 2
    assert len(pipeline.calls) == 2


@pytest.mark.parametrize(("limit", "least"), [(1.0, 0.1), (0.1, 0.1)])
async def test_time_that_is_left_after_another_look(limit: float, least: float) -> None:
    """The time counts from the first moment on, but there is always enough for an answer."""
    pipeline = Pipeline()
    pipeline.may_answer.clear()
    last_looks = looks(pipeline)
    first = asyncio.ensure_future(last_looks.look(["a"], limit))
    while not pipeline.calls:
        await asyncio.sleep(0)
    second = asyncio.ensure_future(last_looks.look(["b"], limit))
    for _ in range(10):
        await asyncio.sleep(0)
    pipeline.may_answer.set()
    await asyncio.gather(first, second)
    assert least <= pipeline.limits[1] <= limit
    assert (pipeline.limits[1] < limit) == (limit > least)


async def test_each_has_its_own_limit() -> None:
    """A look that may take a second does not make another one wait as long."""
    pipeline = Pipeline()
    last_looks = looks(pipeline)
    await asyncio.gather(last_looks.look(["a"], 0.1), last_looks.look(["b"], 1.0))
    assert len(pipeline.calls) == 2


@pytest.mark.parametrize("is_sent", [False, True], ids=["before it is sent", "while it is sent"])
async def test_the_one_that_looks_is_cancelled(is_sent: bool) -> None:
    """The others look again, together."""
    pipeline = Pipeline()
    pipeline.may_answer.clear()
    last_looks = looks(pipeline)
    tasks = [asyncio.ensure_future(last_looks.look([name], 0.1)) for name in "abc"]
    while len(pipeline.calls) < is_sent:
        await asyncio.sleep(0)
    if not is_sent:
        await asyncio.sleep(0)  # all have begun
    tasks[0].cancel()
    pipeline.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert [sorted(await task) for task in tasks[1:]] == [["b", "c"]] * 2
    assert len(pipeline.calls) == 1 + is_sent


async def test_another_one_is_cancelled() -> None:
    """It alone is."""
    pipeline = Pipeline()
    pipeline.may_answer.clear()
    last_looks = looks(pipeline)
    tasks = [asyncio.ensure_future(last_looks.look([name], 0.1)) for name in "abc"]
    while not pipeline.calls:
        await asyncio.sleep(0)
    tasks[1].cancel()
    pipeline.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    assert sorted(await tasks[0]) == sorted(await tasks[2]) == ["a", "b", "c"]


async def test_all_are_told_of_an_error() -> None:
    """Redis is not asked again for each of them."""
    pipeline = Pipeline()
    pipeline.error = BananasTimeoutError("Redis did not answer in time")
    last_looks = looks(pipeline)
    found = await asyncio.gather(*(last_looks.look([name], 0.1) for name in "abc"))
    assert found == [pipeline.error] * 3
    assert len(pipeline.calls) == 1
