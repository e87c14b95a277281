"""The owner of the waits' state machine, where an error of our own comes between."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, List

import anyio
import pytest

from bananas._waits.machine_owner import MachineOwner
from bananas._waits.registry import Wait
from bananas._wire import Keys
from tests.unit.waits.recorder import succeeded


class Pipeline:
    """Keeps what is to be told of each read."""

    def __init__(self) -> None:
        self.reads: List[Callable[..., None]] = []

    def start(self, commands: object, then: Callable[..., None]) -> None:
        self.reads.append(then)


class Listener:
    """Subscribes to nothing, and has no memory the first time that it is to go on.

    Attributes:
        has_gone_on: Ends when it has gone on.
    """

    has_gone_on: Any = None

    def __init__(self, _: object) -> None:
        self._errors = [MemoryError()]

    def subscribe(self, job_id: str) -> None:
        """Want the notifications of a job."""

    unsubscribe = subscribe

    def let_go(self) -> None:
        """Begin to close."""

    def keep_going(self) -> None:
        if self._errors:
            raise self._errors.pop()
        if not self.has_gone_on.done():
            self.has_gone_on.set_result(None)


class Unreadable:
    """A reply for which there is no memory."""

    def __bool__(self) -> bool:
        raise MemoryError


async def test_reply_that_can_not_be_handled() -> None:
    """The wait goes on, and finds its result when there is memory again."""
    pipeline: Any = Pipeline()
    listen: Any = Listener
    owner = MachineOwner(pipeline, listen, Keys(), safety_interval=5.0)
    loop = asyncio.get_running_loop()
    waits = [Wait(job_id, loop.create_future()) for job_id in "ab"]
    for wait in waits:
        owner.machine.registered(wait, loop.time())
    owner.machine.confirmed(["a", "b"])
    with pytest.raises(MemoryError):
        pipeline.reads.pop()([Unreadable(), succeeded()], None)
    owner.machine.notified(["a", "b"])
    pipeline.reads.pop()([succeeded(), succeeded()], None)
    assert [wait.event.result().job_id for wait in waits] == ["a", "b"]
    owner.let_go()


async def test_timer_outlives_an_error() -> None:
    """The next round starts the listener, where this one could not."""
    pipeline: Any = Pipeline()
    listen: Any = Listener
    owner = MachineOwner(pipeline, listen, Keys(), safety_interval=5.0)
    loop = asyncio.get_running_loop()
    listener: Any = owner.listener
    listener.has_gone_on = loop.create_future()
    reported: List[Any] = []
    loop.set_exception_handler(lambda _, report: reported.append(report["exception"]))
    owner.machine.registered(Wait("a", loop.create_future()), loop.time() - 10)
    with anyio.fail_after(30):
        await listener.has_gone_on
    assert [type(error) for error in reported] == [MemoryError]
    owner.let_go()
