"""The event loop behind the blocking shim: one daemon thread for each process, started lazily."""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
from collections import deque
from typing import Any, Callable, Coroutine, Deque, Dict, List, Optional, TypeVar

from . import exceptions as exc

__all__ = ["LoopThread", "abandon", "keep_forever", "loop_thread", "refuse_running_loop"]

T = TypeVar("T")

_JOIN_LIMIT = 2.0

_lock = threading.Lock()
_current: Optional[LoopThread] = None
_exiting = False
# What a forked child inherits must never be collected there: closing an inherited loop or
# transport takes the parent's sockets off the epoll that both processes share.
_inherited: List[Any] = []
# The last few tasks of abandoned clients; asyncio itself holds tasks but weakly.
_last_words: Deque[asyncio.Task[None]] = deque(maxlen=100)


class _Call:
    """One call on its way through the loop thread; ``lock`` is held until it has ended."""

    __slots__ = ("coroutine", "error", "lock", "started", "task", "value")

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], started: Optional[Callable[[], None]]
    ) -> None:
        self.coroutine = coroutine
        self.started = started
        self.task: Optional[asyncio.Task[None]] = None
        self.value: Any = None
        self.error: Optional[BaseException] = None
        self.lock = threading.Lock()
        self.lock.acquire()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        if sys.version_info >= (3, 12):  # saves a turn of the loop
            self.task = asyncio.Task(self._carry(), loop=loop, eager_start=True)
        else:
            self.task = loop.create_task(self._carry())

    async def _carry(self) -> None:
        # The caller is woken from in here: a callback of the task would run a turn later.
        try:
            self.value = await self.coroutine
        except asyncio.CancelledError:
            self.error = _shutting_down()
        except BaseException as error:
            self.error = error
        self.lock.release()

    def refuse(self) -> None:
        self.coroutine.close()
        self.error = _shutting_down()
        self.lock.release()

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()


class LoopThread:
    """A thread that runs an event loop until the process ends.

    Calls that come while the loop has not yet woken up for an earlier one share its wake-up, and
    so, further down, their round trip.
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._serve, name="bananas loop", daemon=True)
        self._calls: Deque[_Call] = deque()
        self._woken = False
        self._ended = False

    def start(self) -> None:
        """Start the thread."""
        try:
            self.thread.start()
        except RuntimeError:
            self.loop.close()
            raise _shutting_down() from None

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            while not self._ended:
                try:
                    self.loop.run_forever()
                except (KeyboardInterrupt, SystemExit):
                    continue  # its caller is told; it must not end the loop for all others
            self._start_calls()
            self._cancel_all()
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()

    def _start_calls(self) -> None:
        self._woken = False  # first, so that a call that comes too late for this turn wakes us
        calls = self._calls
        hooks: Dict[Callable[[], None], None] = {}
        while calls:
            call = calls.popleft()
            if self._ended:
                call.refuse()
            else:
                call.start(self.loop)
                if call.started is not None and sys.version_info >= (3, 12):
                    hooks[call.started] = None
        for hook in hooks:
            hook()

    def _cancel_all(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(0))  # what is not begun could not be cancelled
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=_JOIN_LIMIT / 2))

    def run(
        self, coroutine: Coroutine[Any, Any, T], started: Optional[Callable[[], None]] = None
    ) -> T:
        """Run a coroutine in the loop and wait for it.

        Ctrl-C, or any other exception in the waiting thread, cancels the coroutine.

        Args:
            coroutine: What to run.
            started: Called in the loop when this and all other calls of the moment have made their
                first step; once, if they have it in common. Not below Python 3.12, where the first
                step is a turn of the loop away.
        """
        call = _Call(coroutine, started)
        try:
            self._calls.append(call)
            if self._ended:
                self._take_back(call)
            elif not self._woken:
                self._woken = True
                try:
                    self.loop.call_soon_threadsafe(self._start_calls)
                except RuntimeError:  # the loop has been closed this very moment
                    self._take_back(call)
            call.lock.acquire()
        except BaseException:
            if not self._ended:
                self.loop.call_soon_threadsafe(self._cancel, call)
            raise
        error, call.error = call.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error, call  # the traceback refers to this frame: no cycle
        value: T = call.value
        return value

    def _cancel(self, call: _Call) -> None:
        self._start_calls()  # Ctrl-C may have struck before the loop was woken for the call
        self.loop.call_soon(call.cancel)  # what is not begun could not be cancelled

    def _take_back(self, call: _Call) -> None:
        try:
            self._calls.remove(call)
        except ValueError:
            return  # somebody else has taken it, and ends it
        call.refuse()

    def stop(self) -> None:
        """Cancel what runs, end the thread, and wait for it for 2 s at most."""
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self._end)
            self.thread.join(_JOIN_LIMIT)

    def _end(self) -> None:
        self._ended = True
        self.loop.stop()


def _shutting_down() -> exc.ClientClosedError:
    return exc.ClientClosedError("the interpreter is shutting down")


def loop_thread() -> LoopThread:
    """Return this process's loop thread, started if need be."""
    global _current
    current = _current
    if current is not None:
        return current
    with _lock:
        if _exiting:
            raise _shutting_down()
        if _current is None:
            fresh = LoopThread()
            fresh.start()
            _current = fresh
        return _current


def abandon(close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine function in the loop thread, if there is one, without waiting for it."""
    current = _current
    if current is not None and not _exiting:
        loop = current.loop
        try:
            loop.call_soon_threadsafe(lambda: _last_words.append(loop.create_task(close())))
        except RuntimeError:
            pass  # the loop has just ended, and the connections with it


def keep_forever(thing: Any) -> None:
    """Keep something that a forked child inherited from ever being collected."""
    _inherited.append(thing)


def refuse_running_loop(instead: str) -> None:
    """Refuse to block a thread whose event loop is running.

    A notebook's cells run inside its kernel's loop, which serves nothing of ours meanwhile.

    Raises:
        RuntimeError: It is; ``instead`` says what to use.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    if not _in_notebook():
        raise RuntimeError(
            f"a blocking call would stop this thread's running event loop; {instead}"
        )


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    if ipython is None or threading.current_thread() is not threading.main_thread():
        return False
    shell: Callable[[], Any] = getattr(ipython, "get_ipython", lambda: None)
    return hasattr(shell(), "kernel")


def _after_fork_in_child() -> None:
    global _current, _lock
    _lock = threading.Lock()  # another thread of the parent may have held it
    if _current is not None:
        keep_forever(_current)
        _current = None


def _at_exit() -> None:
    global _current, _exiting
    _exiting = True
    current, _current = _current, None
    if current is not None:
        current.stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
