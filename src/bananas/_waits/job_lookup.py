"""Looks jobs up: all that tells how far they are, in one round trip."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from .. import exceptions as exc
from .._pipeline import AutoPipeline
from .._redis import Command, Reply, ReplyError
from .._stored_jobs import document_of, read_document, read_end, result_of
from .._wire import Keys
from ..models import JobResult
from .job_finality import Finality, judge
from .job_location import Known
from .wait_errors import result_gone

__all__ = ["final_result", "is_listed", "look_up", "read_job"]

# A round trip for so many jobs takes a small part of the tenth of a second that a last look has.
_CHUNK = 100
# New taken jobs are on the left. A lookup of many jobs searches only this many of them.
_TAKEN = 1000


def read_job(keys: Keys, job_id: str, *, whole: bool, taken: Optional[int] = None) -> List[Command]:
    """Return the commands that read the document, or its end, and the result of a job.

    Go rewrites the document before it takes the id from the list of taken jobs, which therefore
    comes first; ``judge`` says why the document comes before the result.

    Args:
        keys: The names of everything.
        job_id: The job.
        whole: Whether to read more than the end of the document.
        taken: Among how many of the jobs that workers have taken it is looked for before; 0 is
            all, None is not at all.
    """
    commands: List[Command] = []
    if taken is not None:
        commands.append((b"LPOS", keys.processing, job_id, b"MAXLEN", taken))
    commands.append((read_document if whole else read_end)(keys, job_id))
    commands.append((b"HGETALL", keys.result(job_id)))
    return commands


def is_listed(reply: Reply) -> Optional[bool]:
    """Read the reply to LPOS; None where Redis refuses."""
    return None if isinstance(reply, ReplyError) else reply is not None


async def look_up(
    pipeline: AutoPipeline,
    keys: Keys,
    job_ids: Sequence[str],
    *,
    timeout: Optional[float] = None,
    everywhere: bool = False,
) -> List[Known]:
    """Look jobs up.

    Args:
        pipeline: Carries the reads.
        keys: The names of everything.
        job_ids: The jobs.
        timeout: Limit in seconds for each round trip; None is that of a read.
        everywhere: Whether to look among the dead letters too, and at the whole of every list.

    Raises:
        ConnectionError: Redis could not be reached.
        TimeoutError: It did not answer in time.
    """
    found: Dict[str, Known] = {}

    async def read(some_ids: Sequence[str], *, whole: bool) -> List[str]:
        """Look jobs up; return those whose documents have to be read whole."""
        commands: List[Command] = []
        for job_id in some_ids:
            taken = 0 if everywhere else _TAKEN
            commands.extend(read_job(keys, job_id, whole=whole, taken=taken))
            if everywhere:
                commands.append((b"LPOS", keys.dead, job_id))
        replies = await pipeline.call(commands, timeout=timeout)
        size = len(replies) // len(some_ids)  # replies about one job
        long: List[str] = []
        for at, job_id in enumerate(some_ids):
            known = _known(job_id, replies[size * at : size * (at + 1)], whole=whole)
            if known is None:
                long.append(job_id)
            else:
                found[job_id] = known
        return long

    for start in range(0, len(job_ids), _CHUNK):
        long = await read(job_ids[start : start + _CHUNK], whole=False)
        if long:
            await read(long, whole=True)
    return [found[job_id] for job_id in job_ids]


def _known(job_id: str, replies: Sequence[Reply], *, whole: bool) -> Optional[Known]:
    taken, text, stored, *dead = replies
    document = document_of(job_id, text, whole=whole)
    if document is None:
        return None
    result: Optional[JobResult[Any]] = None
    trouble: Optional[Exception] = None
    if stored:
        try:
            result = result_of(job_id, stored)
        except (exc.SerializationError, exc.ServerError) as error:
            trouble = error
    return Known(
        document,
        result,
        trouble,
        is_taken=is_listed(taken),
        is_dead=is_listed(dead[0]) if dead else None,
        is_cancelled=document.is_cancelled or _is_cancelled(stored),
    )


def _is_cancelled(stored: Reply) -> bool:
    return isinstance(stored, list) and b"cancelled" in stored[::2]


def final_result(job_id: str, known: Known, *, any_attempt: bool) -> Optional[JobResult[Any]]:
    """Return what ends a wait for a job, if anything does.

    Raises:
        ResultNotFoundError: The job has completed, and its result is gone.
        SerializationError: What is stored is no result.
        ServerError: Redis refuses to read it.
    """
    if known.trouble is not None:
        raise known.trouble
    found = judge(known.document.job, known.result, cancelled=known.is_cancelled)
    if found.finality is Finality.RESULT_GONE:
        raise result_gone(job_id)
    is_sure = known.document.refusal is None  # else a failure may be one that will be retried
    ended = found.result if found.finality is Finality.ENDED else None
    if ended is not None and (is_sure or ended.is_success):
        return ended
    return known.result if any_attempt else None
