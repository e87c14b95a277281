"""Deletes a job that has finished, or gives a dead letter another try."""

from __future__ import annotations

import asyncio
from typing import List, Optional, Sequence

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
    member = job_id.encode("utf-8", "surrogateescape")
    job_key, result_key = keys.document(member), keys.stored_result(member)
    for _ in range(_TRIES):
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
            done = await _transact(
                held,
                [(b"DEL", job_key, result_key), (b"LREM", keys.dead, 0, member)],
                task,
                job_id,
            )
        if done is not None:
            return "deleted" if any(done) else "missing"
    raise _restless(task, job_id)


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
    member = job_id.encode("utf-8", "surrogateescape")
    job_key = keys.document(member)
    sent: List[bytes] = []
    for _ in range(_TRIES):
        async with connection.exclusive() as held:
            reads: List[Command] = [
                (b"WATCH", job_key),
                (b"GET", job_key),
                (b"LPOS", keys.dead, member),
            ]
            _, old, place = _granted(await held.run(reads), task, job_id)
            if old in sent:
                return  # the reply to the last try was lost
            job = _letter(old, place, task, job_id)
            new, target = requeued(old), routes.target(job)
            checks: List[Command] = [(b"LLEN", target)]
            _granted(await held.run(checks), task, job_id)
            sent.append(new)
            commands: List[Command] = [
                (b"SET", job_key, new),
                (b"DEL", keys.stored_result(member)),
                (b"LREM", keys.dead, 0, member),
                (b"LPUSH", target, member),
            ]
            if await _transact(held, commands, task, job_id) is not None:
                return
    raise _restless(task, job_id)


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
    held: HeldConnection, commands: Sequence[Command], task: str, job_id: str
) -> Optional[List[Reply]]:
    """Run commands as one transaction; None where what is watched has changed meanwhile."""
    # It goes alone: were it refused, the commands would be carried out one by one.
    _granted(await held.run([(b"MULTI",)]), task, job_id)
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
