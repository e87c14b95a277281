"""Takes a job out of the queue before a worker does, for good or until another time."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Callable, List, NamedTuple, Optional, Set

from .. import exceptions as exc
from .._redis import Argument, Command
from .._stored_jobs import Document, document_of
from .._wire import dumps, format_timestamp, to_unix_time, utcnow
from ..enums import JobPriority, JobStatus
from ..models import Job, JobResult
from .cancel_script import Removal, remove_job
from .connection import was_not_sent
from .deployment import Deployment, member_of
from .depths import visible_routes
from .job_facts import FINAL
from .rewriting import kept_changing, rewritten
from .rights import refuse_missing

__all__ = ["cancel_job", "reschedule_job"]

# For this many seconds the call waits until a scheduler moves a due job to its list.
_PATIENCE = 5.0
_PAUSE = 0.07
# For this many seconds after a scheduler moved a job, another one may move it again.
_SECOND_LOOK = 1.5
# A job that moves from one place to another may be in no list for this long.
_MOVING = 1.0
_LIMIT = 20.0
_LOST_REPLIES = 2


class _Task(NamedTuple):
    """What is to become of the job."""

    words: str
    done: str
    change: Callable[[Job, bytes], Removal]


async def cancel_job(deployment: Deployment, job_id: str, reason: str) -> str:
    """Cancel a job, and return the word of a ``CancelOutcome``."""
    text = f"cancelled: {reason}" if reason else "cancelled"

    def change(job: Job, old: bytes) -> Removal:
        now = utcnow()
        result: JobResult[Any] = JobResult(
            job_id, JobStatus.FAILED, error=text, completed_at=now, cancelled=True
        )
        fields: List[Argument] = [part for pair in result.to_hash(now).items() for part in pair]
        moment = dumps(format_timestamp(now))
        changes = {
            "status": b'"failed"',
            "updated_at": moment,
            "error": dumps(text),
            "cancelled_at": moment,
        }
        new = rewritten(old, changes, {"scheduled_for"})
        return Removal(new, fields=fields, kept=deployment.failure_ttl)

    task = _Task(f"cancel job {job_id}", "cancelled", change)
    return await _Attempt(deployment, job_id, task).run()


async def reschedule_job(deployment: Deployment, job_id: str, when: datetime) -> str:
    """Have a job run at another time, and return the word of a ``RescheduleOutcome``."""

    def change(job: Job, old: bytes) -> Removal:
        changes = {
            "status": b'"scheduled"' if job.attempts == 0 else b'"pending"',
            "updated_at": dumps(format_timestamp(utcnow())),
            "scheduled_for": dumps(format_timestamp(when)),
        }
        return Removal(rewritten(old, changes), score=to_unix_time(when))

    task = _Task(f"reschedule job {job_id}", "rescheduled", change)
    return await _Attempt(deployment, job_id, task).run()


class _Attempt:
    """One call, which asks again until it knows what became of the job."""

    def __init__(self, deployment: Deployment, job_id: str, task: _Task) -> None:
        self._deployment = deployment
        self._connection = deployment.connection
        self._keys = deployment.keys
        self._job_id = job_id
        self._member = member_of(job_id)
        self._task = task
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        self._everywhere = False
        self._others: Optional[List[str]] = None  # routes that nobody names
        self._checked: Set[bytes] = set()
        self._sent: Set[bytes] = set()
        self._lost = 0
        self._looked_at: Optional[bytes] = None
        self._due_since: Optional[float] = None
        self._absent_since: Optional[float] = None

    async def run(self) -> str:
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
                    f"can't {self._task.words}: its document can't be read; the worker that takes "
                    "it makes it a dead letter",
                    job_id=self._job_id,
                )
            if document.is_cancelled and self._task.done == "cancelled":
                return "cancelled"
            if job.status in FINAL:
                return "finished"
            answer = await self._apply(job, old)
            outcome = await self._judge(answer, old)
            if outcome is not None:
                return outcome
        raise kept_changing(self._task.words, self._job_id, may_be_done=self._lost > 0)

    async def _read(self) -> Optional[bytes]:
        command: Command = (b"GET", self._keys.document(self._member))
        replies = await self._connection.run([command], again=True)
        refuse_missing([command], replies, self._task.words, self._job_id)
        found: Optional[bytes] = replies[0]
        return found

    async def _apply(self, job: Job, old: bytes) -> str:
        """Run the script once, and return what it says."""
        was_moved = job.status is JobStatus.SCHEDULED or job.attempts > 0
        removal = self._task.change(job, old)
        lists = self._lists(job)
        only_look = was_moved and self._looked_at != old
        script = remove_job(self._keys, self._member, old, removal, lists, only_look=only_look)
        if not self._checked.issuperset(lists):
            await script.check_rights(self._connection, self._task.words, self._job_id)
            self._checked.update(lists)
        self._sent.add(removal.new)
        try:
            reply: bytes = await script.run(self._connection, self._task.words, self._job_id)
        except (exc.ConnectionError, exc.TimeoutError) as error:
            self._lost += 1
            if was_not_sent(error) or self._lost > _LOST_REPLIES:
                raise
            return "changed"  # the document tells whether it was done
        return reply.decode()

    def _lists(self, job: Job) -> List[bytes]:
        """Return where a job may be queued: a server may read its routing key or ignore it."""
        routes = list(dict.fromkeys([None, job.routing_key, self._deployment.routing_key]))
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
        self._others = await visible_routes(self._deployment)
        return bool(self._others)
