"""A scheduler that reads what is due, waits, and writes what it has read."""

from __future__ import annotations

import asyncio
import json
import random
import time
from types import TracebackType
from typing import Any, List, Optional, Type

from tests.support import RawClient

__all__ = ["SlowScheduler"]

_SCHEDULED = "bananas:queue:scheduled"


class SlowScheduler:
    """Moves due jobs as Go's scheduler does, with a pause between its reads and its writes.

    Nothing that it writes is conditional: SET of the document as it was read, LPUSH, ZREM, for
    each job, in one plain pipeline.

    Args:
        port: The server's.
        every: Seconds between two looks.
        pause: The longest pause, in seconds.
        rng: Says how long each pause is.
    """

    def __init__(self, port: int, *, every: float, pause: float, rng: random.Random) -> None:
        self._redis = RawClient(port)
        self._every = every
        self._pause = pause
        self._rng = rng
        self._task: Optional[asyncio.Task[None]] = None
        #: The jobs that were moved, in their order.
        self.moved: List[str] = []

    async def move_due(self) -> None:
        """Look once."""
        redis = self._redis
        due = redis.command("ZRANGEBYSCORE", _SCHEDULED, "-inf", int(time.time()))
        if not due:
            return
        documents = redis.command("MGET", *(b"bananas:job:" + one for one in due))
        await asyncio.sleep(self._rng.uniform(0.0, self._pause))
        commands: List[Any] = []
        for job_id, text in zip(due, documents):
            if text is None:
                continue
            document = json.loads(text)
            document.pop("scheduled_for", None)
            queue = f"bananas:queue:{document['priority']}"
            commands += [
                ("SET", b"bananas:job:" + job_id, json.dumps(document)),
                ("LPUSH", queue, job_id),
                ("ZREM", _SCHEDULED, job_id),
            ]
            self.moved.append(job_id.decode())
        for command in commands:
            redis.send(*command)
        for _ in commands:
            redis.receive()

    async def __aenter__(self) -> SlowScheduler:
        self._task = asyncio.ensure_future(self._run())
        return self

    async def __aexit__(
        self,
        exc_type: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        self._redis.close()
        if not self._task.cancelled():
            self._task.result()

    async def _run(self) -> None:
        while True:
            await self.move_due()
            await asyncio.sleep(self._every)
