"""Ends waits by what a look tells, by what makes all of them pointless, or when they are left."""

from __future__ import annotations

import copy
import functools
from typing import Any, Callable, List, Optional, Sequence

from .. import exceptions as exc
from .._redis import Reply
from .._stored_jobs import Document, result_of
from ..models import JobResult
from . import wait_errors
from .effects import Effects
from .job_finality import Finality, Finding, judge
from .pacing import GRACE, Pacing
from .registry import AwaitedJob, Look, Registry, State, Wait

__all__ = ["Endings"]


class Endings:
    """The part of the state machine that ends waits.

    Args:
        effects: Tells callers.
        registry: Who waits.
        pacing: Whose turn it is to be looked at.
    """

    def __init__(self, effects: Effects, registry: Registry, pacing: Pacing) -> None:
        self._effects = effects
        self._registry = registry
        self._pacing = pacing
        self.found_by_notification: int = 0
        self.found_by_safety_read: int = 0

    def needs_document(self, job: AwaitedJob, reply: Reply) -> bool:
        """End the waits that a result alone decides; true if the job's document is needed."""
        result = self._read_result(job, reply)
        if result is None:
            return False
        again = functools.partial(result_of, job.job_id, reply)
        if result.is_success:
            self.resolve(job, job.waits, result, again)
        else:
            self.resolve(job, _of_any_attempt(job), result, again)
        return job.state is not State.ENDED

    def _read_result(self, job: AwaitedJob, reply: Reply) -> Optional[JobResult[Any]]:
        """Read a stored result; one that can't be read ends the waits for this job alone."""
        try:
            return result_of(job.job_id, reply)
        except (exc.SerializationError, exc.ServerError) as error:
            made: exc.BananasError = error
        self.fail(job.waits, lambda _: copy.copy(made))  # each gets an error of its own
        return None

    def conclude(
        self,
        job: AwaitedJob,
        document: Document,
        stored: Reply,
        taken: Optional[bool],
        now: float,
    ) -> None:
        """End the waits that document and result decide.

        Args:
            job: The job.
            document: What was read first.
            stored: The reply to the read of the result.
            taken: Whether a worker has taken the job; None where that is not known.
            now: The time.
        """
        for wait in job.waits:
            wait.looked = wait.asked
        result = self._read_result(job, stored) if stored else None
        refusal = document.refusal
        if refusal is not None and result is not None and result.is_failed:
            patient = [wait for wait in job.waits if not wait.any_attempt]
            self.fail(patient, lambda job_id: wait_errors.retry_unknown(job_id, refusal))
        if result is None and not document.is_there:
            strict = [wait for wait in job.waits if wait.must_exist and wait.asked]
            self.fail(strict, wait_errors.not_found)
        found = judge(document.job, result, cancelled=document.is_cancelled)
        found = self._after_grace(job, document, found, taken, now)
        again = functools.partial(_again, job.job_id, document, stored)
        if found.finality is Finality.ENDED and found.result is not None:
            self.resolve(job, job.waits, found.result, again)
        elif found.finality is Finality.RESULT_GONE:
            self.fail(job.waits, wait_errors.result_gone)
        elif result is not None:
            self.resolve(job, _of_any_attempt(job), result, again)

    def _after_grace(
        self,
        job: AwaitedJob,
        document: Document,
        found: Finding,
        taken: Optional[bool],
        now: float,
    ) -> Finding:
        """Take an unsettled state as final once no worker has the job and nothing changes.

        A worker that is paused, or was killed, has it for as long as that lasts. Where Redis does
        not tell who has it, the wait goes on.
        """
        if found.finality is not Finality.UNSETTLED or document.job is None:
            job.mark = None
            return found
        seen, result = document.job, found.result
        mark = (seen.status, seen.attempts, seen.updated_at, result and result.completed_at)
        if job.mark != mark or taken is not False:
            job.mark, job.since = mark, now
            return found
        if now - job.since < GRACE:
            return found
        return Finding(Finality.RESULT_GONE if result is None else Finality.ENDED, result)

    # -- ends ------------------------------------------------------------------------------------

    def resolve(
        self,
        job: AwaitedJob,
        waits: Sequence[Wait],
        result: JobResult[Any],
        again: Callable[[], Optional[JobResult[Any]]],
    ) -> None:
        """Give a result to the first wait, and to each of the others one of its own."""
        if job.look is Look.PERIODIC:
            self.found_by_safety_read += len(waits)
        else:
            self.found_by_notification += len(waits)
        for number, wait in enumerate(list(waits)):
            own = again() if number else result
            if own is not None:
                self._effects.resolve(wait, own)
            self.end(wait)

    def fail(self, waits: Sequence[Wait], reason: Callable[[str], exc.BananasError]) -> None:
        """End each wait with an error."""
        for wait in list(waits):
            self._effects.fail(wait, reason(wait.job_id))
            self.end(wait)

    def fail_all(self, reason: Callable[[str], exc.BananasError]) -> None:
        """End all waits with an error."""
        for job in self._registry:
            self.fail(job.waits, reason)

    def end(self, wait: Wait) -> None:
        """Let a wait go, and its job with the last one."""
        wait.has_ended = True
        job = self._registry.remove(wait)
        if job is not None:
            job.state = State.ENDED
            self._pacing.discard(job.job_id)
            self._effects.unsubscribe(job.job_id)


def _of_any_attempt(job: AwaitedJob) -> List[Wait]:
    """Return the waits that any attempt's result ends."""
    return [wait for wait in job.waits if wait.any_attempt]


def _again(job_id: str, document: Document, stored: Reply) -> Optional[JobResult[Any]]:
    """Make the result that a look has found once more."""
    if stored:
        return result_of(job_id, stored)
    return judge(document.job, None, cancelled=document.is_cancelled).result
