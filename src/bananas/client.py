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
from ._arguments import check_job_id, check_job_ids, check_on_timeout, check_text, check_timeout
from ._client_life import Life
from ._event_loops import refuse_green_threads
from ._in_process import InProcess
from ._operating import OperatingCalls, OperatingConnection
from ._pipeline import AutoPipeline, Entry
from ._redis import DEFAULT_REDIS_URL, CredentialProvider, Settings, open_link, sentinel_endpoints
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
    """What a health check wants to know of a client.

    Attributes:
        connected: Whether there is a connection for submits and reads, as far as is known.
        connections: Connections made for submits and reads so far.
        reconnects: Those of them, and of the listener's, that replaced a lost one.
        pipelines: Round trips that submits and reads have shared.
        open_requests: Submits and reads under way.
        waits: Jobs that are waited for.
        listening: Whether the listener has a connection.
        last_pong_age: Seconds since the listener last heard of Redis; None while it has no
            connection. More than twice ``ping_interval`` never lasts.
        results_by_notification: Waits that a notification or a fresh subscription ended.
        results_by_safety_read: Waits that only the periodic read ended; if they are many,
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

    Submits and reads share one connection, and all waits share a second one, however many there
    are. Documents of more than 1 MiB, and operating calls such as ``explain`` and ``cancel``, have
    one of their own each, opened when it is needed.
    Use it as ``async with AsyncClient(url) as client``, or call ``connect()`` and ``close()``;
    a client that did neither connects with its first call. It may be entered and left in
    different tasks, and called from any number of tasks at once.

    Args:
        redis_url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user and password if
            need be. Not passed: ``BANANAS_REDIS_URL`` from the environment, else the default.
        success_ttl: Expiry of results that this client stores itself, after a success.
        failure_ttl: The same after a failure.
        key_prefix: What every key starts with; Go workers know only the default.
        routing_key: The route of jobs that name none: None for the flat lists, a name for a
            deployment with routing.
        connect_timeout: Seconds for one connection attempt; also how long a call that was not sent
            waits for a connection, from its start or from the loss of the last connection.
        submit_timeout: Seconds for a submit, with all that it takes to find out what became of it
            when a reply is lost.
        read_timeout: Seconds for a read, or for storing or deleting a result.
        ping_interval: Seconds after which, at the latest, a silent listener asks Redis for a sign
            of life; before it has been silent for two, its connection is replaced.
        safety_interval: Seconds between reads of a result whose notification may have been lost;
            more where thousands wait, since 400 jobs are looked at in a second.
        json_default: Called with each value of a payload that JSON has no form for, as
            ``json.dumps`` calls its ``default``: returns what to write in its place, or raises
            TypeError. None refuses such payloads.
        credential_provider: What gives user and password, in place of the URL, for each connection
            anew; redis-py's providers do. Its ``get_credentials_async`` is awaited, or its
            ``get_credentials`` called in a thread, within ``connect_timeout``.
        ssl_context: What a ``rediss`` URL without ``ssl_`` options uses for TLS.

    Raises:
        ValueError: An argument is refused. No message shows a password.
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

        Every connection asks the sentinels, in their order, where the primary is, and makes sure
        that it finds one there. A sentinel that is silent costs its share of ``connect_timeout``,
        which leaves as much for each of the others and for the primary.

        Examples:
            ```python
            client = AsyncClient.from_sentinel(
                [("10.0.0.1", 26379), ("10.0.0.2", 26379)], "queue"
            )
            ```

        Args:
            sentinels: Where the sentinels are: pairs of host and port, or URLs with the
                credentials that the sentinels themselves ask for.
            service_name: What the sentinels call the primary.
            redis_url: User, password, database and TLS for the primary; its host and port are
                not used. It is not taken from the environment.
            success_ttl: Expiry of results that this client stores itself, after a success.
            failure_ttl: The same after a failure.
            key_prefix: What every key starts with; Go workers know only the default.
            routing_key: The route of jobs that name none: None for the flat lists, a name for a
                deployment with routing.
            connect_timeout: Seconds for one connection attempt; also how long a call that was not
                sent waits for a connection, from its start or from the loss of the last connection.
            submit_timeout: Seconds for a submit, with all that it takes to find out what became of
                it when a reply is lost.
            read_timeout: Seconds for a read, or for storing or deleting a result.
            ping_interval: Seconds after which, at the latest, a silent listener asks Redis for a
                sign of life; before it has been silent for two, its connection is replaced.
            safety_interval: Seconds between reads of a result whose notification may have been
                lost; more where thousands wait, since 400 jobs are looked at in a second.
            json_default: Called with each value of a payload that JSON has no form for, as
                ``json.dumps`` calls its ``default``: returns what to write in its place, or raises
                TypeError. None refuses such payloads.
            credential_provider: What gives user and password, in place of the URL, for each
                connection anew; redis-py's providers do. Its ``get_credentials_async`` is awaited,
                or its ``get_credentials`` called in a thread, within ``connect_timeout``. It is
                asked for the primary alone.
            ssl_context: What a ``rediss`` URL without ``ssl_`` options uses for TLS. It is used for
                sentinels, too, that ``rediss`` URLs without options give.

        Raises:
            ValueError: An argument is refused.
            ConnectionError: From ``Client``, which connects at once: no primary can be reached.
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
        connector = functools.partial(open_link, settings)
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
        self._operating = OperatingCalls(
            operating,
            self._pipeline,
            self._waits,
            keys,
            routing_key=settings.routing_key,
            failure_ttl=settings.failure_ttl,
        )
        self._life = Life(repr(self), self._pipeline, operating, self._waits)
        self._operating.life = self._life
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
        """The documents and lists that this client writes to."""
        return self._queue

    @property
    def dead_letters(self) -> DeadLetters:
        """The jobs that have failed for good."""
        return self._dead_letters

    @property
    def results(self) -> RedisResultBackend:
        """The results that this client reads."""
        return self._results

    # -- life ------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Make sure of a connection, with one attempt; more while the server is busy or loading.

        Examples:
            ```python
            client = AsyncClient()
            await client.connect()
            await client.close()
            ```

        Raises:
            ConnectionError: Redis can't be reached, is a Redis Cluster, or does not answer within
                ``connect_timeout``.
            AuthenticationError: It refuses the credentials.
            ClientClosedError: The client was closed.
        """
        await self._pipeline.connect()

    async def close(self) -> None:
        """Close all connections and end all that is under way with ``ClientClosedError``.

        Works from any task, and again. A cancellation does not leave anything running.

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

    def _live_by(
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
        """Submit a job that a worker runs as soon as one is free.

        Examples:
            ```python
            job_id = await client.submit_job("greet", {"name": "Ada"})
            result = await client.wait_for_result(job_id)
            print(result.get_result())  # hello, Ada
            ```

        Args:
            name: The name of the handler that runs it.
            payload: The handler's input: any JSON value.
            priority: A ``JobPriority`` or its word: which list the job waits in.
            description: Free text, for people.
            job_id: An id of your choice, which makes the submit idempotent: a job that exists,
                whatever its name and payload, is left as it is and not queued again. None makes
                a UUID.
            routing_key: The route whose workers run it, None for the flat lists; not given is the
                client's own.
            max_retries: Attempts after which a failure is final (the wire's word for it).
            if_exists: With a ``job_id`` that exists: ``"return"`` the id, or ``"raise"``.

        Returns:
            The job's id.

        Raises:
            ValueError: An argument is refused; nothing is written.
            SerializationError: The payload is not JSON that Go accepts; nothing is written.
            ConnectionError: Redis could not be reached; nothing was sent.
            AuthenticationError: It refuses the credentials; nothing was sent.
            OutcomeUnknownError: The reply was lost, and what became of the job can't be found out
                before ``submit_timeout``; submitting again with its ``job_id`` is safe.
            JobRejectedError: Redis refused, at once or, where the reason may pass (it is loading,
                or a replica), until ``submit_timeout``; nothing is left behind.
            JobExistsError: With ``if_exists="raise"``.
            ClientClosedError: The client was closed; the message says whether the job was sent.

        Cancelling it may leave the job queued, once, or not at all.
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
        """Submit a job that is run at a given time, never before it.

        Examples:
            ```python
            job_id = await client.submit_job_scheduled(
                "greet", {"name": "Ada"}, scheduled_for=timedelta(hours=1)
            )
            ```

        Args:
            name: The name of the handler that runs it.
            payload: The handler's input: any JSON value.
            priority: A ``JobPriority`` or its word: which list the job waits in once it is due.
            scheduled_for: Required, as the fourth argument or by keyword: an aware datetime, or a
                timedelta from now, which must not be negative. A datetime in the past is due at
                once. Workers see the job up to a second or two after it is due.
            description: Free text, for people.
            job_id: An id of your choice, which makes the submit idempotent; None makes a UUID.
            routing_key: The route whose workers run it, None for the flat lists; not given is the
                client's own.
            max_retries: Attempts after which a failure is final.
            if_exists: With a ``job_id`` that exists: ``"return"`` the id, or ``"raise"``.

        Returns:
            The job's id.

        Raises:
            TypeError: ``scheduled_for`` is not given; nothing is written.
            ValueError: An argument is refused (a naive datetime, say); nothing is written.
            SerializationError: The payload is not JSON that Go accepts; nothing is written.
            ConnectionError: Redis could not be reached; nothing was sent.
            OutcomeUnknownError: The reply was lost, and what became of the job can't be found out
                before ``submit_timeout``; submitting again with its ``job_id`` is safe.
            JobRejectedError: Redis refused; nothing is left behind.
            JobExistsError: With ``if_exists="raise"``.
            ClientClosedError: The client was closed; the message says whether the job was sent.

        Cancelling it may leave the job scheduled, once, or not at all.
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

        They go out in transactions of up to 500 jobs or 1 MiB. A sequence of up to 10,000 is
        checked as a whole before anything is sent; of a longer one, or of any other iterable,
        each transaction is, so that it need not fit in memory.

        Examples:
            ```python
            specs = [JobSpec("greet", {"name": name}) for name in ("Ada", "Grace")]
            job_ids = await client.submit_jobs(specs)
            print(len(job_ids))  # 2
            ```

        Args:
            specs: One ``JobSpec`` for each job. ``AsyncClient`` takes async iterables too; an async
                generator is closed when the submit ends before it does.
            if_exists: For specs with a ``job_id`` that exists: ``"return"`` the id, or ``"raise"``.

        Returns:
            The ids, in the order of the specs.

        Raises:
            ValueError: A spec is refused; the message says which.
            SerializationError: The payload of a spec is not JSON that Go accepts.
            ConnectionError: Redis could not be reached.
            OutcomeUnknownError: A reply was lost; submitting again with the ids is safe.
            JobRejectedError: Redis refused some jobs; nothing of those is left behind.
            JobExistsError: With ``if_exists="raise"``.
            ClientClosedError: The client was closed. Of all these, ``job_ids`` are the jobs that
                the error is about, and ``submitted`` those that were queued all the same.

        Cancelling it may leave any of the jobs queued, each once.
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
            name: The name of the handler that runs it.
            payload: The handler's input: any JSON value.
            priority: A ``JobPriority`` or its word: which list the job waits in.
            timeout: Limit of the wait in seconds, or a timedelta, counted from the submit's end;
                None is no limit.
            description: Free text, for people.
            job_id: An id of your choice; with a job that exists, its result is waited for.
            routing_key: The route whose workers run it, None for the flat lists; not given is the
                client's own.
            max_retries: Attempts after which a failure is final.
            wait_for_retries: False takes the first stored result, though a retry may follow.
            on_timeout: What becomes of a job that has not ended in time: ``"leave"`` lets it go
                on; ``"cancel"`` cancels it, if no worker has taken it yet.

        Returns:
            The result of a success or of a final failure.

        Raises:
            TimeoutError: The job has not ended in time; it has the ``job_id``, and the job goes on
                unless it was cancelled, which its ``whereabouts`` and the message say.
            BananasError: Whatever else ``submit_job`` and ``wait_for_result`` raise.

        Cancelling it ends the wait, not the job, unless ``on_timeout`` is ``"cancel"``: then the
        client cancels the job too, and nobody waits for that.
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
            job_type: The job's name, types, priority, route and number of attempts.
            payload: The handler's input, of the type that ``job_type`` gives it.
            scheduled_for: When it is due: an aware datetime, or a timedelta from now. None is at
                once.
            job_id: An id of your choice, which makes the submit idempotent; None makes a UUID.
            if_exists: With a ``job_id`` that exists: ``"return"`` the id, or ``"raise"``.

        Returns:
            The job's id.

        Raises:
            SerializationError: The payload is not of its type; the message says where, and nothing
                is written.
            BananasError: Whatever else ``submit_job`` raises.

        Cancelling it may leave the job queued, once, or not at all.
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
        """Submit a typed job, wait until it has ended, and return what its handler returned.

        Examples:
            ```python
            greet = JobType("greet", payload=Dict[str, str], result=str)
            text = await client.call(greet, {"name": "Ada"}, timeout=10)
            print(text)  # hello, Ada
            ```

        Args:
            job_type: The job's name, types, priority, route and number of attempts.
            payload: The handler's input, of the type that ``job_type`` gives it.
            timeout: Limit of the wait in seconds, or a timedelta, counted from the submit's end;
                None is no limit.
            job_id: An id of your choice; with a job that exists, its result is waited for.

        Returns:
            The result, of the type that ``job_type`` gives it; None where it gives none.

        Raises:
            SerializationError: The payload is not of its type, and nothing is written; or the
                result is not of its own. The message says where.
            JobFailedError: The job failed for good; ``error`` says why.
            TimeoutError: The job has not ended in time; it has the ``job_id``, and the job goes on.
            ValueError: The handler stored no data, and the type of the result needs some.
            BananasError: Whatever else ``submit_and_wait`` raises.

        Cancelling it ends the wait, not the job.
        """
        limit = check_timeout(timeout)
        entry = self._queue._new_entry(*spec_fields(job_type.spec(payload, job_id=job_id)))
        result = await self._submit_and_wait(entry, limit, fresh=job_id is None, any_attempt=False)
        return job_type.load_result(result)

    # -- reading and waiting ---------------------------------------------------------------------

    async def get_job(self, job_id: str) -> Optional[Job]:
        """Read a job's document.

        A job that a worker runs still reads ``PENDING``: Go workers write no other status.

        Examples:
            ```python
            job = await client.get_job(job_id)
            if job is not None:
                print(job.name, job.status, job.attempts)  # greet completed 0
            ```

        Args:
            job_id: The job.

        Returns:
            The job; None where there is none, or it has expired (24 h after a success, 7 days
            after a final failure).

        Raises:
            ValueError: The id is refused.
            ConnectionError: Redis could not be reached.
            TimeoutError: It did not answer within ``read_timeout``.
            ServerError: It refuses.
            SerializationError: The document is not one.
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
        """Read many documents in one round trip for every 500.

        Examples:
            ```python
            for job in await client.get_jobs([job_id, "no-such-job"]):
                print("gone" if job is None else job.status)
            ```

        Args:
            job_ids: The jobs.
            return_exceptions: Whether a document that can't be read has its error in its place;
                otherwise the first such error is raised. Trouble with the connection is raised in
                either case.

        Returns:
            One job for each id, in their order; None where there is none.

        Raises:
            ValueError: An id is refused, or ``job_ids`` is one string.
            ConnectionError: Redis could not be reached.
            TimeoutError: It did not answer within ``read_timeout``.
            ServerError: It refuses; the error names the job.
            SerializationError: A document is not one; the error names the job.
        """
        return await self._queue.get_jobs(job_ids, return_exceptions=return_exceptions)

    async def get_result(self, job_id: str) -> Optional[JobResult[Any]]:
        """Read the stored result of a job, without waiting.

        A failed one may be that of an attempt which will be retried; ``wait_for_result`` tells
        them apart.

        Examples:
            ```python
            result = await client.get_result(job_id)
            if result is not None:
                print(result.status)  # completed
            ```

        Args:
            job_id: The job.

        Returns:
            The result; None where none is stored.

        Raises:
            ValueError: The id is refused.
            ConnectionError: Redis could not be reached.
            TimeoutError: It did not answer within ``read_timeout``.
            ServerError: It refuses.
            SerializationError: What is stored is no result.
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
        """Read many stored results in one round trip for every 500.

        Examples:
            ```python
            results = await client.get_results([job_id, "no-such-job"])
            print([result is not None for result in results])  # [True, False]
            ```

        Args:
            job_ids: The jobs.
            return_exceptions: Whether a result that can't be read has its error in its place;
                otherwise the first such error is raised. Trouble with the connection is raised in
                either case.

        Returns:
            One result for each id, in their order; None where none is stored.

        Raises:
            ValueError: An id is refused, or ``job_ids`` is one string.
            ConnectionError: Redis could not be reached.
            TimeoutError: It did not answer within ``read_timeout``.
            ServerError: It refuses; the error names the job.
            SerializationError: What is stored is no result; the error names the job.
        """
        return await self._results.get_results(job_ids, return_exceptions=return_exceptions)

    async def locate(self, job_id: str) -> Location:
        """Say where a job is, in one round trip.

        It reads the job's document and result, and looks for the job among those that workers have
        taken and among the dead letters. The lists in which jobs wait are not searched: a job that
        is in no other place counts as queued.

        Examples:
            ```python
            location = await client.locate(job_id)
            print(location.place, location.attempts)  # completed 0
            ```

        Args:
            job_id: The job.

        Returns:
            Where it is, its failed attempts, the last error, and when it is due. A job that does
            not exist is in the place ``JobPlace.MISSING``.

        Raises:
            ValueError: The id is refused.
            ConnectionError: Redis could not be reached.
            TimeoutError: It did not answer within ``read_timeout``.
        """
        return await self._waits.locate(check_job_id(job_id))

    async def explain(self, job_id: str, observe: Seconds = 0) -> Explanation:
        """Explain where a job is, why it does not run, and what to do about it.

        It reads all places of the job at one moment, and tells what was seen from what is a guess.
        Lists are searched to their ends only where a job is not among the next 100,000.

        Examples:
            ```python
            explanation = await client.explain(job_id)
            print(explanation.situation)  # completed
            print(explanation)  # all of it, in words
            ```

        Args:
            job_id: The job; any text, since ids that are found in Redis may be odd.
            observe: Seconds, 6 or more, or a timedelta, for which to watch whether the job's list
                moves and whether a scheduler looks for due jobs; 0 looks once.

        Returns:
            The explanation: ``str()`` of it is for people, ``to_dict()`` for programs.

        Raises:
            ValueError: An argument is refused.
            ConnectionError: Redis could not be reached.
            TimeoutError: It did not answer within ``read_timeout``.

        Cancelling it changes nothing.
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

        A worker stores a failed result after every failed attempt; this returns only the last
        one. A job that ends without a result (no handler, a panic, an unreadable document)
        returns a failed result with the reason that its document gives. A lost connection is
        replaced, and all that was stored meanwhile is found.

        Examples:
            ```python
            result = await client.wait_for_result(job_id, timeout=60)
            print(result.get_result())  # hello, Ada
            ```

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
            job_ids: The jobs, each once.
            timeout: Limit for all of them together, in seconds from the first step, or a
                timedelta; None is no limit, 0 only looks. When it is over, all results that are
                stored are given, then a step raises ``TimeoutError`` with the ``job_ids`` that are
                missing, and the iteration has ended. A short one may be exceeded as in
                ``wait_for_result``.
            wait_for_retries: False takes the first stored result, though a retry may follow.

        Returns:
            An async iterator of results; several consumers may share it, and each result goes to
            one of them. Leaving the loop early ends the waits when the iterator
            is closed (``async with`` it to be sure) or forgotten. A step raises what
            ``wait_for_result`` would for that job; iterating on gives the other results.

        Raises:
            ValueError: An id is refused, or stands twice.
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
        """Iterate over what becomes of a job, until it has ended.

        The end and each failed attempt are announced, and given at once; all else is looked for
        in a pace of 0.25 to 2 seconds, so that what passes quickly may not be seen. The first
        step gives where the job is now. One that does not exist may come.

        Examples:
            ```python
            async for change in client.watch(job_id, timeout=60):
                print(change.kind, change.location.place)  # finished completed
            ```

        Args:
            job_id: The job.
            timeout: Limit in seconds from the first step, or a timedelta; None is no limit. When it
                is over, a step raises ``TimeoutError``.

        Returns:
            An async iterator of ``JobChange``; the last one has the result. Leaving the
            loop early ends the watch when the iterator is closed (``async with`` it to
            be sure) or forgotten. A step raises what ``wait_for_result`` would.

        Raises:
            ValueError: An argument is refused.
        """
        return JobChanges(
            self._waits, check_text(job_id, "job_id"), check_timeout(timeout), self._life
        )

    # -- operating -------------------------------------------------------------------------------

    async def cancel(self, job_id: str, *, reason: str = "") -> CancelOutcome:
        """Take a job out of the queue before it runs.

        A job that is reported as cancelled does not run; whoever waits for it gets a failed result
        at once, whose ``get_result()`` raises ``JobCancelledError``. That holds with one scheduler
        whose clock is within 5 s of the server's and which does not stall for seconds between its
        read and its write, and where no failover loses writes. It is done by a script, in one step
        of the server, and in no other way.

        Examples:
            ```python
            outcome = await client.cancel(job_id, reason="the order was withdrawn")
            if outcome is CancelOutcome.CANCELLED:
                print("it will not run")
            ```

        Args:
            job_id: The job.
            reason: Free text, for people.

        Returns:
            What became of it: a job that a worker has taken is left alone. One that is due within
            5 s belongs to the scheduler, which is given 5 s to move it to its list; where it does
            not, nothing is done, and the outcome is ``DUE``. A job whose time has come before is
            looked at twice, 1.5 s apart.

        Raises:
            ServerError: The user has no right to EVAL, or to something else that this takes; the
                message says to what, and nothing was done.
            SerializationError: The document can't be read.
            ConnectionError: Redis could not be reached, or, if ``sent``, the reply was lost twice.
            TimeoutError: It did not answer within ``read_timeout``. Calling it again is safe.

        Ending it early leaves open whether the job is cancelled.
        """
        return await self._operating.changes.cancel(job_id, reason)

    async def reschedule(self, job_id: str, when: Union[datetime, timedelta]) -> RescheduleOutcome:
        """Have a job that waits run at another time: a scheduled one, a retry, or a queued one.

        It holds under the conditions that ``cancel`` states, and is done in the same way.

        Examples:
            ```python
            outcome = await client.reschedule(job_id, timedelta(minutes=5))
            print(outcome)  # rescheduled
            ```

        Args:
            job_id: The job.
            when: An aware datetime, or a timedelta from now, which must not be negative.

        Returns:
            What became of it. A job that a worker has taken, or that is due within 5 s and that no
            scheduler moves meanwhile, is left alone.

        Raises:
            ValueError: ``when`` is refused.
            ServerError: The user has no right to EVAL, or to something else that this takes; the
                message says to what, and nothing was done.
            SerializationError: The document can't be read.
            ConnectionError: Redis could not be reached, or, if ``sent``, the reply was lost twice.
            TimeoutError: It did not answer within ``read_timeout``. Calling it again is safe.
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
            What became of it; a job that has not finished is left alone. One that has completed
            is waited for, for a second at most, until its worker has written that down.

        Raises:
            ServerError: Redis refuses; nothing was done.
            ConnectionError: Redis could not be reached, or, if ``sent``, the reply was lost.
            TimeoutError: It did not answer within ``read_timeout``. Calling it again is safe.
        """
        return await self._operating.changes.delete(job_id)

    async def requeue(
        self, job_id: str, *, routes: Optional[Literal["flat", "document"]] = None
    ) -> None:
        """Give a dead letter another try: it begins anew, with no attempt counted.

        Its payload keeps every byte, and its old result is deleted.

        Examples:
            ```python
            await client.requeue(job_id)
            result = await client.wait_for_result(job_id)
            ```

        Args:
            job_id: The job.
            routes: Onto which list it goes: ``"flat"`` for those without a route, ``"document"``
                for the route that its document names. It must be said where the document names
                one and the client has none: servers without routing ignore that name.

        Raises:
            JobNotFoundError: It is no dead letter, or its document has expired.
            ValueError: ``routes`` must be said.
            SerializationError: The document can't be read.
            ServerError: Redis refuses; nothing was done.
            ConnectionError: Redis could not be reached, or, if ``sent``, the reply was lost.
            TimeoutError: It did not answer within ``read_timeout``.
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
        """Recover the jobs of killed workers, which stay among the taken jobs for ever.

        Nothing in Redis says that a worker lives, or when it took a job. So the time counts from
        the first call that saw the job there with its document unchanged: a first call only notes
        it, in Redis, and a later one, of this client or another, acts once ``idle_for`` is over. A
        worker that is only slow runs its job although it is queued again: let ``idle_for`` be
        longer than any job runs.

        The lost attempt counts as failed, with the error ``worker lost``. While attempts are left
        the job is queued again, else it becomes a dead letter with a failed result. Of a job that
        has ended, or has no document, only the entry is removed. A page of jobs is recovered in one
        step of the server, by a script: interrupted at any moment, nothing is lost or queued twice,
        and so it is with two calls at once.

        Args:
            idle_for: Seconds, or a timedelta, that a job must have been seen there.
            limit: How many at most; None is all. The others are noted all the same.
            routes: Onto which lists they go: ``"flat"`` for those without a route, ``"document"``
                for the route that the document of each names. It must be said where one names a
                route and the client has none: servers without routing ignore that name.
            dry_run: Whether only to count; nothing is noted either.
            progress: Called with the counts so far, after each step; on the event loop's thread.

        Returns:
            How many went where, how many are left for which reason, and when to call it next.

        Raises:
            ValueError: An argument is refused, or ``routes`` must be said; what was recovered
                before stays so.
            ServerError: The user has no right to EVAL, or to something else that this takes; the
                page was left alone.
            ConnectionError: Redis could not be reached, or, if ``sent``, the reply was lost.
            TimeoutError: It did not answer within ``read_timeout``. Calling it again is safe.

        Ending it early leaves open whether the last page was recovered.

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
        """Audit all that is stored, and plan repairs; it changes nothing.

        It finds ids without a document, jobs that stand in no place, dead letters that have
        expired, results without a job, jobs that are taken for long, lists that nobody drains, a
        scheduler that does not run, a ``maxmemory-policy`` that loses jobs, and rights that are
        missing. It goes through all keys in short steps, and takes 50 MB of memory, however many
        jobs there are.

        Args:
            observe: Seconds, 10 or more, or a timedelta, between two looks; 0 looks once, and finds
                no jobs without a place, and nothing of workers or a scheduler.
            taken_for: Seconds, or a timedelta, after which a taken job is reported.
            routing_keys: More routes to look at; those that have jobs are found.
            progress: Called with what is being done, in words; on the event loop's thread.

        Returns:
            What is amiss, with what is a guess and what ``repair`` would do.

        Raises:
            ValueError: An argument is refused.
            ServerError: The user has no right to read what this takes, ``SCAN`` above all.
            ConnectionError: Redis could not be reached.
            TimeoutError: It did not answer within ``read_timeout``.

        Cancelling it changes nothing.

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

        Each is looked at once more in the step of the server that carries it out, and left alone if
        it is not as it was. Interrupted at any moment, calling it again goes on.

        Args:
            report: What ``doctor`` returned.
            kinds: Which kinds of findings; None is ``report.plan``, without what is only offered.
                Jobs without a place are queued again only if ``"no place"`` is among them.
            routes: Onto which lists those go: ``"flat"`` for those without a route, ``"document"``
                for the route that the document of each names. It must be said where one names a
                route and the client has none.
            progress: Called with the counts so far; on the event loop's thread.

        Returns:
            How many were repaired, and how many had changed.

        Raises:
            ValueError: An argument is refused, or ``routes`` must be said; what was repaired before
                stays so.
            ServerError: The user has no right to EVAL, or to something else that this takes.
            ConnectionError: Redis could not be reached, or, if ``sent``, the reply was lost.
            TimeoutError: It did not answer within ``read_timeout``. Calling it again is safe.

        Ending it early leaves open whether the last step was carried out.

        Examples:
            ```python
            report = await client.doctor(observe=0)
            counts = await client.repair(report)
            print(counts.done)
            ```
        """
        return await self._operating.doctor.repair(report, kinds, routes, progress)

    def stats(self) -> ClientStats:
        """Return counters and states for a health check; does no I/O.

        Examples:
            ```python
            stats = client.stats()
            print(stats.connected, stats.waits)
            ```

        Raises:
            ClientClosedError: From ``Client``, when it is closed.
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
