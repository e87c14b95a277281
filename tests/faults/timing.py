"""Waiting for what a test expects, and telling a slow client from a slow machine."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from types import TracebackType
from typing import Callable, Deque, Optional, Tuple, Type

from bananas import AsyncClient
from tests.support import FaultProxy

__all__ = ["TOLERANCE", "MachineLag", "eventually", "first_looks_over"]

#: How long after its deadline a call may end, in seconds.
TOLERANCE = 0.2

_STEP = 0.01


async def eventually(condition: Callable[[], object], what: str, timeout: float = 20.0) -> None:
    """Let the loop run until a condition holds.

    Raises:
        AssertionError: It does not within ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout} s in vain: {what}"
        await asyncio.sleep(_STEP / 2)


async def first_looks_over(client: AsyncClient, proxy: FaultProxy, waits: int) -> None:
    """Wait until a periodic read has looked at each job once.

    A client with a long ``safety_interval`` finds what is stored later by notification only. It
    must have looked at no other job through the proxy.
    """
    await eventually(lambda: proxy.commands["GETRANGE"] >= waits, f"{waits} documents to be read")
    # On the same connection, hence answered after them.
    await client.get_job("none")


class MachineLag:
    """Measures for how long the machine lets a thread that is ready to run wait.

    A limit of time that the client has to keep is stretched by it. The thread shares nothing with
    the client but the interpreter, which gives each thread its turn every few milliseconds, so
    that a client that blocks its own loop is not excused.
    """

    def __init__(self) -> None:
        self._lags: Deque[Tuple[float, float]] = deque(maxlen=1_000)
        self._woken = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._measure, name="machine lag", daemon=True)

    def since(self, moment: float) -> float:
        """Return how much of the time since then, by the loop's clock, was lost, in seconds."""
        lost = 0.0
        for woken, lag in reversed(self._lags.copy()):
            if woken < moment:
                break
            lost += lag
        return lost + max(0.0, time.monotonic() - self._woken - _STEP)

    @property
    def allowance(self) -> float:
        """How much of the last ten seconds was lost, in seconds."""
        return self.since(0.0)

    def _measure(self) -> None:
        while not self._stop.wait(_STEP):
            now = time.monotonic()
            self._lags.append((now, now - self._woken - _STEP))
            self._woken = now

    def __enter__(self) -> MachineLag:
        self._woken = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._stop.set()
        self._thread.join(60)
