"""FinishedJob: deletes a job that has finished, or gives a dead letter another try."""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, List, Optional, TypeVar

from .. import exceptions as exc
from .._redis import Command, ReplyError
from .._stored_jobs import Document, document_of
from .._wire import dumps, format_timestamp, utcnow
from ..enums import JobStatus
from ..models import Job
from .connection import HeldConnection, was_not_sent
from .deployment import Deployment, granted, member_of
from .job_facts import FINAL
from .requeue_routes import Routes
from .rewriting import kept_changing, rewritten

__all__ = ["FinishedJob", "requeued"]

T = TypeVar("T")

_TRIES = 100
# A worker stores the result first, and rewrites the document a moment later.
_ENDING = 1.0
_PAUSE = 0.02
# After this many lost replies the call raises; the data in Redis then says what was done.
_LOST_REPLIES = 2


def requeued(document: bytes) -> bytes:
    """Return the document of a failed job that begins anew; its payload keeps every byte.

    Raises:
        exceptions.SerializationError: It is no JSON object.
    """
    changes = {
        "status": b'"pending"',
        "attempts": b"0",
        "updated_at": dumps(format_timestamp(utcnow())),
    }
    return rewritten(document, changes, {"error", "scheduled_for", "cancelled_at"})


class FinishedJob:
    """One call, which watches the document and tries again where that changes meanwhile.

    Args:
        deployment: Where the job is.
        job_id: The job.
        verb: What is done to it, for messages.
    """

    def __init__(self, deployment: Deployment, job_id: str, verb: str) -> None:
        self._connection = deployment.connection
        self._keys = keys = deployment.keys
        self._job_id = job_id
        self._task = f"{verb} job {job_id}"
        self._member = member = member_of(job_id)
        self._document = keys.document(member)
        self._result = keys.stored_result(member)
        self._may_be_done = False  # the reply to a transaction was lost

    async def delete(self) -> str:
        """Delete it if it has finished, and return the word of a ``DeleteOutcome``."""
        now = asyncio.get_running_loop().time
        until = now() + _ENDING
        while True:
            outcome = await self._until_unchanged(self._try_to_delete)
            if outcome != "ending":
                was_deleted = self._may_be_done and outcome == "missing"
                return "deleted" if was_deleted else outcome
            if now() >= until:
                return "unfinished"
            await asyncio.sleep(_PAUSE)

    async def requeue(self, routes: Routes) -> None:
        """Give it another try.

        Raises:
            exceptions.JobNotFoundError: There is no such dead letter.
        """

        async def attempt(held: HeldConnection) -> Optional[bool]:
            return await self._try_to_requeue(held, routes)

        await self._until_unchanged(attempt)

    async def _until_unchanged(
        self, attempt: Callable[[HeldConnection], Awaitable[Optional[T]]]
    ) -> T:
        """Try until something other than None comes of it; a lost reply is looked into, twice."""
        lost = 0
        for _ in range(_TRIES):
            try:
                async with self._connection.exclusive() as held:
                    outcome = await attempt(held)
            except (exc.ConnectionError, exc.TimeoutError) as error:
                lost += 1
                if was_not_sent(error) or lost > _LOST_REPLIES:
                    raise
            else:
                if outcome is not None:
                    return outcome
        raise kept_changing(self._task, self._job_id, may_be_done=self._may_be_done)

    async def _try_to_delete(self, held: HeldConnection) -> Optional[str]:
        """Delete it; ``ending`` is said of one that has completed and that its worker holds."""
        keys, member = self._keys, self._member
        _, old, taken, score, result = await self._read(
            held,
            (b"WATCH", self._document),
            (b"GET", self._document),
            (b"LPOS", keys.processing, member),
            (b"ZSCORE", keys.scheduled, member),
            (b"HGETALL", self._result),
        )
        is_placed = taken is not None or score is not None
        if old is not None:
            job = self._job(old)
            if is_placed or (job is not None and job.status not in FINAL):
                return "ending" if _has_completed(result) else "unfinished"
        elif is_placed:
            return "missing"
        done = await self._transact(
            held, (b"DEL", self._document, self._result), (b"LREM", keys.dead, 0, member)
        )
        if done is None:
            return None
        return "deleted" if any(done) else "missing"

    async def _try_to_requeue(self, held: HeldConnection, routes: Routes) -> Optional[bool]:
        """Requeue it; None where it changes meanwhile."""
        keys, member = self._keys, self._member
        _, old, place = await self._read(
            held,
            (b"WATCH", self._document),
            (b"GET", self._document),
            (b"LPOS", keys.dead, member),
        )
        if self._may_be_done and old is not None and place is None:
            return True
        job = self._letter(old, place)
        new, target = requeued(old), routes.target(job)
        await self._read(held, (b"LLEN", target))
        done = await self._transact(
            held,
            (b"SET", self._document, new),
            (b"DEL", self._result),
            (b"LREM", keys.dead, 0, member),
            (b"LPUSH", target, member),
        )
        return None if done is None else True

    def _job(self, document: bytes) -> Optional[Job]:
        return (document_of(self._job_id, document, whole=True) or Document()).job

    def _letter(self, old: Optional[bytes], place: Optional[int]) -> Job:
        """Return the job of a dead letter that can be given another try."""
        if place is None:
            raise exc.JobNotFoundError(
                f"can't {self._task}: it is not a dead letter", job_id=self._job_id
            )
        if old is None:
            raise exc.JobNotFoundError(
                f"can't {self._task}: its document has expired, and only its id is left among the "
                "dead letters",
                job_id=self._job_id,
            )
        job = self._job(old)
        if job is None or not job.name:
            raise exc.SerializationError(
                f"can't {self._task}: its document can't be read, or was lost before it became a "
                "dead letter",
                job_id=self._job_id,
            )
        if job.status is not JobStatus.FAILED:
            raise exc.JobNotFoundError(
                f"can't {self._task}: it has not failed, and is "
                f"{job.status or 'in an unknown state'}",
                job_id=self._job_id,
            )
        return job

    async def _read(self, held: HeldConnection, *commands: Command) -> List[Any]:
        return granted(await held.run(commands), self._task, self._job_id)

    async def _transact(self, held: HeldConnection, *commands: Command) -> Optional[List[Any]]:
        """Run commands as one transaction; None where what is watched has changed meanwhile."""
        # It goes alone: were it refused, the commands would be carried out one by one.
        await self._read(held, (b"MULTI",))
        try:
            replies = await held.run([*commands, (b"EXEC",)])
        except (exc.ConnectionError, exc.TimeoutError):
            self._may_be_done = True
            raise
        found = replies[-1]
        if isinstance(found, ReplyError):
            granted(replies, self._task, self._job_id)  # the first says why
        return None if found is None else granted(found, self._task, self._job_id)


def _has_completed(result: List[bytes]) -> bool:
    """Whether a stored result is that of a job that has completed; a failed one may go on."""
    return dict(zip(result[::2], result[1::2])).get(b"status") == b"completed"
