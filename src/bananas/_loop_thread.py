"""The event loop behind the blocking shim: one daemon thread for each process, started lazily."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import io
import os
import socket
import sys
import threading
from collections import deque
from typing import Any, Callable, Coroutine, Deque, Dict, List, Optional, Set, Tuple, TypeVar

from . import exceptions as exc
from ._stepping import Call, SteppingLoop, shutting_down
from ._tasks import in_empty_context

__all__ = [
    "LoopThread",
    "after_fork",
    "keep_forever",
    "loop_thread",
    "refuse_running_loop",
]

T = TypeVar("T")

_JOIN_LIMIT = 2.0
_RING_AGAIN = 1.0
_PIPES_CAN_BE_AWAITED = os.name == "posix"

_lock = threading.Lock()
_current: Optional[LoopThread] = None
_exiting = False
_process = os.getpid()
_noticing: Dict[int, threading.Lock] = {}
_hooks: List[Callable[[], None]] = []
# What a forked child inherits must never be collected there: closing an inherited loop or
# transport takes the parent's sockets off the epoll that both processes share.
_inherited: List[Any] = []


class LoopThread:
    """A thread that runs an event loop until the process ends.

    Calls that come while the loop has not yet woken up for an earlier one share its wake-up, and
    so, further down, their round trip.

    Raises:
        OSError: No descriptor is left.
    """

    def __init__(self) -> None:
        bell = _make_bell()
        try:
            # Nothing here inherits the context variables of the first caller.
            self.loop = in_empty_context(SteppingLoop)
        except BaseException:
            for end in bell:
                end.close()
            raise
        self.thread = threading.Thread(
            target=in_empty_context, args=(self._serve,), name="bananas loop", daemon=True
        )
        self._calls: Deque[Call] = deque()
        self._open: Set[Call] = set()
        self._woken = False
        self._ended = False
        # call_soon_threadsafe() does the same, with a handle and two reads for each wake-up.
        self._bell, self._button = bell
        in_empty_context(self.loop.add_reader, self._bell, self._on_bell)

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
            while not self._ended:
                try:
                    self.loop.run_forever()
                except (KeyboardInterrupt, SystemExit):
                    continue  # its caller is told; it must not end the loop for all others
            self._start_calls()
            self.loop.run_until_complete(self._cancel_all())
        finally:
            asyncio.set_event_loop(None)
            self._close()

    def _close(self) -> None:
        self._ended = True
        self._start_calls()  # refuses those that came before
        for call in list(self._open):
            call.give_up()
        self._open.clear()
        self._button.close()
        self.loop.close()
        self._bell.close()

    def _on_bell(self) -> None:
        self._bell.read(64)
        self._start_calls()

    def _start_calls(self) -> None:
        while True:
            self._woken = False  # before looking, so that a call that comes too late rings
            if not self._calls:
                return
            self._woken = True
            self._start_each()

    def _start_each(self) -> None:
        calls = self._calls
        hooks: Dict[Callable[[], None], None] = {}
        while calls:
            call = calls.popleft()
            if self._ended:
                call.refuse()
                continue
            self._open.add(call)
            call.go_on()
            if call.started is not None:
                hooks[call.started] = None
        for hook in hooks:
            hook()

    async def _cancel_all(self) -> None:
        await asyncio.sleep(0)  # a task that is not begun would never be
        for call in list(self._open):
            call.cancel()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_JOIN_LIMIT / 2)

    def ring(self) -> None:
        """Wake the loop, unless it is awake; it takes as long to wake as a call to be prepared."""
        if not self._woken:
            try:
                self._woken = True
                self._button.write(b"!")
            except (OSError, ValueError):
                pass  # closed: the loop has ended
            except BaseException:  # Ctrl-C
                self._woken = False
                raise

    def run(
        self,
        coroutine: Coroutine[Any, Any, T],
        started: Optional[Callable[[], None]] = None,
        *,
        here: bool = False,
    ) -> T:
        """Run a coroutine in the loop and wait for it.

        It is not run as a task: what needs one, as anyio's time limits do, goes through
        ``in_task``. Ctrl-C, or any other exception in the waiting thread, cancels it.

        Args:
            coroutine: What to run.
            started: Called in the loop when this and all other calls of the moment have made their
                first step; once, if they have it in common.
            here: The first step is made in the caller's own thread, and may be the last.
        """
        call = Call(coroutine, started, self._open)
        try:
            if not (here and call.begin()):
                self._hop(call)
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

    def _hop(self, call: Call) -> None:
        self._calls.append(call)
        if not self._woken:
            self.ring()
        if self._ended:
            self._take_back(call)
        if not call.lock.acquire(timeout=_RING_AGAIN):
            self._woken = False  # a Ctrl-C may have struck between this note and the ringing
            self.ring()
            call.lock.acquire()

    def _cancel(self, call: Call) -> None:
        self._start_calls()  # Ctrl-C may have struck before the loop was woken for the call
        self.loop.call_soon(call.cancel)  # a task that is not begun would never be

    def _take_back(self, call: Call) -> None:
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


def _make_bell() -> Tuple[io.RawIOBase, io.RawIOBase]:
    """Return the two ends of something that a loop can wait for: a pipe, the fastest, if it can."""
    if _PIPES_CAN_BE_AWAITED:
        bell, button = os.pipe()
        return open(bell, "rb", buffering=0), open(button, "wb", buffering=0)
    with contextlib.ExitStack() as stack:
        near, far = map(stack.enter_context, socket.socketpair())
        return near.makefile("rb", buffering=0), far.makefile("wb", buffering=0)


def loop_thread() -> LoopThread:
    """Return this process's loop thread, started if need be.

    Raises:
        exceptions.ConnectionError: No descriptor is left.
    """
    global _current
    if _process != os.getpid():
        _notice_fork()
    current = _current
    if current is not None:
        return current
    with _lock:
        if _exiting:
            raise shutting_down()
        if _current is None:
            try:
                fresh = LoopThread()
            except OSError as error:
                raise exc.ConnectionError(
                    f"the blocking client can't start its event loop: {str(error.strerror).lower()}"
                ) from error
            fresh.start()
            _current = fresh
        return _current


def keep_forever(thing: Any) -> None:
    """Keep something that a forked child inherited from ever being collected."""
    _inherited.append(thing)


def refuse_running_loop(instead: str) -> None:
    """Refuse to block a thread whose event loop is running.

    A notebook's cells run inside its kernel's loop, which serves nothing of ours meanwhile.

    Raises:
        RuntimeError: It is; ``instead`` says what to use.
    """
    if asyncio._get_running_loop() is not None and not _in_notebook():
        raise RuntimeError(
            f"a blocking call would stop this thread's running event loop; {instead}"
        )


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    if ipython is None or threading.current_thread() is not threading.main_thread():
        return False
    shell: Callable[[], Any] = getattr(ipython, "get_ipython", lambda: None)
    return hasattr(shell(), "kernel")


def after_fork(function: Callable[[], None]) -> None:
    """Have a function called in every forked child, before anything of ours is used there."""
    _hooks.append(function)


def _after_fork_in_child() -> None:
    global _current, _lock, _process
    _lock = threading.Lock()  # another thread of the parent may have held it
    if _current is not None:
        keep_forever(_current)
        _current = None
    for function in _hooks:
        function()
    _process = os.getpid()


def _notice_fork() -> None:
    """Do in a child what the hooks would have done, had its parent run them: uWSGI does not."""
    with _noticing.setdefault(os.getpid(), threading.Lock()):  # one lock for all threads: atomic
        if _process != os.getpid():
            _after_fork_in_child()


def _at_exit() -> None:
    global _current, _exiting
    _exiting = True
    current, _current = _current, None
    if current is not None and _process != os.getpid():
        keep_forever(current)
    elif current is not None:
        current.stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
