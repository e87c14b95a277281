"""One awaitable face for both clients, so that a test is written once."""

from __future__ import annotations

import asyncio
import functools
from concurrent.futures import Executor
from typing import Any, Callable, Coroutine

from bananas import AsyncClient, Client

__all__ = ["AsyncFacade", "BlockingFacade"]


class AsyncFacade:
    """The asyncio client, whose few plain methods are awaited too.

    Args:
        inner: The client.
    """

    blocking = False

    def __init__(self, inner: AsyncClient) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def stats(self) -> Any:
        """Return the counters."""
        return self.inner.stats()

    async def as_completed(self, *args: Any, **kwargs: Any) -> Any:
        """Return the iterator."""
        return self.inner.as_completed(*args, **kwargs)


class BlockingFacade:
    """The blocking client; every call runs on a thread of the executor.

    Args:
        inner: The client.
        executor: Has as many threads as a test makes calls at once.
    """

    blocking = True

    def __init__(self, inner: Client, executor: Executor) -> None:
        self.inner = inner
        self._executor = executor

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        return functools.partial(_in_thread, self._executor, getattr(self.inner, name))

    async def as_completed(self, *args: Any, **kwargs: Any) -> _Iterator:
        """Return the blocking iterator, to be awaited step by step."""
        call = self.inner.as_completed
        return _Iterator(self._executor, await _in_thread(self._executor, call, *args, **kwargs))


async def _in_thread(
    executor: Executor, call: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(executor, functools.partial(call, *args, **kwargs))


_END = object()


class _Iterator:
    def __init__(self, executor: Executor, inner: Any) -> None:
        self._executor = executor
        self._inner = inner

    def __aiter__(self) -> _Iterator:
        return self

    async def __anext__(self) -> Any:
        found = await _in_thread(self._executor, next, self._inner, _END)
        if found is _END:
            raise StopAsyncIteration
        return found

    async def aclose(self) -> None:
        await _in_thread(self._executor, self._inner.close)

    async def __aenter__(self) -> _Iterator:
        self._inner.__enter__()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await _in_thread(self._executor, self._inner.__exit__, *exc_info)
