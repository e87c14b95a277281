"""RedisQueue: puts jobs into Redis, and reads, lists and counts them."""

from __future__ import annotations

import functools
from dataclasses import replace
from datetime import datetime, timedelta
from typing import (
    Any,
    AsyncIterable,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    List,
    Literal,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Union,
    overload,
)

from . import exceptions as exc
from ._argument_checks import (
    check_integer,
    check_iterable,
    check_job_id,
    check_job_ids,
    check_routing_key,
    due_time,
    plain,
    shown,
)
from ._in_process import InProcess
from ._operating import ListedJobs, OperatingCalls
from ._pipeline import AutoPipeline, Entry, NotQueued
from ._redis import Reply, ReplyError
from ._stored_jobs import read_document, read_many
from ._submission import Submission, closed_after_error, raise_refusals
from ._submit_chunks import Chunk, Chunks
from ._types import NOT_GIVEN, IfExists, JSONValue, NotGiven
from ._wire import (
    Default,
    Keys,
    format_timestamp,
    new_document,
    new_job_id,
    stamp,
    to_unix_time,
    utcnow,
)
from .enums import JobPriority, JobStatus, Priority, check_priority
from .location import JobPlace
from .models import Job, JobSpec
from .operating import QueueDepths

__all__ = ["ListedJobs", "RedisQueue"]

# The longest string that Redis accepts by default.
_LONGEST_DOCUMENT = 512 * 1024 * 1024
_CHECKED_AT_ONCE = 10_000


#: The places that have a list of their jobs, as words.
ListedPlace = Literal["queued", "scheduled", "retrying", "taken", "dead"]


class Submits(Protocol):
    """What carries submits."""

    def start_submit(
        self, entries: Sequence[Entry], *, idempotent: bool = False
    ) -> Awaitable[Optional[NotQueued]]:
        """Queue entries once; see ``AutoPipeline.start_submit``."""
        ...


class RedisQueue(InProcess):
    """Puts jobs into Redis, and reads, lists and counts them.

    Use it as ``client.queue``. It shares the client's connections.

    Args:
        pipeline: Carries the commands.
        keys: The names of everything.
        operating: Looks into what is there.
        routing_key: The route of jobs that name none; None for the flat lists.
        json_default: Converts what JSON has no form for in the payload of a new job.
        life: The client's, which must not end before this is forgotten.
    """

    def __init__(
        self,
        pipeline: AutoPipeline,
        keys: Keys,
        operating: OperatingCalls,
        *,
        routing_key: Optional[str] = None,
        json_default: Optional[Default] = None,
        life: object = None,
    ) -> None:
        self._life = life
        self._pipeline = pipeline
        self._submitter: Submits = pipeline
        self._keys = keys
        self._operating = operating
        self._routing_key = routing_key
        self._json_default = json_default
        self._now: Callable[[], datetime] = utcnow
        self._stamp: Callable[[], bytes] = stamp
        self._look_at: Optional[Callable[[bytes], None]] = None

    def __repr__(self) -> str:
        return f"<RedisQueue {self._keys!r} routing_key={self._routing_key!r}>"

    async def enqueue(self, job: Job, *, if_exists: IfExists = "return") -> str:
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
        job_id = check_job_id(job.id)
        entry = self._entry(
            job_id,
            job_id.encode(),
            job.to_json().encode(),
            job.priority,
            None if job.routing_key is None else plain(job.routing_key),
            job.scheduled_for,
        )
        return await self._submit(entry, if_exists)

    async def enqueue_scheduled(
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
        due = due_time(scheduled_for, self._now())
        scheduled = replace(job, scheduled_for=due, status=JobStatus.SCHEDULED)
        return await self.enqueue(scheduled, if_exists=if_exists)

    async def get_job(self, job_id: str) -> Optional[Job]:
        """Read a job's document; None if there is no such job.

        Raises:
            ConnectionError: Redis could not be reached.
            TimeoutError: Redis did not answer within ``read_timeout``.
            ServerError: Redis refuses the command.
            SerializationError: The document can't be read.
        """
        return (await self.get_jobs([check_job_id(job_id)]))[0]

    @overload
    async def get_jobs(
        self, job_ids: Iterable[str], *, return_exceptions: Literal[False] = ...
    ) -> List[Optional[Job]]: ...

    @overload
    async def get_jobs(
        self, job_ids: Iterable[str], *, return_exceptions: bool
    ) -> List[Union[Job, None, exc.BananasError]]: ...

    async def get_jobs(
        self, job_ids: Iterable[str], *, return_exceptions: bool = False
    ) -> List[Any]:
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
        self._pipeline.refuse_closed()
        command = functools.partial(read_document, self._keys)
        call = self._pipeline.call
        return await read_many(call, command, _job_of, ids, return_exceptions=return_exceptions)

    async def depths(
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
        return await self._operating.reads.depths(routing_keys, discover=discover)

    def jobs(
        self,
        place: Union[JobPlace, ListedPlace],
        *,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        priority: Optional[Priority] = None,
        limit: Optional[int] = None,
    ) -> ListedJobs:
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
            An async iterator of ``JobEntry``: an id with its job, or with the reason why the job
            can't be read. A step may raise ``ServerError``, ``ConnectionError`` or
            ``TimeoutError``.

        Raises:
            ValueError: An argument is not valid.
        """
        reads = self._operating.reads
        return reads.jobs(place, routing_key=routing_key, priority=priority, limit=limit)

    # -- submitting, on the way from the client --------------------------------------------------

    def _new_entry(
        self,
        name: str,
        payload: JSONValue,
        priority: Priority,
        description: str,
        due: Union[datetime, timedelta, None],
        job_id: Optional[str],
        routing_key: Union[str, None, NotGiven],
        max_retries: int,
        *,
        now: Optional[bytes] = None,
        entropy: Optional[bytes] = None,
    ) -> Entry:
        """Check a new job and make its entry; nothing is written before every check has passed.

        Jobs that are made in one go may share their time of creation, and get slices of one block
        of random bytes for their ids.
        """
        if type(priority) is not JobPriority:
            priority = check_priority(priority)
        if max_retries != 3 or type(max_retries) is not int:
            max_retries = check_integer(max_retries, "max_retries", at_least=0)
        job_id = new_job_id(entropy) if job_id is None else check_job_id(job_id)
        route = self._routing_key if routing_key is NOT_GIVEN else check_routing_key(routing_key)
        moment = None if due is None else due_time(due, self._now())
        member = job_id.encode()
        document = new_document(
            member,
            name,
            payload,
            priority,
            description,
            self._stamp() if now is None else now,
            None if moment is None else format_timestamp(moment, "scheduled_for"),
            max_retries,
            route,
            self._json_default,
        )
        return self._entry(job_id, member, document, priority, route, moment)

    async def _submit(
        self, entry: Entry, if_exists: IfExists = "return", *, fresh: bool = False
    ) -> str:
        """Submit one entry; ``fresh`` says that nobody else can have its id."""
        _check_if_exists(if_exists)
        outcome = await self._submitter.start_submit((entry,), idempotent=not fresh)
        if outcome is not None:
            raise_refusals([outcome], if_exists, ())
        return entry.job_id

    async def _submit_specs(
        self, specs: Union[Iterable[JobSpec], AsyncIterable[JobSpec]], if_exists: IfExists
    ) -> List[str]:
        """Submit many, in transactions that are bounded in jobs and bytes, and return their ids."""
        if isinstance(specs, AsyncIterable):
            _check_if_exists(if_exists)
            iterator = specs.__aiter__()
            async with closed_after_error(iterator):
                chunks = Chunks(self._new_entry, self._stamp).from_async_iterator(iterator)
                async with closed_after_error(chunks):
                    return await Submission(self._pipeline, if_exists).run(chunks)
        self._pipeline.refuse_closed()
        checked, submission = self._begin(specs, if_exists)
        return await submission.run(checked)

    def _begin(
        self, specs: Iterable[JobSpec], if_exists: IfExists
    ) -> Tuple[Union[List[Chunk], Iterator[Chunk]], Submission]:
        """Return what a submit of many sends, and the submission that sends it.

        A sequence of moderate length is checked as a whole before anything is sent, and becomes a
        list; else every spec of a chunk is checked before that chunk is sent.
        """
        _check_if_exists(if_exists)
        check_iterable(specs, "specs", "JobSpec")
        chunks = Chunks(self._new_entry, self._stamp).from_iterable(specs)
        is_checked = isinstance(specs, Sequence) and len(specs) <= _CHECKED_AT_ONCE
        return list(chunks) if is_checked else chunks, Submission(self._pipeline, if_exists)

    def _entry(
        self,
        job_id: str,
        member: bytes,
        document: bytes,
        priority: JobPriority,
        routing_key: Optional[str],
        due: Optional[datetime],
    ) -> Entry:
        if len(document) > _LONGEST_DOCUMENT:
            raise exc.SerializationError(
                f"the document of job {job_id} has {len(document)} bytes; Redis accepts at most "
                f"{_LONGEST_DOCUMENT}",
                job_id=job_id,
            )
        if self._look_at is not None:
            self._look_at(document)
        keys = self._keys
        if due is None:
            target = keys.ready(priority, routing_key)
            return Entry(job_id, keys.document(member), document, target)
        return Entry(job_id, keys.document(member), document, keys.scheduled, to_unix_time(due))


def _check_if_exists(value: str) -> None:
    if value not in ("return", "raise"):
        raise ValueError(f"if_exists must be 'return' or 'raise', not {shown(value)}")


def _job_of(job_id: str, reply: Reply) -> Optional[Job]:
    if reply is None:
        return None
    if isinstance(reply, ReplyError):
        raise exc.ServerError(
            f"Redis refuses to read job {job_id}: {reply}", job_id=job_id, code=reply.code
        )
    try:
        return Job.from_json(reply)
    except exc.SerializationError as error:
        raise exc.SerializationError(f"job {job_id}: {error}", job_id=job_id) from None
