"""The parts of a blocking client whose calls are recorded."""

from __future__ import annotations

from typing import Any, Iterable, List, Optional

from .._argument_checks import check_job_ids
from .._sync_parts import BlockingDeadLetters, BlockingQueue, BlockingResultBackend
from ..models import Job, JobResult
from ..operating import DeadLetterCounts
from .recording import Recorder

__all__ = ["TracedBlockingDeadLetters", "TracedBlockingQueue", "TracedBlockingResults"]


class TracedBlockingQueue(BlockingQueue):
    """The class of a queue in front of its own; what it records it has the queue itself do."""

    __slots__ = ("_plain", "_recorder")
    _plain: BlockingQueue
    _recorder: Recorder

    def enqueue(self, job: Job, **options: Any) -> str:
        """Put a job where workers take it, recorded."""
        with self._recorder.submit("queue.enqueue", getattr(job, "name", None)) as call:
            return call.submitted(self._plain.enqueue(job, **options))

    def enqueue_scheduled(self, job: Job, *args: Any, **options: Any) -> str:
        """Put a job among the scheduled ones, recorded."""
        with self._recorder.submit("queue.enqueue_scheduled", getattr(job, "name", None)) as call:
            return call.submitted(self._plain.enqueue_scheduled(job, *args, **options))


class TracedBlockingDeadLetters(BlockingDeadLetters):
    """The class of dead letters in front of its own."""

    __slots__ = ("_plain", "_recorder")
    _plain: BlockingDeadLetters
    _recorder: Recorder

    def requeue(self, **options: Any) -> DeadLetterCounts:
        """Give dead letters another try, recorded."""
        with self._recorder.operate("dead_letters.requeue") as call:
            return call.changed(self._plain.requeue(**options))

    def purge(self, **options: Any) -> DeadLetterCounts:
        """Delete dead letters, recorded."""
        with self._recorder.operate("dead_letters.purge") as call:
            return call.changed(self._plain.purge(**options))


class TracedBlockingResults(BlockingResultBackend):
    """The class of results in front of its own."""

    __slots__ = ("_plain", "_recorder")
    _plain: BlockingResultBackend
    _recorder: Recorder

    def get_result(self, job_id: str) -> Optional[JobResult[Any]]:
        """Read a result, recorded."""
        with self._recorder.receive("results.get_result", job_id) as call:
            result = self._plain.get_result(job_id)
            call.took(result)
            return result

    def get_results(self, job_ids: Iterable[str], **options: Any) -> List[Any]:
        """Read many results, recorded as one call."""
        ids = check_job_ids(job_ids)
        with self._recorder.receive_many("results.get_results", ids) as call:
            return call.took_all(self._plain.get_results(ids, **options))

    def wait_for_result(self, job_id: str, *args: Any, **options: Any) -> JobResult[Any]:
        """Wait for a job, recorded."""
        with self._recorder.receive("results.wait_for_result", job_id) as call:
            result = self._plain.wait_for_result(job_id, *args, **options)
            call.took(result)
            return result

    def delete_result(self, job_id: str) -> bool:
        """Delete a result, recorded."""
        with self._recorder.operate("results.delete_result", job_id):
            return self._plain.delete_result(job_id)
