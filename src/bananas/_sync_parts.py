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
from ._arguments import check_job_ids
from ._blocking_calls import BlockingClearing, BlockingListedJobs, BlockingPart
from ._types import NOT_GIVEN, IfExists, NotGiven, Seconds
from .enums import Priority
from .location import JobPlace
from .models import Job, JobResult
from .operating import DeadLetterCounts, QueueDepths
from .queue import ListedPlace

__all__ = ["BlockingDeadLetters", "BlockingQueue", "BlockingResultBackend"]


class BlockingQueue(BlockingPart):
    """The queue's part of a deployment: documents, lists, and the set of scheduled jobs.

    Made by a client, as ``client.queue``; it shares the client's connections.
    """

    def enqueue(self, job: Job, *, if_exists: IfExists = "return") -> str:
        """Put a job where workers take it, in one transaction: the document, then the id.

        Args:
            job: Made by ``Job.create``. One with ``scheduled_for`` goes to the scheduled jobs.
            if_exists: What to do when a job with this id exists: ``"return"`` its id and leave it
                alone, or ``"raise"``.

        Returns:
            The job's id.

        Raises:
            ConnectionError: Redis could not be reached; nothing was sent.
            OutcomeUnknownError: The reply was lost; enqueueing the same job again is safe, for as
                long as its document exists.
            JobRejectedError: Redis refused; nothing is left behind.
            JobExistsError: With ``if_exists="raise"``.
        """
        return self._run(lambda client: client.queue.enqueue(job, if_exists=if_exists))

    def enqueue_scheduled(
        self, job: Job, scheduled_for: Union[datetime, timedelta], *, if_exists: IfExists = "return"
    ) -> str:
        """Put a job among the scheduled ones; the scheduler queues it when it is due.

        The document keeps the exact time. The score is whole seconds, rounded up: the scheduler
        looks once a second, and would run a job early whose time was rounded down.

        Args:
            job: Made by ``Job.create``.
            scheduled_for: An aware datetime, or a timedelta from now.
            if_exists: What to do when a job with this id exists: ``"return"`` its id and leave it
                alone, or ``"raise"``.

        Returns:
            The job's id.

        Raises:
            ValueError: The datetime is naive, or the timedelta negative.
            ConnectionError: Redis could not be reached; nothing was sent.
            OutcomeUnknownError: The reply was lost; enqueueing the same job again is safe, for as
                long as its document exists.
            JobRejectedError: Redis refused; nothing is left behind.
            JobExistsError: With ``if_exists="raise"``.
        """
        return self._run(
            lambda client: client.queue.enqueue_scheduled(job, scheduled_for, if_exists=if_exists)
        )

    def get_job(self, job_id: str) -> Optional[Job]:
        """Read a job's document; None where there is none.

        Raises:
            ConnectionError: Redis could not be reached.
            TimeoutError: It did not answer within ``read_timeout``.
            ServerError: It refuses.
            SerializationError: The document is not one.
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
        """Read many documents in as few round trips as their number allows.

        Args:
            job_ids: The jobs.
            return_exceptions: Whether a document that can't be read has its error in its place,
                where otherwise the first such error is raised.

        Returns:
            One job for each id, in their order; None where there is no document.

        Raises:
            ValueError: An id is refused, or ``job_ids`` is one string.
            ConnectionError: Redis could not be reached.
            TimeoutError: It did not answer within ``read_timeout``.
            ServerError: It refuses; the error names the job.
            SerializationError: A document is not one; the error names the job.
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
            routing_keys: More routes whose lists are counted, None for the flat ones; the client's
                own always are.
            discover: Whether to look for other routes too, through all keys of Redis, in short
                steps: half a second for a million. A route with empty lists can't be found.

        Raises:
            ValueError: A routing key is refused.
            ServerError: Redis refuses.
            ConnectionError: Redis could not be reached.
            TimeoutError: It did not answer within ``read_timeout``.
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
        """Iterate over the jobs of a place, with their documents, in pages.

        No page has more than 500 jobs, or than 1 MiB of documents, so that neither Redis nor the
        memory notices how many there are. What comes or leaves meanwhile may be given or not, and
        an id may be given twice; one that stays is not left out.

        Args:
            place: ``"queued"``, the newest first; ``"scheduled"``, the first that is due first,
                retries included; ``"retrying"``, those of them that have failed before;
                ``"taken"``, the latest first; or ``"dead"``, the oldest first.
            routing_key: For queued jobs, the route, None for the flat lists; not given is the
                client's own.
            priority: For queued jobs, the only priority; None is all, high first.
            limit: How many jobs at most; None is all.

        Returns:
            An iterator of ``JobEntry``: an id, and its job, or the reason why there is none.
            A step raises ``ServerError``, ``ConnectionError`` or ``TimeoutError``.

        Raises:
            ValueError: An argument is refused.
        """
        return BlockingListedJobs(
            self._run,
            lambda client: client.queue.jobs(
                place, routing_key=routing_key, priority=priority, limit=limit
            ),
        )


class BlockingDeadLetters(BlockingClearing):
    """The dead letters of a deployment.

    Made by a client, as ``client.dead_letters``.
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
        """Iterate over dead letters, the oldest first, in pages.

        Args:
            name: Only those of this handler.
            error: Only those whose error holds this text, or in which this pattern is found.
            older_than: Only those that died longer ago, in seconds or as a timedelta.
            routing_key: Only those whose document names this route; None is no route.
            limit: How many at most; None is all.

        Returns:
            An iterator of ``JobEntry``. Without a filter, entries without a document are
            given too. A step raises ``ServerError``, ``ConnectionError`` or ``TimeoutError``.

        Raises:
            ValueError: An argument is refused.
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
        """Give dead letters another try, the oldest first; each begins anew.

        A page of them is moved in one step of the server: by a script, or, where EVAL is refused,
        in a transaction, which new dead letters slow down. Interrupted at any moment, nothing is
        lost or queued twice, and calling it again goes on; so do two calls at once. Payloads keep
        every byte, and old results are deleted.

        Args:
            name: Only those of this handler.
            error: Only those whose error holds this text, or in which this pattern is found.
            older_than: Only those that died longer ago, in seconds or as a timedelta.
            routing_key: Only those whose document names this route; None is no route.
            all: All of them; it must be said where nothing else is.
            limit: How many at most; None is all. It counts anew with each call.
            rate: How many a second at most; None is as fast as it goes.
            routes: Onto which lists they go: ``"flat"`` for those without a route, ``"document"``
                for the route that the document of each names. It must be said where one names a
                route and the client has none: servers without routing ignore that name.
            dry_run: Whether only to count.
            progress: Called with the counts so far, after each page, on the caller's thread.

        Returns:
            How many went where, and how many stay for which reason.

        Raises:
            ValueError: An argument is refused, or ``routes`` must be said; what was moved before
                stays moved.
            ServerError: The user has no right to something that this takes, which the message
                names; the page was not moved.
            ConnectionError: Redis could not be reached, or, if ``sent``, the reply was lost.
            TimeoutError: It did not answer within ``read_timeout``.
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

        Interrupted at any moment, calling it again goes on.

        Args:
            name: Only those of this handler.
            error: Only those whose error holds this text, or in which this pattern is found.
            older_than: Only those that died longer ago, in seconds or as a timedelta.
            routing_key: Only those whose document names this route; None is no route.
            all: All of them, also entries without a document; it must be said where nothing else
                is.
            limit: How many at most; None is all. It counts anew with each call.
            rate: How many a second at most; None is as fast as it goes.
            dry_run: Whether only to count.
            progress: Called with the counts so far, after each page, on the caller's thread.

        Returns:
            How many went, and how many stay for which reason.

        Raises:
            ValueError: An argument is refused.
            ServerError: The user has no right to something that this takes, which the message
                names; the page was not deleted.
            ConnectionError: Redis could not be reached, or, if ``sent``, the reply was lost.
            TimeoutError: It did not answer within ``read_timeout``.
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
    """The results' part of a deployment.

    Made by a client, as ``client.results``; it shares the client's connections.
    """

    def store_result(self, result: JobResult[Any]) -> None:
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
        return self._run(lambda client: client.results.store_result(result))

    def get_result(self, job_id: str) -> Optional[JobResult[Any]]:
        """Read what is stored: the result of the last attempt that ended, final or not.

        Returns:
            The result; None where there is none.

        Raises:
            SerializationError: What is stored is no result.
            ServerError: Redis refuses.
            ConnectionError: Redis could not be reached.
            TimeoutError: It did not answer within ``read_timeout``.
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

        Ctrl-C ends this wait, and no other for the same job.
        """
        return self._run(
            lambda client: client.results.wait_for_result(
                job_id, timeout, wait_for_retries=wait_for_retries, must_exist=must_exist
            )
        )

    def delete_result(self, job_id: str) -> bool:
        """Delete a result; the job's document stays.

        Returns:
            Whether there was one. After a lost reply, which makes it be sent again, this may be
            false although the result was there.

        Raises:
            ServerError: Redis refused.
            ConnectionError: Redis could not be reached.
            TimeoutError: It did not answer within ``read_timeout``.
        """
        return self._run(lambda client: client.results.delete_result(job_id))
