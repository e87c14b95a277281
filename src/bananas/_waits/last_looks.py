"""The last looks of waits: those that begin at about the same time share their round trips."""

from __future__ import annotations

import asyncio
from typing import Dict, List, Optional, Sequence, Union

from .. import exceptions as exc
from .._pipeline import AutoPipeline
from .._wire import Keys
from .job_location import Known
from .job_lookup import look_up

__all__ = ["LastLooks", "Looked"]

# Seconds that a look has in any case, also where it had to wait for another one.
_LEAST = 0.1

#: What is known of each job; or why Redis could not be asked.
Looked = Union[Dict[str, Known], exc.BananasError]


class _SharedLook:
    """A look-up that one caller carries out for all who join it."""

    __slots__ = ("job_ids", "looked", "waiting")

    def __init__(self) -> None:
        self.job_ids: Dict[str, None] = {}
        self.waiting: List[asyncio.Future[None]] = []
        self.looked: Optional[Looked] = None  # None at the end, too, if the caller was cancelled

    async def wait(self) -> None:
        """Wait until it has ended."""
        ended = asyncio.get_running_loop().create_future()
        self.waiting.append(ended)
        await ended

    def end(self) -> None:
        """Tell those who wait."""
        for ended in self.waiting:
            if not ended.done():
                ended.set_result(None)


class LastLooks:
    """Looks up jobs whose waits are over, one shared look at a time.

    Thousands of waits may be over at the same moment. A look for each of them would take so long
    that the time of the looks would be over, too.

    Args:
        pipeline: Carries the reads.
        keys: The names of everything.
    """

    def __init__(self, pipeline: AutoPipeline, keys: Keys) -> None:
        self._pipeline = pipeline
        self._keys = keys
        # By their limits: the look that others may join, and the one that is under way.
        self._next: Dict[float, _SharedLook] = {}
        self._current: Dict[float, _SharedLook] = {}

    async def look(self, job_ids: Sequence[str], limit: float) -> Looked:
        """Look jobs up.

        Args:
            job_ids: The jobs.
            limit: Seconds for a round trip, and for the look before it, if there is one.

        Raises:
            exceptions.ClientClosedError: The client was closed.
        """
        while True:
            shared = self._next.get(limit)
            if shared is None:
                return await self._look_for_all(job_ids, limit)
            shared.job_ids.update(dict.fromkeys(job_ids))
            await shared.wait()
            if shared.looked is not None:
                return shared.looked

    async def _look_for_all(self, job_ids: Sequence[str], limit: float) -> Looked:
        loop = self._pipeline.running_loop()
        until = loop.time() + limit
        shared = self._next[limit] = _SharedLook()
        shared.job_ids.update(dict.fromkeys(job_ids))
        try:
            current = self._current.get(limit)
            try:
                await (asyncio.sleep(0) if current is None else current.wait())  # others join
            finally:
                del self._next[limit]
            self._current[limit] = shared
            try:
                ids = list(shared.job_ids)
                left = max(_LEAST, until - loop.time())
                known = await look_up(self._pipeline, self._keys, ids, timeout=left)
                shared.looked = dict(zip(ids, known))
            except (exc.ConnectionError, exc.TimeoutError, exc.ServerError) as error:
                shared.looked = error
            finally:
                del self._current[limit]
        finally:
            shared.end()
        return shared.looked
