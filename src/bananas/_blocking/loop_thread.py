"""The event loop of blocking calls: one daemon thread, started by the first call that needs it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import os
import sys
import threading
from concurrent.futures import Future
from typing import Any, Callable, Coroutine, Dict, Generic, Optional, Set, TypeVar

from .. import exceptions as exc
from .._background_tasks import in_empty_context
from .._fork_safety import keep_forever

__all__ = [
    "LoopThread",
    "loop_thread",
    "refuse_running_loop",
    "running_loop_thread",
]

T = TypeVar("T")

_JOIN_LIMIT = 2.0

#: By process: a forked child keeps the objects that it inherits, and never collects them.
_threads: Dict[int, LoopThread] = {}
_exiting = False


class _Call:
    """One call on its way through the loop; ``ended`` is held until it has ended."""

    __slots__ = ("coroutine", "ended", "error", "task", "value")

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.coroutine = coroutine
        self.task: Optional[asyncio.Task[Any]] = None
        self.value: Any = None
        self.error: Optional[BaseException] = None
        self.ended = threading.Lock()
        self.ended.acquire()

    def take_over(self, task: asyncio.Task[Any]) -> None:
        """Take the task's value or error, and tell the caller."""
        if task.cancelled():
            self.error = shutting_down()
        else:
            self.error = task.exception()
            if self.error is None:
                self.value = task.result()
        self.end()

    def give_up(self) -> None:
        """End it where its task never will: the loop has ended."""
        if self.task is None:
            self.coroutine.close()
        self.error = shutting_down()
        self.end()

    def end(self) -> None:
        """Tell the caller."""
        self.ended.release()


class _StartedCall(_Call, Generic[T]):
    """A call whose caller has a future, and does not block."""

    __slots__ = ("future",)

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        super().__init__(coroutine)
        self.future: Future[T] = Future()

    def end(self) -> None:
        """Tell the caller, unless the future was cancelled."""
        error, self.error = self.error, None
        if not self.future.set_running_or_notify_cancel():
            return
        if error is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(error)


class _Loop(asyncio.SelectorEventLoop):
    """A plain loop; if no descriptor was left for it, it is collected without a warning."""

    _is_made = False

    def __init__(self) -> None:
        super().__init__()
        self._is_made = True

    def __del__(self) -> None:
        if self._is_made:  # else asyncio would report an error of its own
            super().__del__()


class LoopThread:
    """A thread that runs an event loop until the process ends.

    Each call is a task. Calls that come before the loop has woken up share its wake-up.

    Raises:
        OSError: No descriptor is left.
    """

    def __init__(self) -> None:
        # Nothing here inherits the context variables of the first caller.
        self.loop = in_empty_context(_Loop)
        self.thread = threading.Thread(
            target=in_empty_context, args=(self._serve,), name="bananas loop", daemon=True
        )
        self._open: Set[_Call] = set()
        self.has_ended = False

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: The system refuses one more.
            exceptions.ClientClosedError: The interpreter is shutting down.
        """
        try:
            self.thread.start()
        except (RuntimeError, MemoryError) as error:
            self._close()
            if sys.is_finalizing() or "shutdown" in str(error):
                raise shutting_down() from None
            raise RuntimeError(
                f"can't start the thread of the blocking client: {error} "
                "(is there a limit on processes, or on memory?)"
            ) from error

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            while not self.has_ended:
                try:
                    self.loop.run_forever()
                except (KeyboardInterrupt, SystemExit):
                    continue  # its caller is told; it must not end the loop for all others
            self.loop.run_until_complete(self._cancel_all())
        finally:
            asyncio.set_event_loop(None)
            self._close()

    def _close(self) -> None:
        self.has_ended = True
        while True:
            try:
                call = self._open.pop()
            except KeyError:
                break
            call.give_up()
        self.loop.close()

    async def _cancel_all(self) -> None:
        await asyncio.sleep(0)  # else a task that has not started never starts
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_JOIN_LIMIT / 2)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine as a task of the loop, and wait for it.

        Ctrl-C, or any other exception in the waiting thread, cancels it.

        Raises:
            exceptions.ClientClosedError: The loop has ended.
        """
        call = _Call(coroutine)
        try:
            self._open.add(call)
            self._schedule(self._start, call)
            call.ended.acquire()
        except BaseException:
            self._open.discard(call)
            self._schedule(self._cancel, call)
            raise
        error, call.error = call.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error, call  # the traceback refers to this frame: no cycle
        value: T = call.value
        return value

    def start_call(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine as a task of the loop, and return its future.

        Cancelling the future cancels the task. It ends with ``ClientClosedError`` where the loop
        has ended.
        """
        call = _StartedCall(coroutine)
        call.future.add_done_callback(functools.partial(self._on_future_done, call))
        self._open.add(call)
        self._schedule(self._start, call)
        return call.future

    def _on_future_done(self, call: _Call, future: Future[Any]) -> None:
        if future.cancelled() and call in self._open:
            self._schedule(self._cancel, call)

    def _schedule(self, function: Callable[[_Call], None], call: _Call) -> None:
        try:
            self.loop.call_soon_threadsafe(function, call)
        except RuntimeError:  # it is closed
            try:
                self._open.remove(call)
            except KeyError:
                return  # who has closed it has told the caller
            call.give_up()

    def _start(self, call: _Call) -> None:
        call.task = self.loop.create_task(call.coroutine)
        call.task.add_done_callback(lambda task: self._on_done(call, task))

    def _on_done(self, call: _Call, task: asyncio.Task[Any]) -> None:
        self._open.discard(call)
        call.take_over(task)

    def _cancel(self, call: _Call) -> None:
        if call.task is None:
            call.coroutine.close()
        else:
            self.loop.call_soon(call.task.cancel)  # one that is not begun would never be

    def stop(self) -> None:
        """Cancel what runs, end the thread, and wait for it for 2 s at most."""
        self.has_ended = True  # for a thread that has not begun to serve
        if self.thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it has just ended
                self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(_JOIN_LIMIT)


def loop_thread() -> LoopThread:
    """Return this process's loop thread, started if need be, or if the last one has broken down.

    There is no lock: a signal handler may have interrupted this very function.

    Raises:
        exceptions.ConnectionError: No descriptor is left.
        exceptions.ClientClosedError: The interpreter is shutting down.
        RuntimeError: No thread can be started.
    """
    process = os.getpid()
    current = _threads.get(process)
    if current is not None and not current.has_ended:
        return current
    if _exiting:
        raise shutting_down()
    try:
        fresh = LoopThread()
    except OSError as error:
        raise exc.ConnectionError(
            f"the blocking client can't start its event loop: {str(error.strerror).lower()}"
        ) from error
    try:
        fresh.start()
        if current is not None and _threads.get(process) is current:
            keep_forever(_threads.pop(process, None))
        winner = _threads.setdefault(process, fresh)
    except BaseException:
        fresh.stop()
        raise
    if winner is not fresh:
        fresh.stop()
    return winner


def running_loop_thread() -> Optional[LoopThread]:
    """Return this process's loop thread if there is one."""
    return _threads.get(os.getpid())


def refuse_running_loop() -> None:
    """Refuse to block a thread whose event loop is running.

    A notebook's cells run inside its kernel's loop, which serves nothing of ours meanwhile.

    Raises:
        RuntimeError: It is.
    """
    if asyncio._get_running_loop() is not None and not _in_notebook():
        raise RuntimeError(
            "a blocking call would stop this thread's running event loop; use AsyncClient, or "
            "asyncio.to_thread"
        )


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    if ipython is None or threading.current_thread() is not threading.main_thread():
        return False
    shell: Callable[[], Any] = getattr(ipython, "get_ipython", lambda: None)
    return hasattr(shell(), "kernel")


def shutting_down() -> exc.ClientClosedError:
    """Return the error of a call that no loop will carry out, or go on with."""
    return exc.ClientClosedError(
        "the interpreter is shutting down, or the thread of blocking calls has failed"
    )


def _at_exit() -> None:
    global _exiting
    _exiting = True
    current = running_loop_thread()
    if current is not None:
        current.stop()


atexit.register(_at_exit)
