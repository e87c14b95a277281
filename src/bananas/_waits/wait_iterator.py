"""What the iterators over results and over changes have in common: their time, and their end."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from types import TracebackType
from typing import List, Optional, Sequence, Type, TypeVar

from .._event_loops import running_loop
from .._in_process import InProcess
from .registry import Wait
from .waits import Waits

__all__ = ["WaitIterator", "unregister_all"]

Self = TypeVar("Self", bound="WaitIterator")


class WaitIterator(InProcess, ABC):
    """An async iterator, whose waits end with it."""

    def __init__(self, waits: Waits, timeout: Optional[float], life: object) -> None:
        self._life = life
        self._waits = waits
        self._timeout = timeout
        self._deadline: Optional[float] = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # The caller left it early without closing it, maybe in another thread, or after the loop.
        left = self._left()
        if left and self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(unregister_all, self._waits, left)

    @abstractmethod
    async def aclose(self) -> None:
        """End the iteration, and its waits."""

    @abstractmethod
    def _left(self) -> List[Wait]:
        """Return the waits that are still registered."""

    def _begin(self) -> asyncio.AbstractEventLoop:
        """Let the time begin."""
        loop = self._loop = running_loop()
        if self._timeout is not None:
            self._deadline = loop.time() + self._timeout
        return loop


def unregister_all(waits: Waits, left: Sequence[Wait]) -> None:
    """Unregister waits."""
    for wait in left:
        waits.unregister(wait)
