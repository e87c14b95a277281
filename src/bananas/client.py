"""AsyncClient: submits jobs to the queue and waits for their results."""

from __future__ import annotations

import asyncio
import functools
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import (
    Any,
    AsyncIterable,
    Callable,
    Iterable,
    List,
    Literal,
    Optional,
    Sequence,
    Tuple,
    Type,
    TypeVar,
    Union,
    overload,
)

from . import exceptions as exc
from ._argument_checks import (
    check_job_id,
    check_job_ids,
    check_on_timeout,
    check_text,
    check_timeout,
)
from ._client_life import Life
from ._event_loops import refuse_green_threads
from ._in_process import InProcess
from ._operating import Deployment, OperatingCalls, OperatingConnection
from ._pipeline import AutoPipeline, Entry
from ._redis import (
    DEFAULT_REDIS_URL,
    CredentialProvider,
    Link,
    Settings,
    connect,
    sentinel_endpoints,
)
from ._types import NOT_GIVEN, IfExists, JSONValue, NotGiven, Seconds
from ._waits import AsCompleted, JobChanges, Listener, Waits
from ._wire import Keys, format_timestamp
from .dead_letters import DeadLetters
from .enums import JobPriority, Priority
from .job_type import JobType
from .location import Location
from .models import Job, JobResult, JobSpec
from .operating import (
    CancelOutcome,
    DeleteOutcome,
    Explanation,
    RescheduleOutcome,
)
from .queue import RedisQueue, Submits
from .repairs import AuditReport, FindingKind, RecoveryCounts, RepairCounts
from .result_backend import RedisResultBackend

__all__ = ["AsCompleted", "AsyncClient", "ClientStats", "JobChanges"]

Self = TypeVar("Self", bound="AsyncClient")
P = TypeVar("P")
R = TypeVar("R")
#: When a job is due: an aware datetime, or a timedelta from now.
Due = Union[datetime, timedelta]


@dataclass(frozen=True)
class ClientStats:
    """Counters and states of a client, for health checks.

    Attributes:
        connected: Whether there is a connection for submits and reads, as far as the client knows.
        connections: Connections opened for submits and reads so far.
        reconnects: Connections that replaced a lost one, the listener's included.
        pipelines: Round trips of submits and reads; calls made at the same time share one.
        open_requests: Submits and reads that have not finished.
        waits: Jobs that somebody waits for.
        listening: Whether the listener has a connection.
        last_pong_age: Seconds since the listener last received something from Redis; None while it
            has no connection. The client replaces a connection before this reaches twice
            ``ping_interval``.
        results_by_notification: Waits that ended by a notification, or found the result when they
            began.
        results_by_safety_read: Waits that ended by the periodic read. If there are many,
            notifications get lost, or jobs end without a result.
    """

    connected: bool
    connections: int
    reconnects: int
    pipelines: int
    open_requests: int
    waits: int
    listening: bool
    last_pong_age: Optional[float]
    results_by_notification: int
    results_by_safety_read: int


class AsyncClient(InProcess):
    """Submits jobs and waits for results, on one event loop.

    Use it as ``async with AsyncClient(url) as client``, or call ``connect()`` and ``close()``.
    Without either, it connects with its first call. Any number of tasks may call it at the same
    time. All submits and reads share one connection, and all waits share a second one. Documents of
    more than 1 MiB, and operating calls such as ``explain`` and ``cancel``, use one more each, when
    it is needed.

    Args:
        redis_url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, if necessary with user and
            password. If you do not pass it, the environment variable ``BANANAS_REDIS_URL`` is used,
            or else ``redis://localhost:6379``.
        success_ttl: How long Redis keeps a success that this client stores. Workers have their own
            setting.
        failure_ttl: The same for a failure.
        key_prefix: The beginning of every key. Go workers know only the default.
        routing_key: The route of jobs that name none. None means the flat lists.
        connect_timeout: Limit in seconds for one connection attempt, and for how long an unsent
            call waits for a connection.
        submit_timeout: Limit in seconds for a submit. This includes finding out what happened if a
            reply is lost.
        read_timeout: Limit in seconds for a read, or for storing or deleting a result.
        ping_interval: After this many seconds without data the listener sends a ping. It reconnects
            after at most twice this time.
        safety_interval: Seconds between reads of a result whose notification may be lost. It is
            longer if thousands wait, because the client reads at most 400 jobs a second.
        json_default: A function like the ``default`` of ``json.dumps``. It gets each value that
            JSON has no form for, and returns a value to write instead, or raises TypeError. None
            refuses such payloads.
        credential_provider: An object that returns user and password for each new connection,
            instead of the URL. It has the method ``get_credentials_async``, which is awaited, or
            ``get_credentials``, which runs in a thread. The limit is ``connect_timeout``. Providers
            of redis-py work, too.
        ssl_context: The TLS settings for a ``rediss`` URL without ``ssl_`` options.

    Raises:
        ValueError: An argument is not valid. The message never shows a password.
    """

    def __init__(
        self,
        redis_url: str = DEFAULT_REDIS_URL,
        success_ttl: Seconds = timedelta(hours=1),
        failure_ttl: Seconds = timedelta(hours=24),
        *,
        key_prefix: str = "bananas:",
        routing_key: Optional[str] = None,
        connect_timeout: Seconds = 5.0,
        submit_timeout: Seconds = 10.0,
        read_timeout: Seconds = 10.0,
        ping_interval: Seconds = 5.0,
        safety_interval: Seconds = 2.0,
        json_default: Optional[Callable[[Any], Any]] = None,
        credential_provider: Optional[CredentialProvider] = None,
        ssl_context: Optional[ssl.SSLContext] = None,
    ) -> None:
        self._set_up(
            Settings.create(
                redis_url,
                success_ttl,
                failure_ttl,
                key_prefix=key_prefix,
                routing_key=routing_key,
                connect_timeout=connect_timeout,
                submit_timeout=submit_timeout,
                read_timeout=read_timeout,
                ping_interval=ping_interval,
                safety_interval=safety_interval,
                json_default=json_default,
                credential_provider=credential_provider,
                ssl_context=ssl_context,
            )
        )

    @classmethod
    def from_sentinel(
        cls: Type[Self],
        sentinels: Sequence[Union[str, Tuple[str, int]]],
        service_name: str,
        redis_url: str = "redis://",
        success_ttl: Seconds = timedelta(hours=1),
        failure_ttl: Seconds = timedelta(hours=24),
        *,
        key_prefix: str = "bananas:",
        routing_key: Optional[str] = None,
        connect_timeout: Seconds = 5.0,
        submit_timeout: Seconds = 10.0,
        read_timeout: Seconds = 10.0,
        ping_interval: Seconds = 5.0,
        safety_interval: Seconds = 2.0,
        json_default: Optional[Callable[[Any], Any]] = None,
        credential_provider: Optional[CredentialProvider] = None,
        ssl_context: Optional[ssl.SSLContext] = None,
    ) -> Self:
        """Make a client for a primary that Sentinel manages, and follow its failovers.

        For each new connection, the client asks the sentinels for the address of the primary, in
        your order, and checks that the server there is a primary. ``connect_timeout`` is divided
        into equal parts, one for each sentinel and one for the primary.

        Examples:
            ```python
            client = AsyncClient.from_sentinel(
                [("10.0.0.1", 26379), ("10.0.0.2", 26379)], "queue"
            )
            ```

        Args:
            sentinels: The sentinels: pairs of host and port, or URLs with the credentials for the
                sentinel.
            service_name: The name of the primary, as the sentinels know it.
            redis_url: User, password, database and TLS for the primary. Its host and port are
                ignored, and so is ``BANANAS_REDIS_URL``.
            success_ttl: How long Redis keeps a success that this client stores. Workers have their
                own setting.
            failure_ttl: The same for a failure.
            key_prefix: The beginning of every key. Go workers know only the default.
            routing_key: The route of jobs that name none. None means the flat lists.
            connect_timeout: Limit in seconds for one connection attempt, and for how long an unsent
                call waits for a connection.
            submit_timeout: Limit in seconds for a submit. This includes finding out what happened
                if a reply is lost.
            read_timeout: Limit in seconds for a read, or for storing or deleting a result.
            ping_interval: After this many seconds without data the listener sends a ping. It
                reconnects after at most twice this time.
            safety_interval: Seconds between reads of a result whose notification may be lost. It is
                longer if thousands wait, because the client reads at most 400 jobs a second.
            json_default: A function like the ``default`` of ``json.dumps``. It gets each value that
                JSON has no form for, and returns a value to write instead, or raises TypeError.
                None refuses such payloads.
            credential_provider: An object that returns user and password for each new connection,
                instead of the URL. It has the method ``get_credentials_async``, which is awaited,
                or ``get_credentials``, which runs in a thread. The limit is ``connect_timeout``.
                Providers of redis-py work, too. It is used only for the primary.
            ssl_context: The TLS settings for a ``rediss`` URL without ``ssl_`` options. Sentinels
                with such a URL use it, too.

        Raises:
            ValueError: An argument is not valid.
            ConnectionError: Only from ``Client``: no primary can be reached.
        """
        client = cls.__new__(cls)
        client._set_up(
            Settings.create(
                redis_url,
                success_ttl,
                failure_ttl,
                key_prefix=key_prefix,
                routing_key=routing_key,
                connect_timeout=connect_timeout,
                submit_timeout=submit_timeout,
                read_timeout=read_timeout,
                ping_interval=ping_interval,
                safety_interval=safety_interval,
                json_default=json_default,
                credential_provider=credential_provider,
                ssl_context=ssl_context,
                sentinels=sentinel_endpoints(sentinels),
                service_name=_service_name(service_name),
            )
        )
        return client

    def _set_up(self, settings: Settings) -> None:
        """Remember everything; nothing here is bound to an event loop."""
        refuse_green_threads()
        self._settings = settings
        keys = Keys(settings.key_prefix)
        connector = functools.partial(connect, settings, Link)
        self._pipeline = AutoPipeline(
            connector,
            connect_timeout=settings.connect_timeout,
            submit_timeout=settings.submit_timeout,
            read_timeout=settings.read_timeout,
            server=_server(settings),
        )
        listen = functools.partial(Listener, connector, keys, ping_interval=settings.ping_interval)
        self._waits = Waits(
            self._pipeline,
            listen,
            keys,
            safety_interval=settings.safety_interval,
            read_timeout=settings.read_timeout,
        )
        operating = OperatingConnection(
            connector,
            running_loop=self._pipeline.running_loop,
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
        )
        self._life = Life(repr(self), self._pipeline, operating, self._waits)
        self._operating = OperatingCalls(
            Deployment(operating, keys, settings.routing_key, settings.failure_ttl), self._life
        )
        self._make_parts(keys)

    def _make_parts(self, keys: Keys) -> None:
        settings = self._settings
        self._queue = RedisQueue(
            self._pipeline,
            keys,
            self._operating,
            routing_key=settings.routing_key,
            json_default=settings.json_default,
            life=self._life,
        )
        self._dead_letters = DeadLetters(self._operating, self._life)
        self._results = RedisResultBackend(
            self._pipeline,
            keys,
            self._waits,
            success_ttl=settings.success_ttl,
            failure_ttl=settings.failure_ttl,
            life=self._life,
        )

    def __repr__(self) -> str:
        settings = self._settings
        where = str(settings.endpoint)
        if settings.sentinels:
            where = f"sentinel {settings.service_name!r}"
        return f"<{type(self).__name__} {where} routing_key={settings.routing_key!r}>"

    @property
    def queue(self) -> RedisQueue:
        """Reads, lists and counts the jobs in Redis."""
        return self._queue

    @property
    def dead_letters(self) -> DeadLetters:
        """Lists, requeues and deletes jobs that failed with no retries left."""
        return self._dead_letters

    @property
    def results(self) -> RedisResultBackend:
        """Reads, stores and deletes results."""
        return self._results

    # -- life ------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect to Redis. It tries once, or more often while the server is busy or loading.

        Examples:
            ```python
            client = AsyncClient()
            await client.connect()
            await client.close()
            ```

        Raises:
            ConnectionError: Redis can't be reached, does not answer within ``connect_timeout``, or
                is a Redis Cluster.
            AuthenticationError: Redis refuses the credentials.
            ClientClosedError: The client was closed.
        """
        await self._pipeline.connect()

    async def close(self) -> None:
        """Close all connections; calls that have not finished raise ``ClientClosedError``.

        You can call it from any task, and more than once. If you cancel the call, nothing keeps
        running.

        Examples:
            ```python
            client = AsyncClient()
            await client.submit_job("greet", {"name": "Ada"})
            await client.close()
            ```
        """
        await self._life.close()

    async def aclose(self) -> None:
        """The same as ``close()``."""
        await self.close()

    async def __aenter__(self: Self) -> Self:
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.close()

    def _submit_over(self, submitter: Submits) -> None:
        """Have something else carry submits of one job with an id of ours."""
        self._queue._submitter = submitter

    def _use_clock(
        self, now: Callable[[], datetime], look_at: Optional[Callable[[bytes], None]]
    ) -> None:
        """Take the time from another clock, and show each job document before it is sent."""
        self._queue._now = self._results._now = self._waits.now = now
        self._queue._stamp = lambda: format_timestamp(now()).encode()
        self._queue._look_at = look_at

    # -- submitting ------------------------------------------------------------------------------

    async def submit_job(
        self,
        name: str,
        payload: JSONValue,
        priority: Priority = JobPriority.NORMAL,
        description: str = "",
        *,
        job_id: Optional[str] = None,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        max_retries: int = 3,
        if_exists: IfExists = "return",
    ) -> str:
        """Submit a job, which runs as soon as a worker is free.

        Examples:
            ```python
            job_id = await client.submit_job("greet", {"name": "Ada"})
            result = await client.wait_for_result(job_id)
            print(result.get_result())  # hello, Ada
            ```

        Args:
            name: The name of the handler.
            payload: The handler's input: any JSON value.
            priority: ``"high"``, ``"normal"`` or ``"low"``, or a ``JobPriority``.
            description: Any text, for people.
            job_id: Your own id, which makes the submit idempotent: if a job with this id exists, it
                is not changed and not queued again, even if name and payload differ. None makes a
                UUID.
            routing_key: The route whose workers run it. The default is the client's route; None
                means the flat lists.
            max_retries: The number of attempts (not of retries) after which a failure is final.
            if_exists: If the ``job_id`` exists: ``"return"`` the id, or ``"raise"`` an error.

        Returns:
            The job's id.

        Raises:
            ValueError: An argument is not valid; nothing is written.
            SerializationError: The payload is not JSON that Go accepts; nothing is written.
            ConnectionError: Redis could not be reached; nothing was sent.
            AuthenticationError: Redis refuses the credentials; nothing was sent.
            OutcomeUnknownError: The reply was lost, and the client could not find out before
                ``submit_timeout`` whether the job is queued. You can submit again with the same
                ``job_id``.
            JobRejectedError: Redis refused the job; nothing is left behind. Temporary errors (Redis
                is loading, or a replica) are retried until ``submit_timeout``.
            JobExistsError: The ``job_id`` exists, and ``if_exists`` is ``"raise"``.
            ClientClosedError: The client was closed; the message says whether the job was sent.

        If you cancel the call, the job is queued once or not at all.
        """
        entry = self._queue._new_entry(
            name, payload, priority, description, None, job_id, routing_key, max_retries
        )
        return await self._queue._submit(entry, if_exists, fresh=job_id is None)

    @overload
    async def submit_job_scheduled(
        self,
        name: str,
        payload: JSONValue,
        priority: Priority,
        scheduled_for: Due,
        description: str = "",
        *,
        job_id: Optional[str] = None,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        max_retries: int = 3,
        if_exists: IfExists = "return",
    ) -> str: ...

    @overload
    async def submit_job_scheduled(
        self,
        name: str,
        payload: JSONValue,
        priority: Priority = JobPriority.NORMAL,
        *,
        scheduled_for: Due,
        description: str = "",
        job_id: Optional[str] = None,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        max_retries: int = 3,
        if_exists: IfExists = "return",
    ) -> str: ...

    async def submit_job_scheduled(
        self,
        name: str,
        payload: JSONValue,
        priority: Priority = JobPriority.NORMAL,
        scheduled_for: Union[Due, NotGiven] = NOT_GIVEN,
        description: str = "",
        *,
        job_id: Optional[str] = None,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        max_retries: int = 3,
        if_exists: IfExists = "return",
    ) -> str:
        """Submit a job that runs at a given time, never earlier.

        Examples:
            ```python
            job_id = await client.submit_job_scheduled(
                "greet", {"name": "Ada"}, scheduled_for=timedelta(hours=1)
            )
            ```

        Args:
            name: The name of the handler.
            payload: The handler's input: any JSON value.
            priority: ``"high"``, ``"normal"`` or ``"low"``, or a ``JobPriority``.
            scheduled_for: Required. An aware datetime, or a timedelta from now, which must not be
                negative. A datetime in the past is due at once. Workers see the job up to two
                seconds after it is due.
            description: Any text, for people.
            job_id: Your own id, which makes the submit idempotent. None makes a UUID.
            routing_key: The route whose workers run it. The default is the client's route; None
                means the flat lists.
            max_retries: The number of attempts after which a failure is final.
            if_exists: If the ``job_id`` exists: ``"return"`` the id, or ``"raise"`` an error.

        Returns:
            The job's id.

        Raises:
            TypeError: ``scheduled_for`` is missing; nothing is written.
            ValueError: An argument is not valid, for example a naive datetime; nothing is written.
            SerializationError: The payload is not JSON that Go accepts; nothing is written.
            ConnectionError: Redis could not be reached; nothing was sent.
            OutcomeUnknownError: The reply was lost, and the client could not find out before
                ``submit_timeout`` whether the job is queued. You can submit again with the same
                ``job_id``.
            JobRejectedError: Redis refused the job; nothing is left behind.
            JobExistsError: The ``job_id`` exists, and ``if_exists`` is ``"raise"``.
            ClientClosedError: The client was closed; the message says whether the job was sent.

        If you cancel the call, the job is scheduled once or not at all.
        """
        due = required_time(scheduled_for)
        entry = self._queue._new_entry(
            name, payload, priority, description, due, job_id, routing_key, max_retries
        )
        return await self._queue._submit(entry, if_exists, fresh=job_id is None)

    async def submit_jobs(
        self,
        specs: Union[Iterable[JobSpec], AsyncIterable[JobSpec]],
        *,
        if_exists: IfExists = "return",
    ) -> List[str]:
        """Submit many jobs, immediate and scheduled, in few round trips.

        Each transaction has up to 500 jobs or 1 MiB. A sequence of up to 10,000 jobs is checked as
        a whole before anything is sent. A longer one, or another iterable, is checked transaction
        by transaction, so it does not have to fit in memory.

        Examples:
            ```python
            specs = [JobSpec("greet", {"name": name}) for name in ("Ada", "Grace")]
            job_ids = await client.submit_jobs(specs)
            print(len(job_ids))  # 2
            ```

        Args:
            specs: One ``JobSpec`` for each job. ``AsyncClient`` takes async iterables, too. If the
                submit ends early, it closes an async generator.
            if_exists: If the ``job_id`` of a spec exists: ``"return"`` the id, or ``"raise"`` an
                error.

        Returns:
            The ids, in the order of the specs.

        Raises:
            ValueError: A spec is not valid; the message says which.
            SerializationError: The payload of a spec is not JSON that Go accepts.
            ConnectionError: Redis could not be reached.
            OutcomeUnknownError: A reply was lost. You can submit again with the same ids.
            JobRejectedError: Redis refused some jobs; nothing of these is left behind.
            JobExistsError: The ``job_id`` exists, and ``if_exists`` is ``"raise"``.
            ClientClosedError: The client was closed. In each of these errors, ``job_ids`` are the
                jobs that it is about, and ``submitted`` are the jobs that were queued before.

        If you cancel the call, each job is queued once or not at all.
        """
        return await self._queue._submit_specs(specs, if_exists)

    async def submit_and_wait(
        self,
        name: str,
        payload: JSONValue,
        priority: Priority = JobPriority.NORMAL,
        timeout: Optional[Seconds] = 30.0,
        description: str = "",
        *,
        job_id: Optional[str] = None,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        max_retries: int = 3,
        wait_for_retries: bool = True,
        on_timeout: Literal["leave", "cancel"] = "leave",
    ) -> JobResult[Any]:
        """Submit a job and wait until it has ended.

        Examples:
            ```python
            result = await client.submit_and_wait("greet", {"name": "Ada"}, timeout=10)
            print(result.get_result())  # hello, Ada
            ```

        Args:
            name: The name of the handler.
            payload: The handler's input: any JSON value.
            priority: ``"high"``, ``"normal"`` or ``"low"``, or a ``JobPriority``.
            timeout: Limit of the wait after the submit, in seconds or as a timedelta. None is no
                limit.
            description: Any text, for people.
            job_id: Your own id. If a job with this id exists, the call waits for that job.
            routing_key: The route whose workers run it. The default is the client's route; None
                means the flat lists.
            max_retries: The number of attempts after which a failure is final.
            wait_for_retries: False returns the first stored result, even if a retry may follow.
            on_timeout: What to do with a job that has not ended in time: ``"leave"`` it, or
                ``"cancel"`` it, if no worker has taken it yet.

        Returns:
            The result of a success or of a final failure.

        Raises:
            TimeoutError: The job has not ended in time. The error has the ``job_id`` and says where
                the job is. The job goes on if it was not cancelled.
            BananasError: All other errors of ``submit_job`` and ``wait_for_result``.

        If you cancel the call, the wait ends and the job goes on. With ``on_timeout="cancel"`` the
        client cancels the job, too, in the background.
        """
        limit = check_timeout(timeout)
        entry = self._queue._new_entry(
            name, payload, priority, description, None, job_id, routing_key, max_retries
        )
        return await self._submit_and_wait(
            entry,
            limit,
            fresh=job_id is None,
            any_attempt=not wait_for_retries,
            cancels=check_on_timeout(on_timeout),
        )

    async def _submit_and_wait(
        self,
        entry: Entry,
        limit: Optional[float],
        *,
        fresh: bool,
        any_attempt: bool,
        cancels: bool = False,
    ) -> JobResult[Any]:
        try:
            return await self._submitted(entry, limit, fresh=fresh, any_attempt=any_attempt)
        except exc.TimeoutError as error:
            if not cancels:
                raise
            await self._operating.changes.cancel_overdue(entry.job_id, error)
        except asyncio.CancelledError:
            if cancels:
                self._operating.changes.cancel_later(entry.job_id)
            raise
        return await self._waits.wait(entry.job_id, 0, any_attempt=any_attempt)  # it has ended

    async def _submitted(
        self, entry: Entry, limit: Optional[float], *, fresh: bool, any_attempt: bool
    ) -> JobResult[Any]:
        if limit == 0:  # only looks: nothing is to be subscribed for that
            await self._queue._submit(entry, fresh=fresh)
            return await self._waits.wait(entry.job_id, limit, any_attempt=any_attempt)
        # Subscribing at once saves a round trip, and nothing can be missed in between.
        waiter = self._waits.register(entry.job_id, any_attempt=any_attempt)
        try:
            await self._queue._submit(entry, fresh=fresh)
        except BaseException:
            self._waits.unregister(waiter)
            raise
        return await self._waits.wait(entry.job_id, limit, wait=waiter)

    async def submit(
        self,
        job_type: JobType[P, R],
        payload: P,
        *,
        scheduled_for: Optional[Due] = None,
        job_id: Optional[str] = None,
        if_exists: IfExists = "return",
    ) -> str:
        """Submit a typed job.

        Examples:
            ```python
            greet = JobType("greet", payload=Dict[str, str], result=str)
            job_id = await client.submit(greet, {"name": "Ada"})
            ```

        Args:
            job_type: The name, types, priority, route and number of attempts of the job.
            payload: The handler's input, of the payload type of ``job_type``.
            scheduled_for: When the job is due: an aware datetime, or a timedelta from now. None
                means at once.
            job_id: Your own id, which makes the submit idempotent. None makes a UUID.
            if_exists: If the ``job_id`` exists: ``"return"`` the id, or ``"raise"`` an error.

        Returns:
            The job's id.

        Raises:
            SerializationError: The payload does not have the right type. The message says where;
                nothing is written.
            BananasError: All other errors of ``submit_job``.

        If you cancel the call, the job is queued once or not at all.
        """
        spec = job_type.spec(payload, scheduled_for=scheduled_for, job_id=job_id)
        entry = self._queue._new_entry(*spec_fields(spec))
        return await self._queue._submit(entry, if_exists, fresh=job_id is None)

    async def call(
        self,
        job_type: JobType[P, R],
        payload: P,
        timeout: Optional[Seconds] = 30.0,
        *,
        job_id: Optional[str] = None,
    ) -> R:
        """Submit a typed job, wait until it has ended, and return the data of its handler.

        Examples:
            ```python
            greet = JobType("greet", payload=Dict[str, str], result=str)
            text = await client.call(greet, {"name": "Ada"}, timeout=10)
            print(text)  # hello, Ada
            ```

        Args:
            job_type: The name, types, priority, route and number of attempts of the job.
            payload: The handler's input, of the payload type of ``job_type``.
            timeout: Limit of the wait after the submit, in seconds or as a timedelta. None is no
                limit.
            job_id: Your own id. If a job with this id exists, the call waits for that job.

        Returns:
            The data, of the result type of ``job_type``. None if it has no result type.

        Raises:
            SerializationError: The payload (then nothing is written) or the result does not have
                the right type. The message says where.
            JobFailedError: The job failed with no retries left; ``error`` says why.
            TimeoutError: The job has not ended in time. The error has the ``job_id``; the job goes
                on.
            ValueError: The handler stored no data, but the result type needs data.
            BananasError: All other errors of ``submit_and_wait``.

        If you cancel the call, the wait ends and the job goes on.
        """
        limit = check_timeout(timeout)
        entry = self._queue._new_entry(*spec_fields(job_type.spec(payload, job_id=job_id)))
        result = await self._submit_and_wait(entry, limit, fresh=job_id is None, any_attempt=False)
        return job_type.load_result(result)

    # -- reading and waiting ---------------------------------------------------------------------

    async def get_job(self, job_id: str) -> Optional[Job]:
        """Read a job's document.

        While a job runs, its status is still ``PENDING``, because Go workers do not change it.

        Examples:
            ```python
            job = await client.get_job(job_id)
            if job is not None:
                print(job.name, job.status, job.attempts)  # greet completed 0
            ```

        Args:
            job_id: The job.

        Returns:
            The job. None if there is no such job, or it has expired (24 hours after a success, 7
            days after a final failure).

        Raises:
            ValueError: The id is not valid.
            ConnectionError: Redis could not be reached.
            TimeoutError: Redis did not answer within ``read_timeout``.
            ServerError: Redis refuses the command.
            SerializationError: The document can't be read.
        """
        return await self._queue.get_job(job_id)

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

        Examples:
            ```python
            for job in await client.get_jobs([job_id, "no-such-job"]):
                print("gone" if job is None else job.status)
            ```

        Args:
            job_ids: The jobs.
            return_exceptions: True puts the error of an unreadable document into the list. False
                raises the first such error. Connection errors are always raised.

        Returns:
            One item for each id, in the same order; None if there is no such job.

        Raises:
            ValueError: An id is not valid, or ``job_ids`` is one string.
            ConnectionError: Redis could not be reached.
            TimeoutError: Redis did not answer within ``read_timeout``.
            ServerError: Redis refuses the command; the error names the job.
            SerializationError: A document can't be read; the error names the job.
        """
        return await self._queue.get_jobs(job_ids, return_exceptions=return_exceptions)

    async def get_result(self, job_id: str) -> Optional[JobResult[Any]]:
        """Read the stored result of a job, without waiting.

        A failed result may belong to an attempt that will be retried. To get the final result, use
        ``wait_for_result``.

        Examples:
            ```python
            result = await client.get_result(job_id)
            if result is not None:
                print(result.status)  # completed
            ```

        Args:
            job_id: The job.

        Returns:
            The result; None if no result is stored.

        Raises:
            ValueError: The id is not valid.
            ConnectionError: Redis could not be reached.
            TimeoutError: Redis did not answer within ``read_timeout``.
            ServerError: Redis refuses the command.
            SerializationError: The stored result can't be read.
        """
        return await self._results.get_result(job_id)

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
        """Read many stored results, 500 in each round trip.

        Examples:
            ```python
            results = await client.get_results([job_id, "no-such-job"])
            print([result is not None for result in results])  # [True, False]
            ```

        Args:
            job_ids: The jobs.
            return_exceptions: True puts the error of an unreadable result into the list. False
                raises the first such error. Connection errors are always raised.

        Returns:
            One item for each id, in the same order; None if no result is stored.

        Raises:
            ValueError: An id is not valid, or ``job_ids`` is one string.
            ConnectionError: Redis could not be reached.
            TimeoutError: Redis did not answer within ``read_timeout``.
            ServerError: Redis refuses the command; the error names the job.
            SerializationError: A stored result can't be read; the error names the job.
        """
        return await self._results.get_results(job_ids, return_exceptions=return_exceptions)

    async def locate(self, job_id: str) -> Location:
        """Return where a job is, in one round trip.

        It reads the job's document and result, and searches the taken jobs and the dead letters. It
        does not search the lists of waiting jobs: a job that is in no other place counts as queued.

        Examples:
            ```python
            location = await client.locate(job_id)
            print(location.place, location.attempts)  # completed 0
            ```

        Args:
            job_id: The job.

        Returns:
            The place, the number of failed attempts, the last error, and when the job is due. If
            the job does not exist, the place is ``JobPlace.MISSING``.

        Raises:
            ValueError: The id is not valid.
            ConnectionError: Redis could not be reached.
            TimeoutError: Redis did not answer within ``read_timeout``.
        """
        return await self._waits.locate(check_job_id(job_id))

    async def explain(self, job_id: str, observe: Seconds = 0) -> Explanation:
        """Explain where a job is, why it does not run, and what to do about it.

        It reads all places of the job at one moment. The explanation says which part is a guess. A
        list is searched to its end only if the job is not among the next 100,000.

        Examples:
            ```python
            explanation = await client.explain(job_id)
            print(explanation.situation)  # completed
            print(explanation)  # all of it, in words
            ```

        Args:
            job_id: The job. Any text is allowed, because Redis may contain unusual ids.
            observe: How long to watch whether jobs of this list are taken and whether a scheduler
                works: 6 seconds or more, or a timedelta. 0 checks once.

        Returns:
            The explanation. Use ``str()`` for people and ``to_dict()`` for programs.

        Raises:
            ValueError: An argument is not valid.
            ConnectionError: Redis could not be reached.
            TimeoutError: Redis did not answer within ``read_timeout``.

        If you cancel the call, nothing has changed in Redis.
        """
        return await self._operating.reads.explain(job_id, observe)

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

        Examples:
            ```python
            result = await client.wait_for_result(job_id, timeout=60)
            print(result.get_result())  # hello, Ada
            ```

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

    def as_completed(
        self,
        job_ids: Iterable[str],
        timeout: Optional[Seconds] = 30.0,
        *,
        wait_for_retries: bool = True,
    ) -> AsCompleted:
        """Iterate over the results of many jobs, in the order in which the jobs end.

        Examples:
            ```python
            async for result in client.as_completed([job_id], timeout=60):
                print(result.job_id, result.status)
            ```

        Args:
            job_ids: The jobs; no id twice.
            timeout: Limit for all jobs together, in seconds from the first step, or a timedelta.
                None is no limit, 0 only looks. When the time is over, the iterator gives all
                results that are stored. Then it raises ``TimeoutError``, with the ids of the other
                jobs in ``job_ids``.
            wait_for_retries: False returns the first stored result, even if a retry may follow.

        Returns:
            An async iterator of results. Several consumers may share it; each result goes to one of
            them. If you leave the loop early, use ``async with`` to end the waits at once. A step
            raises the errors of ``wait_for_result`` for its job; you can go on with the other jobs.

        Raises:
            ValueError: An id is not valid, or is there twice.
        """
        ids = check_job_ids(job_ids)
        self._pipeline.refuse_closed()
        return AsCompleted(
            self._waits,
            ids,
            check_timeout(timeout),
            any_attempt=not wait_for_retries,
            life=self._life,
        )

    def watch(self, job_id: str, timeout: Optional[Seconds] = None) -> JobChanges:
        """Iterate over the changes of a job, until it has ended.

        The first change says where the job is now. The end and each failed attempt are reported at
        once. For other changes the client looks every 0.25 to 2 seconds, so it may miss short ones.
        If the job does not exist, the iterator waits for it.

        Examples:
            ```python
            async for change in client.watch(job_id, timeout=60):
                print(change.kind, change.location.place)  # finished completed
            ```

        Args:
            job_id: The job.
            timeout: Limit in seconds from the first step, or a timedelta. None is no limit. When
                the time is over, a step raises ``TimeoutError``.

        Returns:
            An async iterator of ``JobChange``; the last one has the result. If you leave the loop
            early, use ``async with`` to end the watch at once. A step raises the errors of
            ``wait_for_result``. The first one also raises ``ConnectionError`` if Redis can't be
            reached; after that the watch goes on.

        Raises:
            ValueError: An argument is not valid.
        """
        return JobChanges(
            self._waits, check_text(job_id, "job_id"), check_timeout(timeout), self._life
        )

    # -- operating -------------------------------------------------------------------------------

    async def cancel(self, job_id: str, *, reason: str = "") -> CancelOutcome:
        """Take a job out of the queue before it runs.

        A cancelled job does not run. Callers that wait for it get a failed result at once; its
        ``get_result()`` raises ``JobCancelledError``. A job that a worker has taken is not changed.

        There are conditions. The user may run scripts (EVAL). There is one scheduler, and its clock
        differs from the server's by less than 5 s. It does not pause for seconds between its read
        and its write. No failover loses writes.

        Examples:
            ```python
            outcome = await client.cancel(job_id, reason="the order was withdrawn")
            if outcome is CancelOutcome.CANCELLED:
                print("it will not run")
            ```

        Args:
            job_id: The job.
            reason: Any text, for people.

        Returns:
            The outcome. If a job is due within 5 s, the call waits up to 5 s until the scheduler
            has moved it to its list. If the scheduler does not, the outcome is ``DUE`` and nothing
            was changed. If the job had a due time before, the call checks twice, 1.5 s apart.

        Raises:
            ServerError: The user may not run EVAL or another command that is needed. The message
                names it; nothing was changed.
            SerializationError: The document can't be read.
            ConnectionError: Redis could not be reached. If ``sent`` is true, the reply was lost
                twice.
            TimeoutError: Redis did not answer within ``read_timeout``. You can call it again.

        If you cancel the call, the job may be cancelled or not.
        """
        return await self._operating.changes.cancel(job_id, reason)

    async def reschedule(self, job_id: str, when: Union[datetime, timedelta]) -> RescheduleOutcome:
        """Change the time of a job that waits: a scheduled or queued job, or a retry.

        It has the same conditions as ``cancel``.

        Examples:
            ```python
            outcome = await client.reschedule(job_id, timedelta(minutes=5))
            print(outcome)  # rescheduled
            ```

        Args:
            job_id: The job.
            when: An aware datetime, or a timedelta from now, which must not be negative.

        Returns:
            The outcome. A job is not changed if a worker has taken it. It is also not changed if it
            is due within 5 s and no scheduler moves it in this time.

        Raises:
            ValueError: ``when`` is not valid.
            ServerError: The user may not run EVAL or another command that is needed. The message
                names it; nothing was changed.
            SerializationError: The document can't be read.
            ConnectionError: Redis could not be reached. If ``sent`` is true, the reply was lost
                twice.
            TimeoutError: Redis did not answer within ``read_timeout``. You can call it again.
        """
        return await self._operating.changes.reschedule(job_id, when)

    async def delete(self, job_id: str) -> DeleteOutcome:
        """Delete a job that has finished, with its result and its dead letter.

        Examples:
            ```python
            outcome = await client.delete(job_id)
            print(outcome)  # deleted
            ```

        Args:
            job_id: The job.

        Returns:
            The outcome. A job that has not finished is not deleted. If a result is stored but the
            worker has not finished its last step, the call waits for it, at most a second.

        Raises:
            ServerError: Redis refuses the command; nothing was changed.
            ConnectionError: Redis could not be reached. If ``sent`` is true, the reply was lost.
            TimeoutError: Redis did not answer within ``read_timeout``. You can call it again.
        """
        return await self._operating.changes.delete(job_id)

    async def requeue(
        self, job_id: str, *, routes: Optional[Literal["flat", "document"]] = None
    ) -> None:
        """Queue a dead letter again, with zero attempts.

        The payload does not change. The old result is deleted.

        Examples:
            ```python
            await client.requeue(job_id)
            result = await client.wait_for_result(job_id)
            ```

        Args:
            job_id: The job.
            routes: The list to use: ``"flat"`` for the lists without a route, ``"document"`` for
                the route in the job's document. Required if the document names a route and the
                client has none, because servers without routing ignore that route.

        Raises:
            JobNotFoundError: The job is not a dead letter, or its document has expired.
            ValueError: ``routes`` is required here.
            SerializationError: The document can't be read.
            ServerError: Redis refuses the command; nothing was changed.
            ConnectionError: Redis could not be reached. If ``sent`` is true, the reply was lost.
            TimeoutError: Redis did not answer within ``read_timeout``.
        """
        await self._operating.changes.requeue(job_id, routes)

    async def recover(
        self,
        idle_for: Seconds,
        *,
        limit: Optional[int] = None,
        routes: Optional[Literal["flat", "document"]] = None,
        dry_run: bool = False,
        progress: Optional[Callable[[RecoveryCounts], None]] = None,
    ) -> RecoveryCounts:
        """Recover the jobs of killed workers, which otherwise stay among the taken jobs.

        Call it at least twice. The first call only notes in Redis which jobs workers have taken. A
        later call, of any client, recovers the jobs that are still there, unchanged, after
        ``idle_for``. Redis does not know whether a worker is alive. So if a job runs for longer
        than ``idle_for``, it runs twice: make ``idle_for`` longer than any job.

        The lost attempt counts as failed, with the error ``worker lost``. If attempts are left, the
        job is queued again. Otherwise it becomes a dead letter with a failed result. If a job has
        ended or has no document, only its entry is removed. You may interrupt the call, or run it
        twice at the same time: no job is lost or queued twice. It uses a script for each page of
        jobs.

        Args:
            idle_for: How long a job must have been among the taken jobs: seconds, or a timedelta.
            limit: The maximum number of jobs; None is all. The others are noted.
            routes: The lists to use: ``"flat"`` for the lists without a route, ``"document"`` for
                the route in each job's document. Required if a document names a route and the
                client has none, because servers without routing ignore that route.
            dry_run: True only counts; nothing is noted.
            progress: Called with the counts so far, after each step, in the thread of the event
                loop.

        Returns:
            How many jobs were recovered, how many were not and why, and when to call it again.

        Raises:
            ValueError: An argument is not valid, or ``routes`` is required here. Jobs recovered
                before stay recovered.
            ServerError: The user may not run EVAL or another command that is needed. This page of
                jobs was not changed.
            ConnectionError: Redis could not be reached. If ``sent`` is true, the reply was lost.
            TimeoutError: Redis did not answer within ``read_timeout``. You can call it again.

        If you cancel the call, the last page may be recovered or not.

        Examples:
            ```python
            counts = await client.recover(timedelta(hours=1))
            print(counts.requeued, "queued again; call it again at", counts.next_at)
            ```
        """
        return await self._operating.changes.recover(
            idle_for, routes, limit=limit, dry_run=dry_run, progress=progress
        )

    async def doctor(
        self,
        *,
        observe: Seconds = 10.0,
        taken_for: Seconds = 3600.0,
        routing_keys: Iterable[Optional[str]] = (),
        progress: Optional[Callable[[str], None]] = None,
    ) -> AuditReport:
        """Check all data of the queue and plan repairs; it changes nothing.

        It finds ids without a document, jobs that are in no list, expired dead letters, results
        without a job, jobs that were taken long ago, lists that no worker empties, a scheduler that
        does not run, a ``maxmemory-policy`` that deletes jobs, and missing rights. It reads all
        keys in short steps, and needs about 50 MB of memory for any number of jobs.

        Args:
            observe: Time between two checks: 10 seconds or more, or a timedelta. 0 checks once;
                then it can't find jobs without a place, or problems of workers and the scheduler.
            taken_for: Report jobs that were taken longer ago: seconds, or a timedelta.
            routing_keys: More routes to check. Routes with jobs are found automatically.
            progress: Called with a text that says what is being done, in the thread of the event
                loop.

        Returns:
            The problems found, which of them are guesses, and what ``repair`` would do.

        Raises:
            ValueError: An argument is not valid.
            ServerError: The user may not read all that is needed, for example with ``SCAN``.
            ConnectionError: Redis could not be reached.
            TimeoutError: Redis did not answer within ``read_timeout``.

        If you cancel the call, nothing has changed in Redis.

        Examples:
            ```python
            report = await client.doctor(observe=0)
            print(report)
            counts = await client.repair(report)
            ```
        """
        return await self._operating.doctor.audit(
            routing_keys, observe=observe, taken_for=taken_for, progress=progress
        )

    async def repair(
        self,
        report: AuditReport,
        *,
        kinds: Optional[Iterable[FindingKind]] = None,
        routes: Optional[Literal["flat", "document"]] = None,
        progress: Optional[Callable[[RepairCounts], None]] = None,
    ) -> RepairCounts:
        """Carry out the repairs that ``doctor`` has planned.

        Each problem is checked again in the same step that repairs it. If it has changed, nothing
        is done. After an interruption, call it again to go on.

        Args:
            report: The report from ``doctor``.
            kinds: The kinds of findings to repair. None means all in ``report.plan``. To queue jobs
                without a place again, you must name ``"no place"``.
            routes: The lists for jobs without a place: ``"flat"`` for the lists without a route,
                ``"document"`` for the route in each job's document. Required if a document names a
                route and the client has none.
            progress: Called with the counts so far, in the thread of the event loop.

        Returns:
            How many problems were repaired, and how many had changed.

        Raises:
            ValueError: An argument is not valid, or ``routes`` is required here. Earlier repairs
                stay.
            ServerError: The user may not run EVAL or another command that is needed.
            ConnectionError: Redis could not be reached. If ``sent`` is true, the reply was lost.
            TimeoutError: Redis did not answer within ``read_timeout``. You can call it again.

        If you cancel the call, the last step may be done or not.

        Examples:
            ```python
            report = await client.doctor(observe=0)
            counts = await client.repair(report)
            print(counts.done)
            ```
        """
        return await self._operating.doctor.repair(report, kinds, routes, progress)

    def stats(self) -> ClientStats:
        """Return counters and states for a health check, without I/O.

        Examples:
            ```python
            stats = client.stats()
            print(stats.connected, stats.waits)
            ```

        Raises:
            ClientClosedError: Only from ``Client``: it is closed.
        """
        pipeline, listener = self._pipeline, self._waits.listener
        return ClientStats(
            connected=pipeline.is_connected,
            connections=pipeline.connections,
            reconnects=pipeline.reconnects + max(0, listener.connections - 1),
            pipelines=pipeline.batches,
            open_requests=pipeline.open_requests,
            waits=len(self._waits),
            listening=listener.is_connected,
            last_pong_age=listener.silence(),
            results_by_notification=self._waits.endings.found_by_notification,
            results_by_safety_read=self._waits.endings.found_by_safety_read,
        )


def required_time(scheduled_for: Union[Due, NotGiven]) -> Due:
    """Return when a scheduled job is due, or raise TypeError where the caller did not say."""
    if isinstance(scheduled_for, NotGiven):
        raise TypeError(
            "submit_job_scheduled() needs scheduled_for, an aware datetime or a timedelta from "
            "now (the third argument is the priority); to run a job at once, use submit_job()"
        )
    if scheduled_for is None:
        raise ValueError("scheduled_for must be an aware datetime or a timedelta, not None")
    return scheduled_for


def spec_fields(spec: JobSpec) -> Tuple[Any, ...]:
    """Return what a new entry is made of, in the order in which the queue takes it."""
    return (
        spec.name,
        spec.payload,
        spec.priority,
        spec.description,
        spec.scheduled_for,
        spec.job_id,
        spec.routing_key,
        spec.max_retries,
    )


def _service_name(value: object) -> str:
    name = check_text(value, "service_name")
    if not name or any(char.isspace() for char in name):
        raise ValueError("service_name must be what the sentinels call the primary, without spaces")
    return name


def _server(settings: Settings) -> str:
    """Return what a client connects to, for messages."""
    if settings.sentinels:
        return f"the primary {settings.service_name!r} that the sentinels know"
    return f"Redis at {settings.endpoint}"
