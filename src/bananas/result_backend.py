"""RedisResultBackend: stores, reads, awaits and deletes results."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Callable, Iterable, List, Literal, Optional, Union, overload

from . import exceptions as exc
from ._arguments import check_job_id, check_job_ids, check_timeout
from ._in_process import InProcess
from ._pipeline import AutoPipeline
from ._redis import Command, Reply, ReplyError
from ._stored_jobs import read_all, result_of
from ._types import Seconds
from ._waits import Waits
from ._wire import Keys, utcnow
from .models import JobResult

__all__ = ["RedisResultBackend"]

_CHUNK = 500


class RedisResultBackend(InProcess):
    """The results' part of a deployment.

    Made by a client, as ``client.results``; it shares the client's connections.

    Args:
        pipeline: Carries the commands.
        keys: The names of everything.
        waits: Serves the waits.
        success_ttl: Expiry of a stored success, in whole seconds.
        failure_ttl: Expiry of a stored failure, in whole seconds.
        life: The client's, which must not end before this is forgotten.
    """

    def __init__(
        self,
        pipeline: AutoPipeline,
        keys: Keys,
        waits: Waits,
        *,
        success_ttl: int = 3600,
        failure_ttl: int = 24 * 3600,
        life: object = None,
    ) -> None:
        self._life = life
        self._pipeline = pipeline
        self._keys = keys
        self._waits = waits
        self._success_ttl = success_ttl
        self._failure_ttl = failure_ttl
        self._now: Callable[[], datetime] = utcnow

    def __repr__(self) -> str:
        return f"<RedisResultBackend {self._keys!r}>"

    async def store_result(self, result: JobResult[Any]) -> None:
        """Store a result and announce it, as a worker does.

        Fields, expiry and announcement go out in one transaction. Nothing of an earlier attempt's
        result stays behind. A lost reply makes it be sent again, which changes nothing.
        Where Redis refuses MULTI, what follows it runs one by one.

        Args:
            result: Of a completed or failed job. A ``completed_at`` of None is now.

        Raises:
            SerializationError: The data are not JSON that Go accepts.
            ValueError: The status is not one of a result, or a field is refused.
            ServerError: Redis refused; the result is not stored.
            ConnectionError: Redis could not be reached.
            TimeoutError: It did not answer within ``read_timeout``. After either, the result may be
                stored or not; storing it again is harmless.
        """
        job_id = check_job_id(result.job_id)
        fields = result.to_hash(self._now())
        key = self._keys.result(job_id)
        ttl = self._success_ttl if result.is_success else self._failure_ttl
        flat = [part for pair in fields.items() for part in pair]
        commands: List[Command] = [
            (b"MULTI",),
            (b"DEL", key),
            (b"HSET", key, *flat),
            (b"EXPIRE", key, ttl),
            (b"PUBLISH", self._keys.channel(job_id), b"ready"),
            (b"EXEC",),
        ]
        replies = await self._pipeline.call(commands, size=sum(map(len, flat)), writes=True)
        error = _refusal(replies)
        if error is None:
            return
        if isinstance(replies[0], ReplyError):
            # Redis has run the others one by one: a result without expiry would stay for ever.
            await self._pipeline.call([(b"DEL", key)], writes=True)
        raise exc.ServerError(
            f"Redis refuses to store the result of job {job_id}: {error}",
            job_id=job_id,
            code=error.code,
        )

    async def get_result(self, job_id: str) -> Optional[JobResult[Any]]:
        """Read what is stored: the result of the last attempt that ended, final or not.

        Returns:
            The result; None where there is none.

        Raises:
            SerializationError: What is stored is no result.
            ServerError: Redis refuses.
            ConnectionError: Redis could not be reached.
            TimeoutError: It did not answer within ``read_timeout``.
        """
        return (await self.get_results([check_job_id(job_id)]))[0]

    @overload
    async def get_results(
        self, job_ids: Iterable[str], *, return_exceptions: Literal[False] = ...
    ) -> List[Optional[JobResult[Any]]]: ...

    @overload
    async def get_results(
        self, job_ids: Iterable[str], *, return_exceptions: bool
    ) -> List[Union[JobResult[Any], None, exc.BananasError]]: ...

    async def get_results(
        self, job_ids: Iterable[str], *, return_exceptions: bool = False
    ) -> List[Any]:
        """Read many results in as few round trips as their number allows.

        Args:
            job_ids: The jobs.
            return_exceptions: Whether a result that can't be read has its error in its place,
                where otherwise the first such error is raised.

        Returns:
            One result for each id, in their order; None where none is stored.

        Raises:
            ValueError: An id is refused, or ``job_ids`` is one string.
            ConnectionError: Redis could not be reached.
            TimeoutError: It did not answer within ``read_timeout``.
            ServerError: It refuses; the error names the job.
            SerializationError: What is stored is no result; the error names the job.
        """
        ids = check_job_ids(job_ids)
        self._pipeline.refuse_closed()
        replies: List[Reply] = []
        for start in range(0, len(ids), _CHUNK):
            keys = [self._keys.result(job_id) for job_id in ids[start : start + _CHUNK]]
            replies.extend(await self._pipeline.call([(b"HGETALL", key) for key in keys]))
        return read_all(_result_or_none, ids, replies, return_exceptions=return_exceptions)

    async def wait_for_result(
        self,
        job_id: str,
        timeout: Optional[Seconds] = 30.0,
        *,
        wait_for_retries: bool = True,
        must_exist: bool = False,
    ) -> JobResult[Any]:
        """Wait until a job has ended.

        A worker stores a failed result after every failed attempt; this returns only the last
        one. A job that ends without a result (no handler, a panic, an unreadable document)
        returns a failed result with the reason that its document gives. A lost connection is
        replaced, and all that was stored meanwhile is found.

        Args:
            job_id: The job; one that does not exist is waited for too, since it may come.
            timeout: Limit in seconds, or a timedelta, kept to 0.2 s; None is no limit, 0 only
                looks. However short it is, one look is given ``read_timeout``, or a second if that
                is less, and may exceed it.
            wait_for_retries: False returns the first stored result, though a retry may follow.
            must_exist: Whether a job that has neither a document nor a result ends the wait with
                ``JobNotFoundError``, at once.

        Returns:
            The result of a success or of a final failure.

        Raises:
            TimeoutError: The time is over; ``whereabouts`` and the message say where the job is.
                The job goes on.
            JobNotFoundError: With ``must_exist``, there is no such job.
            ResultNotFoundError: The job has completed, and its result is gone.
            SerializationError: What is stored is no result.
            ServerError: Redis refuses to read the result, or, after an attempt has failed, the
                document, without which a retry can't be told from the end.
            AuthenticationError: It refuses the credentials.
            ConnectionError: Only where trying again is pointless: a Redis Cluster, say.
            ClientClosedError: The client was closed.

        Cancelling it ends this wait, and no other for the same job.
        """
        return await self._waits.wait(
            check_job_id(job_id),
            check_timeout(timeout),
            any_attempt=not wait_for_retries,
            must_exist=must_exist,
        )

    async def delete_result(self, job_id: str) -> bool:
        """Delete a result; the job's document stays.

        Returns:
            Whether there was one. After a lost reply, which makes it be sent again, this may be
            false although the result was there.

        Raises:
            ServerError: Redis refused.
            ConnectionError: Redis could not be reached.
            TimeoutError: It did not answer within ``read_timeout``.
        """
        job_id = check_job_id(job_id)
        (reply,) = await self._pipeline.call([(b"DEL", self._keys.result(job_id))], writes=True)
        if isinstance(reply, ReplyError):
            raise exc.ServerError(
                f"Redis refuses to delete the result of job {job_id}: {reply}",
                job_id=job_id,
                code=reply.code,
            )
        return bool(reply)


def _result_or_none(job_id: str, reply: Reply) -> Optional[JobResult[Any]]:
    return result_of(job_id, reply) if reply else None


def _refusal(replies: List[Reply]) -> Optional[ReplyError]:
    """Return why a result is not stored, if it is not; replies to MULTI, the commands and EXEC."""
    outcome, found = replies[-1], replies
    if isinstance(outcome, list):
        found = outcome
    elif isinstance(replies[0], ReplyError):
        found = replies[1:-1]  # without MULTI, Redis runs the others one by one
    return next((reply for reply in found if isinstance(reply, ReplyError)), None)
