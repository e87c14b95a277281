"""Takes a job out of the queue before a worker does, for good or until another time."""

from __future__ import annotations

import asyncio
import math
from datetime import datetime, timedelta
from typing import Any, Callable, List, NamedTuple, Optional, Set

from .. import exceptions as exc
from .._redis import Argument, Command, ReplyError
from .._stored_jobs import Document, document_of
from .._wire import UTC, Keys, dumps, format_timestamp, utcnow
from ..enums import JobPriority, JobStatus
from ..models import Job, JobResult
from .cancel_script import Removal, remove_job, rights_to_remove
from .connection import OperatingConnection
from .depths import discover_routes
from .rewriting import rewritten
from .rights import check_rights, refusal

__all__ = ["Remover"]

# A scheduler reads what is due, and writes later: a job that is due so soon is its own.
_MARGIN = 5
# For so many seconds a scheduler is given time to move a due job to its list.
_PATIENCE = 5.0
_PAUSE = 0.07
# So long after a scheduler moved a job, a second one may move it once more.
_SECOND_LOOK = 1.5
# A job that moves from one place to another may stand nowhere for a moment.
_MOVING = 1.0
_LIMIT = 20.0
_LOST_REPLIES = 2
_WEEK = 7 * 24 * 3600
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Task(NamedTuple):
    """What is to become of the job."""

    words: str
    done: str
    change: Callable[[Job, bytes, Removal], Removal]


class Remover:
    """Cancels and reschedules jobs.

    Args:
        connection: Carries the commands.
        keys: The names of everything.
        routing_key: The client's own route.
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

    async def cancel(self, job_id: str, reason: str) -> str:
        """Cancel a job, and return the word of a ``CancelOutcome``."""
        text = f"cancelled: {reason}" if reason else "cancelled"

        def change(job: Job, old: bytes, removal: Removal) -> Removal:
            now = utcnow()
            result: JobResult[Any] = JobResult(
                job_id, JobStatus.FAILED, error=text, completed_at=now, cancelled=True
            )
            fields: List[Argument] = []
            for name, value in result.to_hash(now).items():
                fields += [name, value]
            moment = dumps(format_timestamp(now))
            changes = {
                "status": b'"failed"',
                "updated_at": moment,
                "error": dumps(text),
                "cancelled_at": moment,
            }
            return removal._replace(
                new=rewritten(old, changes, {"scheduled_for"}),
                expiry=_WEEK,
                channel=self._keys.announcement(removal.job_id),
                kept=self._failure_ttl,
                fields=fields,
            )

        return await self._remove(job_id, _Task(f"cancel job {job_id}", "cancelled", change))

    async def reschedule(self, job_id: str, when: datetime) -> str:
        """Have a job run at another time, and return the word of a ``RescheduleOutcome``."""

        def change(job: Job, old: bytes, removal: Removal) -> Removal:
            changes = {
                "status": b'"scheduled"' if job.attempts == 0 else b'"pending"',
                "updated_at": dumps(format_timestamp(utcnow())),
                "scheduled_for": dumps(format_timestamp(when)),
            }
            score = math.ceil((when - _EPOCH) / timedelta(seconds=1))
            return removal._replace(new=rewritten(old, changes), score=score)

        return await self._remove(job_id, _Task(f"reschedule job {job_id}", "rescheduled", change))

    async def _remove(self, job_id: str, task: _Task) -> str:
        return await _Attempt(self._connection, self._keys, self._routing_key, job_id, task).run(
            self._failure_ttl
        )


class _Attempt:
    """One call, which asks again until it knows what became of the job."""

    def __init__(
        self,
        connection: OperatingConnection,
        keys: Keys,
        routing_key: Optional[str],
        job_id: str,
        task: _Task,
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._routing_key = routing_key
        self._job_id = job_id
        self._member = job_id.encode("utf-8", "surrogateescape")
        self._task = task
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        self._everywhere = False
        self._others: Optional[List[str]] = None
        self._checked: Set[bytes] = set()
        self._sent: Set[bytes] = set()
        self._lost = 0
        self._looked_at: Optional[bytes] = None
        self._due_since: Optional[float] = None
        self._absent_since: Optional[float] = None

    async def run(self, failure_ttl: int) -> str:
        """Ask until there is an answer."""
        while self._now() - self._began < _LIMIT:
            old = await self._read()
            if old is None:
                return "missing"
            if old in self._sent:
                return self._task.done
            document = document_of(self._job_id, old, whole=True) or Document()
            job = document.job
            if job is None:
                raise exc.SerializationError(
                    f"can't {self._task.words}: its document can't be read, by a worker neither, "
                    "which makes a dead letter of it",
                    job_id=self._job_id,
                )
            if document.is_cancelled and self._task.done == "cancelled":
                return "cancelled"
            if job.status in (JobStatus.COMPLETED, JobStatus.FAILED):
                return "finished"
            answer = await self._apply(job, old)
            outcome = await self._judge(answer, old)
            if outcome is not None:
                return outcome
        raise exc.TimeoutError(
            f"can't {self._task.words}: its document changes all the time; nothing was done",
            job_id=self._job_id,
        )

    async def _read(self) -> Optional[bytes]:
        command: Command = (b"GET", self._keys.document(self._member))
        (reply,) = await self._connection.run([command], again=True)
        if isinstance(reply, ReplyError):
            raise refusal(command, reply, self._task.words, self._job_id)
        found: Optional[bytes] = reply
        return found

    async def _apply(self, job: Job, old: bytes) -> str:
        """Run the script once, and return what it says."""
        keys = self._keys
        was_moved = job.status is JobStatus.SCHEDULED or job.attempts > 0
        removal = self._task.change(
            job,
            old,
            Removal(
                job=keys.document(self._member),
                result=keys.stored_result(self._member),
                scheduled=keys.scheduled,
                processing=keys.processing,
                lists=self._lists(job),
                job_id=self._member,
                old=old,
                new=b"",
                margin=_MARGIN,
                look=was_moved and self._looked_at != old,
            ),
        )
        if not self._checked >= set(removal.lists):
            commands = rights_to_remove(removal)
            await check_rights(self._connection, commands, self._task.words, self._job_id)
            self._checked |= set(removal.lists)
        self._sent.add(removal.new)
        try:
            (reply,) = await self._connection.run([remove_job(removal)])
        except (exc.ConnectionError, exc.TimeoutError) as error:
            self._lost += 1
            unsent = isinstance(error, exc.ConnectionError) and not error.sent
            if unsent or self._lost > _LOST_REPLIES:
                raise
            return "changed"  # the document tells whether it was done
        if isinstance(reply, ReplyError):
            raise exc.ServerError(
                f"can't {self._task.words}: Redis refuses: {reply}",
                job_id=self._job_id,
                code=reply.code,
            )
        return reply.decode() if isinstance(reply, bytes) else str(reply)

    def _lists(self, job: Job) -> List[bytes]:
        """Return where a job may be queued: a server may read its routing key or ignore it."""
        routes = list(dict.fromkeys([None, job.routing_key, self._routing_key]))
        if self._everywhere:
            return self._keys.all_ready(dict.fromkeys([*routes, "default", *(self._others or ())]))
        priority = JobPriority(job.priority)
        return [self._keys.ready(priority, route) for route in routes]

    async def _judge(self, answer: str, old: bytes) -> Optional[str]:
        """Return the outcome that an answer of the script comes to; None to ask again."""
        if answer == "done":
            return self._task.done
        if answer == "taken":
            return answer
        if answer == "due":
            self._due_since = self._due_since or self._now()
            if self._now() - self._due_since >= _PATIENCE:
                return answer
            await asyncio.sleep(_PAUSE)
        elif answer == "queued":
            self._looked_at = old
            await asyncio.sleep(_SECOND_LOOK)
        elif answer == "absent" and not self._everywhere:
            self._everywhere = True
        elif answer == "absent":
            self._absent_since = self._absent_since or self._now()
            if self._now() - self._absent_since < _MOVING:
                await asyncio.sleep(_PAUSE)
            elif not await self._has_other_routes():
                return "missing"
        return None

    async def _has_other_routes(self) -> bool:
        """Look, once, for routes that neither the document nor the client names."""
        if self._others is not None:
            return False
        try:
            self._others = await discover_routes(self._connection, self._keys)
        except exc.ServerError:  # without the right to look, those known are all
            self._others = []
        return bool(self._others)
