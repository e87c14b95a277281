"""OperatingChanges: what the public methods of a client hand the calls to that change jobs."""

from __future__ import annotations

import asyncio
import functools
import logging
from datetime import datetime, timedelta
from typing import Any, Callable, Optional, Set, Union

from .. import exceptions as exc
from .._argument_checks import check_callable, check_limit, check_seconds, check_text, due_time
from .._background_tasks import start_task
from .._types import Seconds
from .._wire import utcnow
from ..location import JobPlace
from ..operating import CancelOutcome, DeleteOutcome, RescheduleOutcome
from ..repairs import RecoveryCounts
from .cancelling import cancel_job, reschedule_job
from .dead_letter_clearing import DeadLetterClearing
from .dead_letters import LetterFilter
from .deployment import Deployment
from .finished_jobs import FinishedJob
from .requeue_routes import Routes
from .taken_recovery import Recovery

__all__ = ["OperatingChanges"]

_logger = logging.getLogger("bananas")


class OperatingChanges:
    """Carries out what one client is asked to change.

    Args:
        deployment: Where to change it.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._handed_over: Set[asyncio.Task[Any]] = set()

    async def cancel(self, job_id: str, reason: str) -> CancelOutcome:
        """Take a job out of the queue for good."""
        check_text(job_id, "job_id")
        return CancelOutcome(
            await cancel_job(self._deployment, job_id, check_text(reason, "reason"))
        )

    async def cancel_overdue(self, job_id: str, error: exc.TimeoutError) -> None:
        """Cancel a job that has not ended in time; return only if it has ended by now.

        Args:
            job_id: The job.
            error: What the wait for it ended with; it is raised, or one like it.
        """
        try:
            outcome = await cancel_job(self._deployment, job_id, "")
        except exc.BananasError as trouble:
            raise exc.TimeoutError(
                f"{error}; it was not cancelled: {trouble}",
                job_id=job_id,
                whereabouts=error.whereabouts,
            ) from trouble
        if outcome == CancelOutcome.CANCELLED:
            raise exc.TimeoutError(
                f"job {job_id} has not ended in time, and was cancelled",
                job_id=job_id,
                whereabouts=JobPlace.CANCELLED,
            ) from error
        if outcome != CancelOutcome.FINISHED:
            raise error

    def cancel_later(self, job_id: str) -> None:
        """Cancel a job whose submitter does not wait for that, nor hears of it."""
        loop = asyncio.get_running_loop()
        task = start_task(loop, cancel_job(self._deployment, job_id, ""), "bananas cancel")
        self._handed_over.add(task)
        task.add_done_callback(functools.partial(self._cancelled, job_id))

    def _cancelled(self, job_id: str, task: asyncio.Task[Any]) -> None:
        self._handed_over.discard(task)
        if not task.cancelled() and task.exception() is not None:
            facts = {"bananas_event": "not_cancelled", "job_id": job_id}
            text = "job %s, which nobody waits for, was not cancelled: %s"
            _logger.warning(text, job_id, task.exception(), extra=facts)

    async def reschedule(self, job_id: str, when: Union[datetime, timedelta]) -> RescheduleOutcome:
        """Have a job run at another time."""
        check_text(job_id, "job_id")
        due = due_time(when, utcnow(), "when")
        return RescheduleOutcome(await reschedule_job(self._deployment, job_id, due))

    async def delete(self, job_id: str) -> DeleteOutcome:
        """Delete a job that has finished."""
        check_text(job_id, "job_id")
        return DeleteOutcome(await FinishedJob(self._deployment, job_id, "delete").delete())

    async def requeue(self, job_id: str, routes: Optional[str]) -> None:
        """Give a dead letter another try."""
        check_text(job_id, "job_id")
        chosen = Routes(self._deployment, routes)
        await FinishedJob(self._deployment, job_id, "requeue").requeue(chosen)

    def requeuing(
        self, wanted: LetterFilter, routes: Optional[str], **options: Any
    ) -> DeadLetterClearing:
        """Return a call that gives dead letters another try."""
        return self._clearing(wanted, Routes(self._deployment, routes), **options)

    def purging(self, wanted: LetterFilter, **options: Any) -> DeadLetterClearing:
        """Return a call that deletes dead letters."""
        return self._clearing(wanted, None, **options)

    def _clearing(
        self,
        wanted: LetterFilter,
        routes: Optional[Routes],
        *,
        limit: Optional[int],
        rate: Optional[float],
        dry_run: bool,
    ) -> DeadLetterClearing:
        limit = check_limit(limit)
        if rate is not None and not check_seconds(rate, "rate") > 0:
            raise ValueError("rate must be more than 0, or None")
        return DeadLetterClearing(
            self._deployment, wanted, routes, limit=limit, rate=rate, dry_run=bool(dry_run)
        )

    async def recover(
        self,
        idle_for: Seconds,
        routes: Optional[str],
        *,
        limit: Optional[int],
        dry_run: bool,
        progress: Optional[Callable[[RecoveryCounts], None]],
    ) -> RecoveryCounts:
        """Recover the jobs of killed workers."""
        recovery = Recovery(
            self._deployment,
            Routes(self._deployment, routes),
            idle_for=check_seconds(idle_for, "idle_for"),
            limit=check_limit(limit),
            dry_run=bool(dry_run),
            progress=check_callable(progress, "progress"),
        )
        return await recovery.run()
