"""An event loop on a thread of its own, worked from other threads."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Awaitable, Callable, Optional, TypeVar

__all__ = ["LoopThread"]

T = TypeVar("T")

_PATIENCE_S = 60.0


class LoopThread:
    """Runs one event loop from `start` to `stop`.

    Args:
        name: What the thread is called.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: Optional[threading.Thread] = None
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event

    @property
    def alive(self) -> bool:
        """Whether it was started and not stopped."""
        return self._thread is not None

    def start(self) -> None:
        """Start the thread and return once its loop runs."""
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._serve, args=(ready,), name=self._name, daemon=True
        )
        self._thread.start()
        ready.result(_PATIENCE_S)

    def stop(self) -> None:
        """End the loop, cancelling what runs on it, and the thread."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        thread.join(_PATIENCE_S)
        if thread.is_alive():
            raise RuntimeError(f"the thread {self._name} does not end")

    def call(self, act: Callable[[], T]) -> T:
        """Call a function on the loop's thread and return its result."""

        async def call() -> T:
            return act()

        return self.run(call)

    def run(self, act: Callable[[], Awaitable[T]]) -> T:
        """Run a coroutine function on the loop and return its result."""
        if self._thread is None:
            raise RuntimeError(f"the thread {self._name} is not running")

        async def run() -> T:
            return await act()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_PATIENCE_S)

    def _serve(self, ready: Future[None]) -> None:
        # Not on the loop of the policy: the tests may choose another one, and this is a tool.
        loop = asyncio.SelectorEventLoop()
        try:
            loop.run_until_complete(self._main(ready))
        finally:
            loop.close()

    async def _main(self, ready: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        ready.set_result(None)
        await self._stop.wait()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
