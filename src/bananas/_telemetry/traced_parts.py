"""The parts of an asyncio client whose calls are recorded."""

from __future__ import annotations

from typing import Any, Iterable, List, Optional

from .._argument_checks import check_job_ids
from ..dead_letters import DeadLetters
from ..models import Job, JobResult
from ..operating import DeadLetterCounts
from ..queue import RedisQueue
from ..result_backend import RedisResultBackend
from .recording import Recorder

__all__ = ["TracedDeadLetters", "TracedQueue", "TracedResults"]


class TracedQueue(RedisQueue):
    """The class of a queue in front of its own; what it records it has the queue itself do."""

    __slots__ = ("_plain", "_recorder")
    _plain: RedisQueue
    _recorder: Recorder

    async def enqueue(self, job: Job, **options: Any) -> str:
        """Put a job where workers take it, recorded."""
        with self._recorder.submit("queue.enqueue", getattr(job, "name", None)) as call:
            return call.submitted(await self._plain.enqueue(job, **options))

    async def enqueue_scheduled(self, job: Job, *args: Any, **options: Any) -> str:
        """Put a job among the scheduled ones, recorded."""
        with self._recorder.submit("queue.enqueue_scheduled", getattr(job, "name", None)) as call:
            return call.submitted(await self._plain.enqueue_scheduled(job, *args, **options))


class TracedDeadLetters(DeadLetters):
    """The class of dead letters in front of its own."""

    __slots__ = ("_plain", "_recorder")
    _plain: DeadLetters
    _recorder: Recorder

    async def requeue(self, **options: Any) -> DeadLetterCounts:
        """Give dead letters another try, recorded."""
        with self._recorder.operate("dead_letters.requeue") as call:
            return call.changed(await self._plain.requeue(**options))

    async def purge(self, **options: Any) -> DeadLetterCounts:
        """Delete dead letters, recorded."""
        with self._recorder.operate("dead_letters.purge") as call:
            return call.changed(await self._plain.purge(**options))


class TracedResults(RedisResultBackend):
    """The class of results in front of its own."""

    __slots__ = ("_plain", "_recorder")
    _plain: RedisResultBackend
    _recorder: Recorder

    async def get_result(self, job_id: str) -> Optional[JobResult[Any]]:
        """Read a result, recorded."""
        with self._recorder.receive("results.get_result", job_id) as call:
            result = await self._plain.get_result(job_id)
            call.took(result)
            return result

    async def get_results(self, job_ids: Iterable[str], **options: Any) -> List[Any]:
        """Read many results, recorded as one call."""
        ids = check_job_ids(job_ids)
        with self._recorder.receive_many("results.get_results", ids) as call:
            return call.took_all(await self._plain.get_results(ids, **options))

    async def wait_for_result(self, job_id: str, *args: Any, **options: Any) -> JobResult[Any]:
        """Wait for a job, recorded."""
        with self._recorder.receive("results.wait_for_result", job_id) as call:
            result = await self._plain.wait_for_result(job_id, *args, **options)
            call.took(result)
            return result

    async def delete_result(self, job_id: str) -> bool:
        """Delete a result, recorded."""
        with self._recorder.operate("results.delete_result", job_id):
            return await self._plain.delete_result(job_id)
