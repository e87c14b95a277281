"""Deletes a job that has finished, or gives a dead letter another try."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Iterator, List, Optional, Sequence

from .. import exceptions as exc
from .._redis import Command, Reply, ReplyError
from .._stored_jobs import Document, document_of
from .._wire import Keys, dumps, format_timestamp, utcnow
from ..enums import JobStatus
from ..models import Job
from .connection import HeldConnection, OperatingConnection
from .requeue_routes import Routes
from .rewriting import rewritten

__all__ = ["delete_job", "requeue_job", "requeued"]

_TRIES = 100
# A worker stores the result first, and rewrites the document a moment later.
_ENDING = 1.0
_PAUSE = 0.02
_FINAL = (JobStatus.COMPLETED, JobStatus.FAILED)
# After so many lost replies whoever asked is told; what is there then says what was done.
_LOST_REPLIES = 2


class _LostReplies:
    """Remembers the replies that were lost during one call, which then looks what was done.

    Attributes:
        may_be_done: Whether the reply to a transaction was among them.
    """

    def __init__(self) -> None:
        self._count = 0
        self.may_be_done = False

    @contextlib.contextmanager
    def looked_into(self) -> Iterator[None]:
        """Have the call try once more where a reply was lost, but not for ever."""
        try:
            yield
        except (exc.ConnectionError, exc.TimeoutError) as error:
            self._count += 1
            unsent = isinstance(error, exc.ConnectionError) and not error.sent
            if unsent or self._count > _LOST_REPLIES:
                raise

    @contextlib.contextmanager
    def in_doubt(self) -> Iterator[None]:
        """Note that a transaction may be done whose reply is lost."""
        try:
            yield
        except (exc.ConnectionError, exc.TimeoutError):
            self.may_be_done = True
            raise


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


async def delete_job(connection: OperatingConnection, keys: Keys, job_id: str) -> str:
    """Delete a job that has finished, and return the word of a ``DeleteOutcome``."""
    now = asyncio.get_running_loop().time
    until = now() + _ENDING
    while True:
        outcome = await _delete_if_finished(connection, keys, job_id)
        if outcome != "ending":
            return outcome
        if now() >= until:
            return "unfinished"
        await asyncio.sleep(_PAUSE)


async def _delete_if_finished(connection: OperatingConnection, keys: Keys, job_id: str) -> str:
    """Delete it; ``ending`` is said of one that has completed and that its worker still holds."""
    task = f"delete job {job_id}"
    lost = _LostReplies()
    for _ in range(_TRIES):
        with lost.looked_into():
            outcome = await _try_to_delete(connection, keys, job_id, task, lost)
            if outcome is not None:
                return "deleted" if lost.may_be_done and outcome == "missing" else outcome
    raise _restless(task, job_id)


async def _try_to_delete(
    connection: OperatingConnection, keys: Keys, job_id: str, task: str, lost: _LostReplies
) -> Optional[str]:
    """Delete it if it has finished; None where it changes meanwhile."""
    member = job_id.encode("utf-8", "surrogateescape")
    job_key, result_key = keys.document(member), keys.stored_result(member)
    async with connection.exclusive() as held:
        reads: List[Command] = [
            (b"WATCH", job_key),
            (b"GET", job_key),
            (b"LPOS", keys.processing, member),
            (b"ZSCORE", keys.scheduled, member),
            (b"HGETALL", result_key),
        ]
        _, old, taken, score, result = _granted(await held.run(reads), task, job_id)
        if old is not None:
            document = document_of(job_id, old, whole=True) or Document()
            final = document.job is None or document.job.status in _FINAL
            if not final or taken is not None or score is not None:
                return "ending" if _has_completed(result) else "unfinished"
        elif taken is not None or score is not None:
            return "missing"
        commands: List[Command] = [
            (b"DEL", job_key, result_key),
            (b"LREM", keys.dead, 0, member),
        ]
        done = await _transact(held, commands, task, job_id, lost)
    if done is None:
        return None
    return "deleted" if any(done) else "missing"


def _has_completed(result: List[bytes]) -> bool:
    """Whether a stored result is that of a job that has completed; a failed one may go on."""
    return dict(zip(result[::2], result[1::2])).get(b"status") == b"completed"


async def requeue_job(
    connection: OperatingConnection, keys: Keys, routes: Routes, job_id: str
) -> None:
    """Give a dead letter another try.

    Raises:
        exceptions.JobNotFoundError: There is no such dead letter.
    """
    task = f"requeue job {job_id}"
    lost = _LostReplies()
    for _ in range(_TRIES):
        with lost.looked_into():
            if await _try_to_requeue(connection, keys, routes, job_id, task, lost):
                return
    raise _restless(task, job_id)


async def _try_to_requeue(
    connection: OperatingConnection,
    keys: Keys,
    routes: Routes,
    job_id: str,
    task: str,
    lost: _LostReplies,
) -> bool:
    """Requeue it, and say whether that was done; not if it changes meanwhile."""
    member = job_id.encode("utf-8", "surrogateescape")
    job_key = keys.document(member)
    async with connection.exclusive() as held:
        reads: List[Command] = [
            (b"WATCH", job_key),
            (b"GET", job_key),
            (b"LPOS", keys.dead, member),
        ]
        _, old, place = _granted(await held.run(reads), task, job_id)
        if lost.may_be_done and old is not None and place is None:
            return True
        job = _letter(old, place, task, job_id)
        new, target = requeued(old), routes.target(job)
        checks: List[Command] = [(b"LLEN", target)]
        _granted(await held.run(checks), task, job_id)
        commands: List[Command] = [
            (b"SET", job_key, new),
            (b"DEL", keys.stored_result(member)),
            (b"LREM", keys.dead, 0, member),
            (b"LPUSH", target, member),
        ]
        return await _transact(held, commands, task, job_id, lost) is not None


def _letter(old: Optional[bytes], place: Optional[int], task: str, job_id: str) -> Job:
    """Return the job of a dead letter that can be given another try."""
    if place is None:
        raise exc.JobNotFoundError(f"can't {task}: it is no dead letter", job_id=job_id)
    if old is None:
        raise exc.JobNotFoundError(
            f"can't {task}: its document has expired, and only its id is left among the dead "
            "letters",
            job_id=job_id,
        )
    job = (document_of(job_id, old, whole=True) or Document()).job
    if job is None or not job.name:
        raise exc.SerializationError(
            f"can't {task}: its document can't be read, or was lost before it became a dead letter",
            job_id=job_id,
        )
    if job.status is not JobStatus.FAILED:
        raise exc.JobNotFoundError(
            f"can't {task}: it has not failed, and is {job.status or 'in an unknown state'}",
            job_id=job_id,
        )
    return job


async def _transact(
    held: HeldConnection, commands: Sequence[Command], task: str, job_id: str, lost: _LostReplies
) -> Optional[List[Reply]]:
    """Run commands as one transaction; None where what is watched has changed meanwhile."""
    # It goes alone: were it refused, the commands would be carried out one by one.
    _granted(await held.run([(b"MULTI",)]), task, job_id)
    with lost.in_doubt():
        replies = await held.run([*commands, (b"EXEC",)])
    found = replies[-1]
    if found is None:
        return None
    if isinstance(found, ReplyError):
        _granted(replies, task, job_id)  # the first says why
    done: List[Reply] = _granted(found, task, job_id)
    return done


def _granted(replies: List[Reply], task: str, job_id: str) -> List[Reply]:
    """Return replies, none of which is a refusal."""
    for reply in replies:
        if isinstance(reply, ReplyError):
            raise exc.ServerError(
                f"can't {task}: Redis refuses: {reply}", job_id=job_id, code=reply.code
            )
    return replies


def _restless(task: str, job_id: str) -> exc.TimeoutError:
    return exc.TimeoutError(
        f"can't {task}: its document changes all the time; nothing was done", job_id=job_id
    )
