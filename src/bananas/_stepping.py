"""Runs a coroutine in an event loop step by step, without a task, when there is a step to take."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Callable, Coroutine, Optional, Set, TypeVar

from . import exceptions as exc
from ._private import not_awaited

__all__ = ["Call", "SteppingLoop", "in_task", "shutting_down"]

T = TypeVar("T")


class Call:
    """One call on its way through the loop thread; ``lock`` is held until it has ended.

    It runs its coroutine itself, in the turns of the loop in which there is something to be done:
    a task would begin a turn later, and go on a turn after what it awaits.
    """

    __slots__ = ("awaited", "coroutine", "error", "lock", "open_calls", "started", "value")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        started: Optional[Callable[[], None]],
        open_calls: Set[Call],
    ) -> None:
        self.coroutine = coroutine
        self.started = started
        self.open_calls = open_calls
        self.awaited: Optional[asyncio.Future[Any]] = None
        self.value: Any = None
        self.error: Optional[BaseException] = None
        self.lock = threading.Lock()
        self.lock.acquire()

    def begin(self) -> bool:
        """Make the first step in the caller's own thread; return whether it was the last."""
        try:
            self.coroutine.send(None)
        except StopIteration as end:
            self.value = end.value
        except BaseException as error:
            self.error = error
        else:
            return False
        return True

    def go_on(self, _: object = None) -> None:
        """Run the coroutine until it awaits something, or ends."""
        self.awaited = None
        try:
            awaited = self.coroutine.send(None)
        except StopIteration as end:
            self.value = end.value
        except asyncio.CancelledError:
            self.error = shutting_down()
        except BaseException as error:
            self.error = error
        else:
            self._await(awaited)
            return
        self.open_calls.discard(self)
        self.lock.release()

    def _await(self, awaited: Optional[asyncio.Future[Any]]) -> None:
        if awaited is None:  # asyncio.sleep(0)
            awaited = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(_resolve, awaited)
        self.awaited = awaited
        not_awaited(awaited)
        if isinstance(awaited, _Future):
            awaited.tell = self.go_on
        else:
            awaited.add_done_callback(self.go_on)

    def refuse(self) -> None:
        """End it before it has begun."""
        self.coroutine.close()
        self.error = shutting_down()
        self.lock.release()

    def give_up(self) -> None:
        """End it where nothing will ever resolve what it awaits: the loop has ended."""
        self.error = shutting_down()
        self.lock.release()

    def cancel(self) -> None:
        """Cancel what it awaits, if it has not ended; one that has not come here ends at once."""
        if self.awaited is not None:
            self.awaited.cancel()
        else:
            self.coroutine.close()


class _Future(asyncio.Future):  # type: ignore[type-arg]  # not subscriptable below Python 3.9
    """A future that tells one function that it is done in the very turn in which it is."""

    tell: Optional[Callable[[], None]] = None

    def set_result(self, result: Any) -> None:
        super().set_result(result)
        if self.tell is not None:
            self.tell()

    def set_exception(self, exception: Any) -> None:
        super().set_exception(exception)
        if self.tell is not None:
            self.tell()

    def cancel(self, *args: Any, **kwargs: Any) -> bool:
        cancelled = super().cancel(*args, **kwargs)
        if cancelled and self.tell is not None:
            self.tell()
        return cancelled


class SteppingLoop(asyncio.SelectorEventLoop):
    """A loop whose futures tell a call at once.

    Raises:
        OSError: No descriptor is left.
    """

    _is_made = False

    def __init__(self) -> None:
        super().__init__()
        self._is_made = True

    def __del__(self) -> None:
        if self._is_made:  # else there is nothing to be closed, and asyncio would complain of that
            super().__del__()

    def create_future(self) -> asyncio.Future[Any]:
        return _Future(loop=self)


async def in_task(function: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function as a task of the running loop; cancelling this cancels it."""
    return await asyncio.get_running_loop().create_task(function())


def _resolve(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_result(None)


def shutting_down() -> exc.ClientClosedError:
    """Return the error of a call that no loop will carry out, or go on with."""
    return exc.ClientClosedError(
        "the interpreter is shutting down, or the thread of blocking calls has failed"
    )
