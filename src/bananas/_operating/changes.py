"""OperatingChanges: what the public methods of a client hand the calls to that change jobs."""

from __future__ import annotations

import asyncio
import functools
import logging
from datetime import datetime, timedelta
from typing import Any, Callable, Optional, Pattern, Set, Union

from .. import exceptions as exc
from .._argument_checks import check_callable, check_integer, check_seconds, check_text, due_time
from .._background_tasks import start_task
from .._types import NotGiven, Seconds
from .._wire import Keys, utcnow
from ..location import JobPlace
from ..operating import CancelOutcome, DeleteOutcome, RescheduleOutcome
from ..repairs import RecoveryCounts
from .cancelling import Remover
from .connection import OperatingConnection
from .dead_letter_clearing import DeadLetterClearing
from .dead_letters import LetterFilter
from .finished_jobs import delete_job, requeue_job
from .requeue_routes import Routes
from .taken_recovery import Recovery

__all__ = ["OperatingChanges"]

_logger = logging.getLogger("bananas")


class OperatingChanges:
    """Carries out what one client is asked to change.

    Args:
        connection: Carries the commands.
        keys: The names of everything.
        routing_key: The client's own route; None for the flat lists.
        failure_ttl: Seconds that the result of a cancelled job is kept.
    """

    def __init__(
        self,
        connection: OperatingConnection,
        keys: Keys,
        *,
        routing_key: Optional[str],
        failure_ttl: int,
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._routing_key = routing_key
        self._failure_ttl = failure_ttl
        self._remover = Remover(connection, keys, routing_key=routing_key, failure_ttl=failure_ttl)
        self._handed_over: Set[asyncio.Task[Any]] = set()

    async def cancel(self, job_id: str, reason: str) -> CancelOutcome:
        """Take a job out of the queue for good."""
        check_text(job_id, "job_id")
        return CancelOutcome(await self._remover.cancel(job_id, check_text(reason, "reason")))

    async def cancel_overdue(self, job_id: str, error: exc.TimeoutError) -> None:
        """Cancel a job that has not ended in time; return only if it has ended by now.

        Args:
            job_id: The job.
            error: What the wait for it ended with; it is raised, or one like it.
        """
        try:
            outcome = await self._remover.cancel(job_id, "")
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
        task = start_task(loop, self._remover.cancel(job_id, ""), "bananas cancel")
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
        return RescheduleOutcome(await self._remover.reschedule(job_id, due))

    async def delete(self, job_id: str) -> DeleteOutcome:
        """Delete a job that has finished."""
        check_text(job_id, "job_id")
        return DeleteOutcome(await delete_job(self._connection, self._keys, job_id))

    def letters(
        self,
        name: Optional[str],
        error: Union[str, Pattern[str], None],
        older_than: Optional[Seconds],
        routing_key: Union[str, None, NotGiven],
        all: Optional[bool],
    ) -> LetterFilter:
        """Return which dead letters the caller means."""
        return LetterFilter.create(name, error, older_than, routing_key, all)

    def requeuing(
        self, wanted: LetterFilter, routes: Optional[str], **options: Any
    ) -> DeadLetterClearing:
        """Return a call that gives dead letters another try."""
        return self._clearing(wanted, Routes(self._keys, self._routing_key, routes), **options)

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
        if limit is not None:
            limit = check_integer(limit, "limit", at_least=0)
        if rate is not None and not check_seconds(rate, "rate") > 0:
            raise ValueError("rate must be more than 0, or None")
        return DeadLetterClearing(
            self._connection,
            self._keys,
            wanted,
            routes,
            limit=limit,
            rate=rate,
            dry_run=bool(dry_run),
        )

    async def requeue(self, job_id: str, routes: Optional[str]) -> None:
        """Give a dead letter another try."""
        check_text(job_id, "job_id")
        chosen = Routes(self._keys, self._routing_key, routes)
        await requeue_job(self._connection, self._keys, chosen, job_id)

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
            self._connection,
            self._keys,
            Routes(self._keys, self._routing_key, routes),
            idle_for=check_seconds(idle_for, "idle_for"),
            failure_ttl=self._failure_ttl,
            limit=None if limit is None else check_integer(limit, "limit", at_least=0),
            dry_run=bool(dry_run),
            progress=check_callable(progress, "progress"),
        )
        return await recovery.run()
