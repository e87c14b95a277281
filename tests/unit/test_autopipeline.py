"""The auto-pipeline where no connection is to be had, or nobody awaits what it does."""

from __future__ import annotations

import asyncio
import gc
import socket
from typing import Any, Dict, List, Optional, cast

import anyio

from bananas import ClientClosedError
from bananas import TimeoutError as BananasTimeoutError
from bananas._autopipeline import AutoPipeline
from bananas._batch import Entry
from bananas._lending import Flight, Loan
from bananas._redis import Link
from bananas._requests import Submit
from bananas._wire import Wire


async def never() -> Link:
    raise await asyncio.get_running_loop().create_future()


async def test_what_is_asked_for_when_time_is_over_has_a_time_limit_too() -> None:
    pipeline = AutoPipeline(never, connect_timeout=60, submit_timeout=60, read_timeout=0.02)
    patient = pipeline.start_submit([Entry("a", b"a", b"key", b"{}", b"list")])
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


async def test_end_of_a_flight_that_nobody_awaits() -> None:
    """asyncio has nothing to complain of where a caller was interrupted and its client closed."""
    complaints: List[Dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, complaint: complaints.append(complaint))
    pipeline = AutoPipeline(never, connect_timeout=60, submit_timeout=60, read_timeout=60)
    entry = Entry("a", b"a", b"key", b"{}", b"list")
    flight = Flight(Submit(loop.create_future(), 60.0, 60.0, (entry,), exclusive=False))
    flight.request.future.set_exception(ClientClosedError("the client was closed"))
    pipeline._forget_flight(None, flight)
    del entry, flight
    gc.collect()
    assert complaints == []


async def test_what_a_thread_has_begun_is_gone_on_with_once() -> None:
    """The rest of a document that was written in part is not written twice."""

    class Recorder:
        def __init__(self) -> None:
            self.written: List[bytes] = []

        def take_back(self, *, rung: bool) -> None:
            assert rung

        def expect(self, count: int, _: object) -> None:
            assert count == 4

        def go_on(self, data: bytes, _: bytes) -> None:
            self.written.append(data)

    loop = asyncio.get_running_loop()
    pipeline = AutoPipeline(never, connect_timeout=60, submit_timeout=60, read_timeout=60)
    entry = Entry("a", b"a", b"key", b"{}", b"list")
    flight = Flight(Submit(loop.create_future(), 60.0, 60.0, (entry,), exclusive=False))
    assert flight.may_write("the thread")
    flight.data, flight.is_written = b"the rest", True
    link = Recorder()
    pipeline._link, pipeline._in_flight = cast(Link, link), flight.batch
    near, far = socket.socketpair()
    with near, far:
        loan = Loan(Wire(near.fileno()))
    pipeline._go_on_with(loan, flight, patient=True)  # others need the connection
    pipeline._go_on_with(loan, flight)  # the thread has come to the loop
    assert link.written == [b"the rest"]
    pipeline._link = pipeline._in_flight = None
    await pipeline.close()
