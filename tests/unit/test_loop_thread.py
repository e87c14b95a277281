"""The loop's thread: a task for each call, and no call that waits for ever."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from typing import Any, Iterator, List, Type

import pytest

from bananas import ClientClosedError
from bananas._blocking import loop_thread
from bananas._blocking.loop_thread import LoopThread


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    thread.start()
    yield thread
    thread.stop()
    assert not thread.thread.is_alive()


async def answer() -> int:
    return 42


async def never(began: threading.Event, ended: List[str]) -> None:
    began.set()
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        asyncio.get_running_loop()  # cleaning up may need it
        ended.append("ended")


def test_a_call_returns_what_its_coroutine_does(thread: LoopThread) -> None:
    assert thread.run(answer()) == 42


def test_a_call_is_a_task(thread: LoopThread) -> None:
    async def in_a_task() -> bool:
        return asyncio.current_task() is not None

    assert thread.run(in_a_task())


@pytest.mark.parametrize("error", [LookupError("nothing there"), SystemExit(3)])
def test_a_call_raises_what_its_coroutine_does(thread: LoopThread, error: BaseException) -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(type(error)) as caught:
        thread.run(fail())
    assert caught.value is error
    assert thread.run(answer()) == 42


def test_calls_of_many_threads_all_end(thread: LoopThread) -> None:
    results: List[int] = []

    def call() -> None:
        for _ in range(500):
            results.append(thread.run(answer()))

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert results == [42] * 4000


def test_the_end_of_the_thread_ends_calls() -> None:
    thread = LoopThread()
    thread.start()
    began = threading.Event()
    ended: List[str] = []
    raised: List[BaseException] = []

    def call() -> None:
        try:
            thread.run(never(began, ended))
        except BaseException as error:
            raised.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    assert began.wait(10)
    thread.stop()
    caller.join(10)
    assert not caller.is_alive()
    assert ended == ["ended"]
    assert [type(error) for error in raised] == [ClientClosedError]


def test_a_thread_that_has_ended_refuses_calls() -> None:
    thread = LoopThread()
    thread.start()
    thread.stop()
    with pytest.raises(ClientClosedError, match="shutting down"):
        thread.run(answer())


def test_a_started_call_ends_with_the_thread() -> None:
    """Who does not block is told the same; a future that was cancelled stays so."""
    thread = LoopThread()
    thread.start()
    began, ended = threading.Event(), []
    future = thread.start_call(never(began, ended))
    assert began.wait(10)
    cancelled = thread.start_call(never(threading.Event(), []))
    assert cancelled.cancel()
    thread.stop()
    for late in (future, thread.start_call(answer())):
        with pytest.raises(ClientClosedError, match="shutting down"):
            late.result(10)
    assert ended == ["ended"]
    assert cancelled.cancelled()


@pytest.mark.parametrize("error", [LookupError("nothing there"), SystemExit(3)])
def test_a_started_call_ends_as_its_coroutine_does(
    thread: LoopThread, error: BaseException
) -> None:
    async def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        thread.start_call(fail()).result(10)
    assert caught.value is error
    assert thread.start_call(answer()).result(10) == 42


@pytest.mark.parametrize(
    ("reason", "error", "words"),
    [
        ("can't start new thread", RuntimeError, "is there a limit on processes, or on memory?"),
        ("can't create new thread at interpreter shutdown", ClientClosedError, "shutting down"),
    ],
)
def test_a_thread_that_can_not_be_started_refuses_calls(
    monkeypatch: pytest.MonkeyPatch, reason: str, error: Type[Exception], words: str
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError(reason)

    thread = LoopThread()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(error, match=re.escape(words)):
            thread.start()
    with pytest.raises(ClientClosedError):
        thread.run(answer())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_loop_that_has_broken_down_ends_all_calls_and_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop_thread, "_threads", {})
    thread = loop_thread.loop_thread()

    def break_down(timeout: object = None) -> Any:
        raise OSError("bad file descriptor")

    async def be_broken() -> None:
        thread.loop._selector.select = break_down  # type: ignore[attr-defined]
        await asyncio.get_running_loop().create_future()

    with pytest.raises(ClientClosedError):
        thread.run(be_broken())
    thread.thread.join(10)
    with pytest.raises(ClientClosedError):
        thread.run(answer())
    other = loop_thread.loop_thread()
    assert other is not thread
    assert other.run(answer()) == 42
    other.stop()


def test_threads_that_start_it_at_the_same_time_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_thread, "_threads", {})
    found: List[LoopThread] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait(10)
        found.append(loop_thread.loop_thread())

    callers = [threading.Thread(target=start) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(10)
    assert set(found) == {loop_thread._threads[os.getpid()]}
    found[0].stop()


def test_a_task_that_is_cancelled_at_once_begins_all_the_same(thread: LoopThread) -> None:
    """Ctrl-C may strike while the loop is busy with something else; what closes has to close."""
    ended: List[str] = []
    call = loop_thread._Call(never(threading.Event(), ended))

    def start_and_cancel() -> None:
        thread._start(call)
        thread._cancel(call)

    thread.loop.call_soon_threadsafe(start_and_cancel)
    assert call.ended.acquire(timeout=10)
    assert ended == ["ended"]
