"""Reads what Redis stores of a job: its document, or the end of a long one, and its result."""

from __future__ import annotations

import re
from typing import Any, Awaitable, Callable, List, NamedTuple, Optional, Sequence, TypeVar, Union

from . import exceptions as exc
from ._redis import Command, Reply, ReplyError
from ._wire import Keys, loads_members
from .models import Job, JobResult, JobStatus

__all__ = [
    "Document",
    "document_of",
    "read_document",
    "read_end",
    "read_many",
    "read_result",
    "result_of",
]

T = TypeVar("T")

# Of a longer document only the end is read, where Go writes all that tells how far the job is.
_END = 4096
_CHUNK = 500
_TEXT = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
# Unescaped quotes and no brackets: these are the last members of the document itself.
_LAST_MEMBERS = re.compile(
    rb'(?s)(?:, ?"(?:status|priority|created_at|updated_at|scheduled_for|attempts|max_retries|'
    rb'error|routing_key|cancelled_at)": ?(?:%b|-?[0-9]{1,19}|null))+\}\s*\Z' % _TEXT
)
_STATUS = re.compile(rb', ?"status": ?"')


class Document(NamedTuple):
    """What was read of a job's document.

    Attributes:
        job: The job; without its name and payload if only the end was read. None where there is
            no document, or none that can be read.
        is_there: Whether there is one.
        refusal: Why Redis refuses to show it. A key of another type counts as no document.
        is_cancelled: Whether it says that the job was cancelled.
    """

    job: Optional[Job] = None
    is_there: bool = False
    refusal: Optional[ReplyError] = None
    is_cancelled: bool = False


_NO_DOCUMENT = Document()


def read_document(keys: Keys, job_id: str) -> Command:
    """Return the command that reads a document whole."""
    return (b"GET", keys.job(job_id))


def read_end(keys: Keys, job_id: str) -> Command:
    """Return the command that reads the end of a document, which is the whole of most."""
    return (b"GETRANGE", keys.job(job_id), -_END, -1)


def read_result(keys: Keys, job_id: str) -> Command:
    """Return the command that reads a result."""
    return (b"HGETALL", keys.result(job_id))


def document_of(job_id: str, reply: Reply, *, whole: bool) -> Optional[Document]:
    """Read the reply to one of the two commands.

    Args:
        job_id: The job.
        reply: What Redis answered.
        whole: Whether the document was to be read whole.

    Returns:
        The document; None where its end does not tell enough, so that it has to be read whole.
    """
    if isinstance(reply, ReplyError):
        if reply.code == "WRONGTYPE":
            return _NO_DOCUMENT
        return Document(is_there=True, refusal=reply) if whole else None
    if not reply:
        return _NO_DOCUMENT
    if not whole and len(reply) >= _END:
        starts = [found.start() for found in _STATUS.finditer(reply)]
        match = _LAST_MEMBERS.match(reply, starts[-1]) if starts else None
        if match is None:
            return None
        reply = b'{"id":"%b"%b' % (job_id.encode(), match[0])
    try:
        job = Job.from_json(reply)
    except exc.SerializationError:
        return Document(is_there=True)
    return Document(job, is_there=True, is_cancelled=_is_cancelled(job, reply))


def _is_cancelled(job: Job, text: bytes) -> bool:
    if job.status is not JobStatus.FAILED or b'"cancelled_at"' not in text:
        return False
    return any(name == "cancelled_at" and value for name, value, _ in loads_members(text))


def result_of(job_id: str, reply: Reply) -> JobResult[Any]:
    """Read the reply to HGETALL of a result.

    Raises:
        ServerError: Redis refused.
        SerializationError: What is stored is no result.
    """
    if isinstance(reply, ReplyError):
        raise exc.ServerError(
            f"Redis refuses to read the result of job {job_id}: {reply}",
            job_id=job_id,
            code=reply.code,
        )
    parts = iter(reply)
    return JobResult.from_hash(job_id, dict(zip(parts, parts)))


async def read_many(
    call: Callable[[Sequence[Command]], Awaitable[Sequence[Reply]]],
    command: Callable[[str], Command],
    read: Callable[[str, Reply], T],
    job_ids: Sequence[str],
    *,
    return_exceptions: bool,
) -> List[Union[T, exc.BananasError]]:
    """Read something of each of many jobs, 500 in each round trip.

    Args:
        call: Runs commands.
        command: Returns the command that reads it.
        read: Reads the reply.
        job_ids: The jobs.
        return_exceptions: Whether an error stands in the place of what can't be read.
    """
    replies: List[Reply] = []
    for start in range(0, len(job_ids), _CHUNK):
        replies += await call([command(job_id) for job_id in job_ids[start : start + _CHUNK]])
    found: List[Union[T, exc.BananasError]] = []
    for job_id, reply in zip(job_ids, replies):
        try:
            found.append(read(job_id, reply))
        except exc.BananasError as error:
            if not return_exceptions:
                raise
            found.append(error)
    return found
