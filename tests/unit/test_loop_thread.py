"""The loop thread behind the shim: calls that are no tasks, and the bell that wakes it."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any, Coroutine, Iterator, List, Type

import pytest

from bananas import ClientClosedError, _loop_thread
from bananas._loop_thread import LoopThread
from bananas._stepping import Call, in_task


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


def test_a_call_raises_what_its_coroutine_does(thread: LoopThread) -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        thread.run(fail())


def test_a_call_goes_on_in_the_very_turn_in_which_it_is_answered(thread: LoopThread) -> None:
    order: List[str] = []

    async def ask() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        def resolve() -> None:
            future.set_result(None)
            order.append("told")

        loop.call_soon(resolve)
        await future
        order.append("went on")

    thread.run(ask())
    assert order == ["went on", "told"]


@pytest.mark.parametrize("outcome", ["an error", "a cancellation"])
def test_a_call_is_told_of_every_end_of_what_it_awaits(thread: LoopThread, outcome: str) -> None:
    async def ask() -> str:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if outcome == "an error":
            loop.call_soon(future.set_exception, LookupError())
        else:
            loop.call_soon(future.cancel)
        try:
            await future
        except LookupError:
            return "an error"
        except asyncio.CancelledError:
            return "a cancellation"
        return "nothing"

    assert thread.run(ask()) == outcome


def test_a_call_may_await_what_is_not_a_future_of_the_loop(thread: LoopThread) -> None:
    async def ask() -> int:
        loop = asyncio.get_running_loop()
        foreign: asyncio.Future[int] = asyncio.Future()
        loop.call_soon(foreign.set_result, 1)
        first, second = await asyncio.gather(answer(), answer())
        return await foreign + first + second

    assert thread.run(ask()) == 85


def test_what_needs_a_task_gets_one(thread: LoopThread) -> None:
    async def in_a_task() -> bool:
        return asyncio.current_task() is not None

    assert not thread.run(in_a_task())
    assert thread.run(in_task(in_a_task))


def test_calls_of_many_threads_all_end(thread: LoopThread) -> None:
    results: List[int] = []

    def call() -> None:
        for _ in range(500):
            thread.ring()
            results.append(thread.run(answer()))

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert results == [42] * 4000


def test_those_who_share_a_moment_share_a_hook(thread: LoopThread) -> None:
    hooks: List[str] = []

    def hook() -> None:
        hooks.append("called")

    async def ask() -> int:
        return len(hooks)  # not before all have made their first step

    calls = [Call(ask(), hook, thread._open) for _ in range(5)]
    thread._calls.extend(calls)
    thread.ring()
    for call in calls:
        assert call.lock.acquire(timeout=10)
    thread.run(answer())  # after the hooks of the turn before
    assert [call.value for call in calls] == [0] * 5
    assert hooks == ["called"]


def test_the_end_of_the_thread_ends_calls_with_and_without_a_task() -> None:
    thread = LoopThread()
    thread.start()
    began = [threading.Event(), threading.Event()]
    ended: List[str] = []
    raised: List[BaseException] = []

    def call(coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            thread.run(coroutine)
        except BaseException as error:
            raised.append(error)

    waits = never(began[0], ended), in_task(lambda: never(began[1], ended))
    callers = [threading.Thread(target=call, args=(wait,)) for wait in waits]
    for caller in callers:
        caller.start()
    for event in began:
        assert event.wait(10)
    thread.stop()
    for caller in callers:
        caller.join(10)
        assert not caller.is_alive()
    assert ended == ["ended"] * 2
    assert [type(error) for error in raised] == [ClientClosedError] * 2


def test_a_thread_that_has_ended_refuses_calls() -> None:
    thread = LoopThread()
    thread.start()
    thread.stop()
    thread.ring()
    with pytest.raises(ClientClosedError, match="shutting down"):
        thread.run(answer())


def test_an_interrupt_between_the_note_and_the_ringing_delays_a_call_and_no_more(
    thread: LoopThread,
) -> None:
    thread._woken = True  # what a second Ctrl-C leaves that strikes while the first is handled
    assert thread.run(answer()) == 42
    assert not thread._woken


def test_an_interrupted_ring_is_taken_back(
    thread: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted:
        def write(self, _: bytes) -> None:
            raise KeyboardInterrupt

        def close(self) -> None:
            pass

    button = thread._button
    monkeypatch.setattr(thread, "_button", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        thread.ring()
    assert not thread._woken
    monkeypatch.setattr(thread, "_button", button)
    assert thread.run(answer()) == 42


def test_a_pair_of_sockets_does_where_pipes_can_not_be_awaited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_loop_thread, "_PIPES_CAN_BE_AWAITED", False)
    thread = LoopThread()
    thread.start()
    assert [thread.run(answer()) for _ in range(100)] == [42] * 100
    thread.stop()
    thread.ring()
    with pytest.raises(ClientClosedError):
        thread.run(answer())


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
def test_the_breakdown_of_a_loop_ends_all_calls() -> None:
    thread = LoopThread()
    thread.start()

    def break_down(timeout: object = None) -> Any:
        raise OSError("bad file descriptor")

    async def be_broken() -> None:
        monkeypatch.setattr(thread.loop._selector, "select", break_down)  # type: ignore[attr-defined]
        await asyncio.get_running_loop().create_future()

    with pytest.MonkeyPatch.context() as monkeypatch:
        with pytest.raises(ClientClosedError):
            thread.run(be_broken())
        thread.thread.join(10)
        with pytest.raises(ClientClosedError):
            thread.run(answer())


def test_a_task_that_is_cancelled_at_once_begins_all_the_same(thread: LoopThread) -> None:
    """Ctrl-C may strike while the loop is busy with something else; what closes has to close."""
    ended: List[str] = []
    call = Call(in_task(lambda: never(threading.Event(), ended)), None, thread._open)
    thread._calls.append(call)
    thread.loop.call_soon_threadsafe(thread._cancel, call)
    assert call.lock.acquire(timeout=10)
    assert ended == ["ended"]
