"""What a client has said of each submit and each wait, to be held against the server."""

from __future__ import annotations

import asyncio
from typing import Optional, Set

from bananas import AsyncClient
from bananas import exceptions as exc
from tests.support import RedisServer

from .inventory import Inventory
from .timing import TOLERANCE, MachineLag

__all__ = ["Record"]

# Any wait looks once for the smaller of read_timeout and this, in seconds.
_PROPER_LOOK = 1.0


class Record:
    """Makes submits and waits, and notes how they end.

    Attributes:
        acknowledged: Ids of which the client says: queued.
        rejected: Ids of which it says: not queued.
        unknown: Ids of which it says, or a cancellation leaves open, that they may be.
        cancelled: How many more submits were cancelled, of ids that nobody knows.
        finished: Ids for which a worker has stored a result.
    """

    def __init__(self, lag: MachineLag) -> None:
        self._lag = lag
        self.acknowledged: Set[str] = set()
        self.rejected: Set[str] = set()
        self.unknown: Set[str] = set()
        self.cancelled = 0
        self.finished: Set[str] = set()

    async def submit(self, client: AsyncClient, job_id: Optional[str] = None) -> None:
        """Submit a new job, or one that may be queued already."""
        again = job_id in self.unknown
        try:
            submitted = await client.submit_job("work", None, job_id=job_id)
        except asyncio.CancelledError:
            if job_id is None:
                self.cancelled += 1
            else:
                self.unknown.add(job_id)
            raise
        except (exc.OutcomeUnknownError, exc.ClientClosedError) as error:
            about = error.job_id or job_id
            if about is not None:  # else it was refused before there was an id
                self.unknown.add(about)
        except (exc.ConnectionError, exc.JobRejectedError) as error:
            assert error.job_id is not None
            if not again:
                self.rejected.add(error.job_id)
        else:
            assert job_id in (None, submitted)
            self.unknown.discard(submitted)
            self.acknowledged.add(submitted)

    async def wait(self, client: AsyncClient, job_id: str, timeout: float) -> None:
        """Wait for a job, and check that the wait ends right and in time."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            result = await client.wait_for_result(job_id, timeout)
        except exc.TimeoutError:
            assert loop.time() - start >= timeout
        except exc.ClientClosedError:
            pass
        else:
            assert (result.job_id, result.get_result()) == (job_id, job_id)
        late = loop.time() - start - timeout
        # A limit below that of a proper look is exceeded by the look.
        look = 0.0 if timeout >= _PROPER_LOOK else _PROPER_LOOK
        lag = self._lag.since(start + timeout - 0.1)
        assert late <= look + TOLERANCE + lag, f"{late} s late"

    async def resolve(self, client: AsyncClient) -> None:
        """Submit again whatever may or may not be queued, and find every stored result."""
        for job_id in list(self.unknown):
            await self.submit(client, job_id)
        assert self.unknown == set()
        found = await asyncio.gather(
            *(client.wait_for_result(job_id, 10) for job_id in self.finished)
        )
        assert {result.get_result() for result in found} == self.finished

    def check(self, server: RedisServer) -> None:
        """Check the queue against what was said."""
        found = Inventory(server)
        queued = set(found.queued)
        twice = {job_id: count for job_id, count in found.queued.items() if count > 1}
        assert twice == {}, "queued more than once"
        assert self.acknowledged <= queued, "acknowledged and not queued"
        assert not self.rejected & queued, "rejected and queued"
        assert len(queued - self.acknowledged) <= self.cancelled, "queued and never submitted"
        assert found.documents == queued, "documents of jobs that are not queued"
