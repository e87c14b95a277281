"""The parts that a blocking client hands out.

The classes are generated from ``queue`` and ``result_backend`` by ``nox -s twin``; change those.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import (
    Any,
    Callable,
    Iterable,
    List,
    Literal,
    Optional,
    Pattern,
    Union,
    overload,
)

from . import exceptions as exc
from ._argument_checks import check_job_ids
from ._blocking_calls import BlockingClearing, BlockingListedJobs, BlockingPart
from ._types import NOT_GIVEN, IfExists, NotGiven, Seconds
from .enums import Priority
from .location import JobPlace
from .models import Job, JobResult
from .operating import DeadLetterCounts, QueueDepths
from .queue import ListedPlace

__all__ = ["BlockingDeadLetters", "BlockingQueue", "BlockingResultBackend"]


class BlockingQueue(BlockingPart):
    """Puts jobs into Redis, and reads, lists and counts them.

    Use it as ``client.queue``. It shares the client's connections.
    """

    def enqueue(self, job: Job, *, if_exists: IfExists = "return") -> str:
        """Queue a job: write its document and its id in one transaction.

        Args:
            job: A job from ``Job.create``. If it has ``scheduled_for``, it is scheduled.
            if_exists: If a job with this id exists: ``"return"`` its id and do not change it, or
                ``"raise"`` an error.

        Returns:
            The job's id.

        Raises:
            ConnectionError: Redis could not be reached; nothing was sent.
            OutcomeUnknownError: The reply was lost. You can enqueue the same job again, as long as
                its document exists.
            JobRejectedError: Redis refused the job; nothing is left behind.
            JobExistsError: The ``job_id`` exists, and ``if_exists`` is ``"raise"``.
        """
        return self._run(lambda client: client.queue.enqueue(job, if_exists=if_exists))

    def enqueue_scheduled(
        self, job: Job, scheduled_for: Union[datetime, timedelta], *, if_exists: IfExists = "return"
    ) -> str:
        """Schedule a job; the scheduler queues it when it is due.

        The document has the exact time. The score in Redis is rounded up to whole seconds, so that
        the job does not run early.

        Args:
            job: A job from ``Job.create``.
            scheduled_for: An aware datetime, or a timedelta from now.
            if_exists: If a job with this id exists: ``"return"`` its id and do not change it, or
                ``"raise"`` an error.

        Returns:
            The job's id.

        Raises:
            ValueError: The datetime is naive, or the timedelta negative.
            ConnectionError: Redis could not be reached; nothing was sent.
            OutcomeUnknownError: The reply was lost. You can enqueue the same job again, as long as
                its document exists.
            JobRejectedError: Redis refused the job; nothing is left behind.
            JobExistsError: The ``job_id`` exists, and ``if_exists`` is ``"raise"``.
        """
        return self._run(
            lambda client: client.queue.enqueue_scheduled(job, scheduled_for, if_exists=if_exists)
        )

    def get_job(self, job_id: str) -> Optional[Job]:
        """Read a job's document; None if there is no such job.

        Raises:
            ConnectionError: Redis could not be reached.
            TimeoutError: Redis did not answer within ``read_timeout``.
            ServerError: Redis refuses the command.
            SerializationError: The document can't be read.
        """
        return self._run(lambda client: client.queue.get_job(job_id))

    @overload
    def get_jobs(
        self, job_ids: Iterable[str], *, return_exceptions: Literal[False] = ...
    ) -> List[Optional[Job]]: ...

    @overload
    def get_jobs(
        self, job_ids: Iterable[str], *, return_exceptions: bool
    ) -> List[Union[Job, None, exc.BananasError]]: ...

    def get_jobs(self, job_ids: Iterable[str], *, return_exceptions: bool = False) -> List[Any]:
        """Read many documents, 500 in each round trip.

        Args:
            job_ids: The jobs.
            return_exceptions: True puts the error of an unreadable document into the list. False
                raises the first such error.

        Returns:
            One item for each id, in the same order; None if there is no such job.

        Raises:
            ValueError: An id is not valid, or ``job_ids`` is one string.
            ConnectionError: Redis could not be reached.
            TimeoutError: Redis did not answer within ``read_timeout``.
            ServerError: Redis refuses the command; the error names the job.
            SerializationError: A document can't be read; the error names the job.
        """
        ids = check_job_ids(job_ids)
        return self._run(
            lambda client: client.queue.get_jobs(ids, return_exceptions=return_exceptions)
        )

    def depths(
        self, routing_keys: Iterable[Optional[str]] = (), *, discover: bool = False
    ) -> QueueDepths:
        """Count the jobs in each place, in one round trip.

        Args:
            routing_keys: More routes to count; None means the flat lists. The client's route is
                always counted.
            discover: True also looks for other routes with waiting jobs, in short steps through all
                keys of Redis: half a second for a million keys.

        Raises:
            ValueError: A routing key is not valid.
            ServerError: Redis refuses the command.
            ConnectionError: Redis could not be reached.
            TimeoutError: Redis did not answer within ``read_timeout``.
        """
        return self._run(lambda client: client.queue.depths(routing_keys, discover=discover))

    def jobs(
        self,
        place: Union[JobPlace, ListedPlace],
        *,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        priority: Optional[Priority] = None,
        limit: Optional[int] = None,
    ) -> BlockingListedJobs:
        """Iterate over the jobs of a place, with their documents.

        It reads pages of at most 500 jobs or 1 MiB of documents, so it works with any number of
        jobs. If jobs come or leave during the iteration, they may be given or not. An id may be
        given twice. A job that stays in its place is always given.

        Args:
            place: ``"queued"`` (newest first), ``"scheduled"`` (next due first, with retries),
                ``"retrying"``, ``"taken"`` (latest first) or ``"dead"`` (oldest first).
            routing_key: Only for queued jobs: their route. None means the flat lists.
            priority: Only for queued jobs: their priority. None is all, high first.
            limit: The maximum number of jobs; None is all.

        Returns:
            An iterator of ``JobEntry``: an id with its job, or with the reason why the job
            can't be read. A step may raise ``ServerError``, ``ConnectionError`` or
            ``TimeoutError``.

        Raises:
            ValueError: An argument is not valid.
        """
        return BlockingListedJobs(
            self._run,
            lambda client: client.queue.jobs(
                place, routing_key=routing_key, priority=priority, limit=limit
            ),
        )


class BlockingDeadLetters(BlockingClearing):
    """Lists, requeues and deletes dead letters: jobs that failed with no retries left.

    Use it as ``client.dead_letters``.
    """

    def jobs(
        self,
        *,
        name: Optional[str] = None,
        error: Union[str, Pattern[str], None] = None,
        older_than: Optional[Seconds] = None,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        limit: Optional[int] = None,
    ) -> BlockingListedJobs:
        """Iterate over dead letters, the oldest first.

        Args:
            name: Only those of this handler.
            error: Only those whose error contains this text or matches this compiled pattern.
            older_than: Only those that became dead letters longer ago, in seconds or as a
                timedelta.
            routing_key: Only those with this route in their document; None means without a route.
            limit: The maximum number; None is all.

        Returns:
            An iterator of ``JobEntry``. Without a filter, this includes entries without a
            document. A step may raise ``ServerError``, ``ConnectionError`` or ``TimeoutError``.

        Raises:
            ValueError: An argument is not valid.
        """
        return BlockingListedJobs(
            self._run,
            lambda client: client.dead_letters.jobs(
                name=name, error=error, older_than=older_than, routing_key=routing_key, limit=limit
            ),
        )

    def requeue(
        self,
        *,
        name: Optional[str] = None,
        error: Union[str, Pattern[str], None] = None,
        older_than: Optional[Seconds] = None,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        all: bool = False,
        limit: Optional[int] = None,
        rate: Optional[float] = None,
        routes: Optional[Literal["flat", "document"]] = None,
        dry_run: bool = False,
        progress: Optional[Callable[[DeadLetterCounts], None]] = None,
    ) -> DeadLetterCounts:
        """Queue dead letters again, the oldest first, with zero attempts.

        You may interrupt it, or run it twice at the same time: no job is lost or queued twice. Call
        it again to go on. Payloads do not change; old results are deleted. Each page is moved by a
        script, or by a slower transaction if EVAL is refused.

        Args:
            name: Only those of this handler.
            error: Only those whose error contains this text or matches this compiled pattern.
            older_than: Only those that became dead letters longer ago, in seconds or as a
                timedelta.
            routing_key: Only those with this route in their document; None means without a route.
            all: All of them. Required if no other filter is given.
            limit: The maximum number for this call; None is all.
            rate: The maximum number in a second; None is no limit.
            routes: The lists to use: ``"flat"`` for the lists without a route, ``"document"`` for
                the route in each job's document. Required if a document names a route and the
                client has none, because servers without routing ignore that route.
            dry_run: True only counts.
            progress: Called with the counts so far, after each page, in the caller's thread.

        Returns:
            How many were queued on which list, and how many were not and why.

        Raises:
            ValueError: An argument is not valid, or ``routes`` is required here. Jobs moved before
                stay moved.
            ServerError: The user may not run a command that is needed; the message names it. This
                page was not moved.
            ConnectionError: Redis could not be reached. If ``sent`` is true, the reply was lost.
            TimeoutError: Redis did not answer within ``read_timeout``.
        """
        return self._clear(
            lambda client: client.dead_letters._requeuing(
                name=name,
                error=error,
                older_than=older_than,
                routing_key=routing_key,
                all=all,
                limit=limit,
                rate=rate,
                routes=routes,
                dry_run=dry_run,
            ),
            progress,
        )

    def purge(
        self,
        *,
        name: Optional[str] = None,
        error: Union[str, Pattern[str], None] = None,
        older_than: Optional[Seconds] = None,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        all: bool = False,
        limit: Optional[int] = None,
        rate: Optional[float] = None,
        dry_run: bool = False,
        progress: Optional[Callable[[DeadLetterCounts], None]] = None,
    ) -> DeadLetterCounts:
        """Delete dead letters with their documents and results, the oldest first.

        You may interrupt it. Call it again to go on.

        Args:
            name: Only those of this handler.
            error: Only those whose error contains this text or matches this compiled pattern.
            older_than: Only those that became dead letters longer ago, in seconds or as a
                timedelta.
            routing_key: Only those with this route in their document; None means without a route.
            all: All of them, also entries without a document. Required if no other filter is given.
            limit: The maximum number for this call; None is all.
            rate: The maximum number in a second; None is no limit.
            dry_run: True only counts.
            progress: Called with the counts so far, after each page, in the caller's thread.

        Returns:
            How many were deleted, and how many were not and why.

        Raises:
            ValueError: An argument is not valid.
            ServerError: The user may not run a command that is needed; the message names it. This
                page was not deleted.
            ConnectionError: Redis could not be reached. If ``sent`` is true, the reply was lost.
            TimeoutError: Redis did not answer within ``read_timeout``.
        """
        return self._clear(
            lambda client: client.dead_letters._purging(
                name=name,
                error=error,
                older_than=older_than,
                routing_key=routing_key,
                all=all,
                limit=limit,
                rate=rate,
                dry_run=dry_run,
            ),
            progress,
        )


class BlockingResultBackend(BlockingPart):
    """Stores, reads, awaits and deletes results.

    Use it as ``client.results``. It shares the client's connections.
    """

    def store_result(self, result: JobResult[Any]) -> None:
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
        return self._run(lambda client: client.results.store_result(result))

    def get_result(self, job_id: str) -> Optional[JobResult[Any]]:
        """Read the stored result: that of the last attempt that ended, final or not.

        Returns:
            The result; None if no result is stored.

        Raises:
            SerializationError: The stored result can't be read.
            ServerError: Redis refuses the command.
            ConnectionError: Redis could not be reached.
            TimeoutError: Redis did not answer within ``read_timeout``.
        """
        return self._run(lambda client: client.results.get_result(job_id))

    @overload
    def get_results(
        self, job_ids: Iterable[str], *, return_exceptions: Literal[False] = ...
    ) -> List[Optional[JobResult[Any]]]: ...

    @overload
    def get_results(
        self, job_ids: Iterable[str], *, return_exceptions: bool
    ) -> List[Union[JobResult[Any], None, exc.BananasError]]: ...

    def get_results(self, job_ids: Iterable[str], *, return_exceptions: bool = False) -> List[Any]:
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
        return self._run(
            lambda client: client.results.get_results(ids, return_exceptions=return_exceptions)
        )

    def wait_for_result(
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

        If you press Ctrl-C, only this wait ends.
        """
        return self._run(
            lambda client: client.results.wait_for_result(
                job_id, timeout, wait_for_retries=wait_for_retries, must_exist=must_exist
            )
        )

    def delete_result(self, job_id: str) -> bool:
        """Delete a result, but not the job's document.

        Returns:
            Whether there was a result. If a reply was lost, this may be false although there was
            one.

        Raises:
            ServerError: Redis refused the command.
            ConnectionError: Redis could not be reached.
            TimeoutError: Redis did not answer within ``read_timeout``.
        """
        return self._run(lambda client: client.results.delete_result(job_id))
