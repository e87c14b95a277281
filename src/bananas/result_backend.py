"""RedisResultBackend: stores, reads, awaits and deletes results."""

from __future__ import annotations

import functools
from datetime import datetime
from typing import Any, Callable, Iterable, List, Literal, Optional, Union, overload

from . import exceptions as exc
from ._argument_checks import check_job_id, check_job_ids, check_timeout
from ._in_process import InProcess
from ._pipeline import AutoPipeline
from ._redis import Command, Reply, ReplyError
from ._stored_jobs import read_many, read_result, result_of
from ._types import Seconds
from ._waits import Waits
from ._wire import Keys, utcnow
from .models import JobResult

__all__ = ["RedisResultBackend"]


class RedisResultBackend(InProcess):
    """Stores, reads, awaits and deletes results.

    Use it as ``client.results``. It shares the client's connections.

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
        """Store a result and send its notification, as a worker does.

        All is done in one transaction, which replaces the result of an earlier attempt. If the
        reply is lost, the client sends it again, which does no harm. If Redis refuses MULTI, the
        commands run one by one.

        Args:
            result: The result of a completed or failed job. ``completed_at=None`` means now.

        Raises:
            SerializationError: The data is not JSON that Go accepts.
            ValueError: The status is not ``COMPLETED`` or ``FAILED``, or a field is not valid.
            ServerError: Redis refused the command; the result is not stored.
            ConnectionError: Redis could not be reached.
            TimeoutError: Redis did not answer within ``read_timeout``. After one of these two
                errors the result may be stored or not. You can store it again.
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
            # Redis has run the others one by one: a result without expiry would stay forever.
            await self._pipeline.call([(b"DEL", key)], writes=True)
        raise exc.ServerError(
            f"Redis refuses to store the result of job {job_id}: {error}",
            job_id=job_id,
            code=error.code,
        )

    async def get_result(self, job_id: str) -> Optional[JobResult[Any]]:
        """Read the stored result: that of the last attempt that ended, final or not.

        Returns:
            The result; None if no result is stored.

        Raises:
            SerializationError: The stored result can't be read.
            ServerError: Redis refuses the command.
            ConnectionError: Redis could not be reached.
            TimeoutError: Redis did not answer within ``read_timeout``.
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
        """Read many results, 500 in each round trip.

        Args:
            job_ids: The jobs.
            return_exceptions: True puts the error of an unreadable result into the list. False
                raises the first such error.

        Returns:
            One item for each id, in the same order; None if no result is stored.

        Raises:
            ValueError: An id is not valid, or ``job_ids`` is one string.
            ConnectionError: Redis could not be reached.
            TimeoutError: Redis did not answer within ``read_timeout``.
            ServerError: Redis refuses the command; the error names the job.
            SerializationError: A stored result can't be read; the error names the job.
        """
        ids = check_job_ids(job_ids)
        self._pipeline.refuse_closed()
        command = functools.partial(read_result, self._keys)
        call = self._pipeline.call
        return await read_many(
            call, command, _result_or_none, ids, return_exceptions=return_exceptions
        )

    async def wait_for_result(
        self,
        job_id: str,
        timeout: Optional[Seconds] = 30.0,
        *,
        wait_for_retries: bool = True,
        must_exist: bool = False,
    ) -> JobResult[Any]:
        """Wait until a job has ended.

        It returns the final result: a success, or a failure with no retries left. If a job ends
        without a stored result (no handler, a panic, an unreadable document), it returns a failed
        result with the reason from the job's document. If the connection is lost, the client
        reconnects and finds results that were stored in the meantime.

        Args:
            job_id: The job. If it does not exist, the call waits for it to appear.
            timeout: Limit in seconds, or a timedelta; the call is at most 0.2 s late. None is no
                limit, 0 only looks. With a limit of less than a second, the first look at Redis may
                take longer: up to ``read_timeout``, or a second if that is less.
            wait_for_retries: False returns the first stored result, even if a retry may follow.
            must_exist: True raises ``JobNotFoundError`` at once if there is no such job.

        Returns:
            The result of a success or of a final failure.

        Raises:
            TimeoutError: The time is over. ``whereabouts`` and the message say where the job is.
                The job goes on.
            JobNotFoundError: There is no such job, and ``must_exist`` is true.
            ResultNotFoundError: The job has completed, but its result has expired.
            SerializationError: The stored result can't be read.
            ServerError: The user may not read the result. Or an attempt failed and the user may not
                read the document, so the client can't know whether a retry follows.
            AuthenticationError: Redis refuses the credentials.
            ConnectionError: The server can't run the queue, for example a Redis Cluster.
            ClientClosedError: The client was closed.

        If you cancel the call, only this wait ends.
        """
        return await self._waits.wait(
            check_job_id(job_id),
            check_timeout(timeout),
            any_attempt=not wait_for_retries,
            must_exist=must_exist,
        )

    async def delete_result(self, job_id: str) -> bool:
        """Delete a result, but not the job's document.

        Returns:
            Whether there was a result. If a reply was lost, this may be false although there was
            one.

        Raises:
            ServerError: Redis refused the command.
            ConnectionError: Redis could not be reached.
            TimeoutError: Redis did not answer within ``read_timeout``.
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
