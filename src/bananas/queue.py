"""RedisQueue: puts jobs into Redis, and reads and inspects what is there."""

from __future__ import annotations

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
from ._arguments import (
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
from ._stored_jobs import read_all
from ._submission import Submission, closed_after_error, raise_refusals
from ._submit_chunks import Chunk, Chunks
from ._types import NOT_GIVEN, IfExists, JSONValue, NotGiven
from ._wire import UTC, Default, Keys, format_timestamp, new_document, new_job_id, stamp, utcnow
from .enums import JobPriority, JobStatus, Priority, check_priority
from .location import JobPlace
from .models import Job, JobSpec
from .operating import QueueDepths

__all__ = ["ListedJobs", "RedisQueue"]

# Redis takes no longer string than this, unless it is configured to.
_LONGEST_DOCUMENT = 512 * 1024 * 1024
_CHUNK = 500
_CHECKED_AT_ONCE = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    """The queue's part of a deployment: documents, lists, and the set of scheduled jobs.

    Made by a client, as ``client.queue``; it shares the client's connection.

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
        due = due_time(scheduled_for, self._now()).astimezone(UTC)
        return await self.enqueue(_scheduled(job, due), if_exists=if_exists)

    async def get_job(self, job_id: str) -> Optional[Job]:
        """Read a job's document; None where there is none.

        Raises:
            ConnectionError: Redis could not be reached.
            TimeoutError: It did not answer within ``read_timeout``.
            ServerError: It refuses.
            SerializationError: The document is not one.
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
        self._pipeline.refuse_closed()
        replies: List[Reply] = []
        for start in range(0, len(ids), _CHUNK):
            keys = [self._keys.job(job_id) for job_id in ids[start : start + _CHUNK]]
            replies.extend(await self._pipeline.call([(b"GET", key) for key in keys]))
        return read_all(_job_of, ids, replies, return_exceptions=return_exceptions)

    async def depths(
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
        return await self._operating.reads.depths(routing_keys, discover=discover)

    def jobs(
        self,
        place: Union[JobPlace, ListedPlace],
        *,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        priority: Optional[Priority] = None,
        limit: Optional[int] = None,
    ) -> ListedJobs:
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
            An async iterator of ``JobEntry``: an id, and its job, or the reason why there is none.
            A step raises ``ServerError``, ``ConnectionError`` or ``TimeoutError``.

        Raises:
            ValueError: An argument is refused.
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
                chunks = Chunks(self._new_entry, self._stamp).as_they_come(iterator)
                async with closed_after_error(chunks):
                    return await Submission(self._pipeline, if_exists).run(chunks)
        self._pipeline.refuse_closed()
        chunks_at_hand, submission = self._begin(specs, if_exists)
        return await submission.run(chunks_at_hand)

    def _begin(
        self, specs: Iterable[JobSpec], if_exists: IfExists
    ) -> Tuple[Union[List[Chunk], Iterator[Chunk]], Submission]:
        """Return what a submit of many sends, and the submission that sends it.

        A sequence of moderate length is checked as a whole before anything is sent, and becomes a
        list; else every spec of a chunk is checked before that chunk is sent.
        """
        _check_if_exists(if_exists)
        check_iterable(specs, "specs", "JobSpec")
        at_hand = Chunks(self._new_entry, self._stamp).at_hand(specs)
        is_checked = isinstance(specs, Sequence) and len(specs) <= _CHECKED_AT_ONCE
        chunks = list(at_hand) if is_checked else at_hand
        return chunks, Submission(self._pipeline, if_exists)

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
                f"the document of job {job_id} has {len(document)} bytes; Redis takes "
                f"{_LONGEST_DOCUMENT} at most",
                job_id=job_id,
            )
        if self._look_at is not None:
            self._look_at(document)
        keys = self._keys
        if due is None:
            target = keys.ready(priority, routing_key)
            return Entry(job_id, member, keys.document(member), document, target)
        return Entry(job_id, member, keys.document(member), document, keys.scheduled, _score(due))


def _check_if_exists(value: str) -> None:
    if value not in ("return", "raise"):
        raise ValueError(f"if_exists must be 'return' or 'raise', not {shown(value)}")


def _score(due: datetime) -> int:
    """Return the Unix time in whole seconds, never before the moment itself."""
    span = due - _EPOCH
    return span.days * 86400 + span.seconds + (1 if span.microseconds else 0)


def _scheduled(job: Job, due: datetime) -> Job:
    return replace(job, scheduled_for=due, status=JobStatus.SCHEDULED)


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
