"""How callers use the package, for the type checker alone: nothing here is run."""

from __future__ import annotations

import builtins
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import (
    Any,
    AsyncIterator,
    Dict,
    Iterator,
    List,
    Literal,
    NamedTuple,
    Optional,
    Tuple,
    Type,
    Union,
)

from redis.credentials import CredentialProvider
from typing_extensions import TypedDict, assert_type

from bananas import (
    AsyncClient,
    AuthenticationError,
    BananasError,
    Client,
    ConnectionError,
    Job,
    JobExistsError,
    JobFailedError,
    JobPriority,
    JobRejectedError,
    JobResult,
    JobSpec,
    JobStatus,
    JobType,
    OutcomeUnknownError,
    SerializationError,
    ServerError,
    TimeoutError,
    __version__,
)
from bananas.client import ClientStats
from bananas.health import Health, liveness, readiness
from bananas.opentelemetry import instrument, uninstrument
from bananas.operating import JobEntry, QueueDepths
from bananas.prometheus import BananasCollector
from bananas.queue import ListedJobs, RedisQueue
from bananas.result_backend import RedisResultBackend
from bananas.sync import BlockingQueue, BlockingResultBackend, CompletedResults
from bananas.testing import LocalQueue


@dataclass
class Thumbnail:
    """A type that a result is converted to."""

    path: str
    width: int


class Report(TypedDict):
    """Another one."""

    pages: int


class Point(NamedTuple):
    """One that is written as an array."""

    x: int
    y: int


class MyDict(Dict[str, int]):
    """A subclass of dict."""


async def submitting(client: AsyncClient) -> None:
    """Every way to submit returns ids."""
    assert_type(await client.submit_job("work", {"n": [1, 2.5, None, "x"]}), str)
    assert_type(await client.submit_job("work", None, JobPriority.HIGH, "text"), str)
    assert_type(
        await client.submit_job(
            "work", 0, job_id="a", routing_key=None, max_retries=1, if_exists="raise"
        ),
        str,
    )
    due = datetime.now(timezone.utc)
    assert_type(await client.submit_job_scheduled("work", [], JobPriority.LOW, due), str)
    assert_type(
        await client.submit_job_scheduled("work", "x", JobPriority.LOW, timedelta(hours=1)), str
    )
    assert_type(await client.submit_job_scheduled("work", 1, "low", due, "text"), str)
    assert_type(await client.submit_job_scheduled("work", 1, scheduled_for=due), str)
    assert_type(
        await client.submit_job_scheduled("work", 1, "high", scheduled_for=due, description="x"),
        str,
    )
    specs = [
        JobSpec("work", 1),
        JobSpec("work", 1, "low"),
        JobSpec("work", 2, scheduled_for=due, routing_key="eu"),
    ]
    assert_type(await client.submit_jobs(specs), List[str])
    assert_type(await client.submit_jobs(spec for spec in specs), List[str])


async def payloads(client: AsyncClient, report: Report, point: Point, mine: MyDict) -> None:
    """Whatever is JSON at run time is a payload, named types too."""
    await client.submit_job("work", report)
    await client.submit_job("work", point)
    await client.submit_job("work", (1, "x"))
    await client.submit_job("work", mine)
    await client.submit_job("work", [report, point])
    counts: Dict[str, int] = {"a": 1}
    await client.submit_job("work", counts)
    names: List[str] = ["a"]
    await client.submit_job("work", names)
    await client.submit_and_wait("work", report, "high")
    Job.create("work", point, "low")
    JobSpec("work", report, "normal")


async def reading(client: AsyncClient) -> None:
    """Reads return values that may not be there."""
    assert_type(await client.get_job("a"), Optional[Job])
    assert_type(await client.get_jobs(["a"]), List[Optional[Job]])
    assert_type(await client.get_result("a"), Optional[JobResult[Any]])
    assert_type(await client.get_results(("a",)), List[Optional[JobResult[Any]]])
    job = await client.get_job("a")
    if job is not None:
        assert_type(job.status, Optional[JobStatus])
        assert_type(job.created_at, Optional[datetime])
        assert_type(job.routing_key, Optional[str])
        assert_type(job.attempts, int)
        assert_type(job.to_dict(), Dict[str, Any])
        assert_type(job.to_json(), str)


async def waiting(client: AsyncClient) -> None:
    """Waits return results, whatever form their limit has."""
    assert_type(await client.wait_for_result("a"), JobResult[Any])
    assert_type(await client.wait_for_result("a", None), JobResult[Any])
    assert_type(await client.wait_for_result("a", 0.5, wait_for_retries=False), JobResult[Any])
    assert_type(await client.wait_for_result("a", timedelta(seconds=5)), JobResult[Any])
    assert_type(await client.submit_and_wait("work", 1, timeout=None), JobResult[Any])


async def iterating(client: AsyncClient) -> AsyncIterator[str]:
    """Results of many jobs come one by one."""
    async for result in client.as_completed(["a", "b"], 30):
        assert_type(result, JobResult[Any])
        yield result.job_id
    async with client.as_completed(iter(["a"]), timeout=None) as results:
        async for result in results:
            assert_type(result.is_success, bool)


def converting(result: JobResult[Any]) -> None:
    """A result is converted to a type, and has that type then."""
    assert_type(result.get_result(Thumbnail), Thumbnail)
    assert_type(result.get_result(Report), Report)
    assert_type(result.get_result(int), int)
    assert_type(result.get_result(result_type=str), str)
    assert_type(result.get_result(List[int]), List[int])
    assert_type(result.get_result(Dict[str, Thumbnail]), Dict[str, Thumbnail])
    optional: Optional[int] = result.get_result(Optional[int])
    either: Union[int, str] = result.get_result(Union[int, str])
    word: Literal["a", "b"] = result.get_result(Literal["a", "b"])
    point: Point = result.get_result(Point)
    assert_type(result.get_result(Point), Point)
    print(optional, either, word, point)
    assert_type(result.get_result(int, default=None), Optional[int])
    assert_type(result.get_result(Report, default="x"), Union[Report, str])
    maybe: Optional[int] = result.get_result(Optional[int], default=None)
    print(maybe)
    thumbnail: Thumbnail = result.get_result()
    print(thumbnail.width)


def typed_result(result: JobResult[Thumbnail]) -> None:
    """A result may carry the type of what it holds."""
    assert_type(result.get_result(), Thumbnail)
    assert_type(result.get_result(default=None), Optional[Thumbnail])
    assert_type(result.result, Optional[Thumbnail])
    assert_type(result.error, str)
    assert_type(result.completed_at, Optional[datetime])
    assert_type(result.duration, timedelta)


def making() -> None:
    """Values are made by hand."""
    job = Job.create("work", {"a": 1}, JobPriority.LOW, scheduled_for=timedelta(minutes=1))
    assert_type(job, Job)
    assert_type(Job.from_json(b"{}"), Job)
    assert_type(JobResult("a", JobStatus.COMPLETED, 7), JobResult[int])
    assert_type(__version__, str)


async def living(url: str) -> None:
    """A client is entered, or connected and closed."""
    async with AsyncClient(url, timedelta(hours=2), 60, connect_timeout=1) as client:
        assert_type(client, AsyncClient)
        assert_type(client.stats(), ClientStats)
        assert_type(client.queue, RedisQueue)
        assert_type(client.results, RedisResultBackend)
        assert_type(await client.queue.depths([None]), QueueDepths)
        assert_type(client.queue.jobs("dead"), ListedJobs)
        async for entry in client.queue.jobs("queued", limit=5):
            assert_type(entry, JobEntry)
        assert_type(await client.results.delete_result("a"), bool)
        await client.results.store_result(JobResult("a", JobStatus.COMPLETED, [1]))
    client = AsyncClient.from_sentinel([("h", 26379), "redis://h2:26379"], "primary")
    await client.connect()
    await client.close()


class Mine(AsyncClient):
    """A client of one's own."""


async def subclassing(url: str) -> None:
    """A subclass stays one."""
    async with Mine(url) as client:
        assert_type(client, Mine)
    assert_type(Mine.from_sentinel([("h", 1)], "primary"), Mine)


def blocking(url: str) -> Iterator[str]:
    """The blocking client returns what the other one's calls give when awaited."""
    with Client(url, routing_key="eu") as client:
        assert_type(client, Client)
        assert_type(client.submit_job("work", 1), str)
        assert_type(client.submit_jobs([JobSpec("work", 1)]), List[str])
        assert_type(client.get_job("a"), Optional[Job])
        assert_type(client.get_results(["a"]), List[Optional[JobResult[Any]]])
        assert_type(client.wait_for_result("a").get_result(Thumbnail), Thumbnail)
        assert_type(client.submit_and_wait("work", 1), JobResult[Any])
        assert_type(client.as_completed(["a"]), CompletedResults)
        assert_type(client.stats(), ClientStats)
        assert_type(client.queue, BlockingQueue)
        assert_type(client.queue.depths(), QueueDepths)
        for entry in client.queue.jobs("dead"):
            assert_type(entry, JobEntry)
        assert_type(client.queue.enqueue(Job.create("work", 1), if_exists="raise"), str)
        assert_type(client.results, BlockingResultBackend)
        assert_type(client.results.delete_result("a"), bool)
        for result in client.as_completed(["a", "b"]):
            assert_type(result, JobResult[Any])
            yield result.job_id


def failing(client: Client) -> Union[str, Tuple[str, ...]]:
    """Errors have their facts as attributes, and are builtin errors where there is one."""
    try:
        client.submit_and_wait("work", 1)
    except OutcomeUnknownError as error:
        return error.job_id or error.job_ids
    except TimeoutError as error:
        return str(error.whereabouts or "")
    except JobRejectedError as error:
        return error.code
    except JobFailedError as error:
        return error.error
    except JobExistsError as error:
        return error.submitted
    except (AuthenticationError, ConnectionError) as error:
        assert_type(error.permanent, bool)
    except BananasError as error:
        assert_type(error.job_id, Optional[str])
    return ""


BUILTIN_TIMEOUT: Type[builtins.TimeoutError] = TimeoutError
BUILTIN_CONNECTION: Type[builtins.ConnectionError] = ConnectionError
BUILTIN_VALUE: Type[ValueError] = SerializationError
SERVER: Type[ServerError] = JobRejectedError


def refused(client: Client, result: JobResult[int]) -> None:
    """What is wrong is seen before it runs."""
    client.submit_job("work", object())  # type: ignore[arg-type]
    client.submit_job("work", 1, 2)  # type: ignore[arg-type]
    client.submit_job("work", b"1")  # type: ignore[arg-type]
    client.submit_job("work", 1, "urgent")  # type: ignore[arg-type]
    client.submit_job("work", 1, if_exists="skip")  # type: ignore[arg-type]
    client.submit_job_scheduled("work", 1)  # type: ignore[call-overload]
    client.submit_job_scheduled("work", 1, JobPriority.LOW)  # type: ignore[call-overload]
    client.submit_job_scheduled("work", 1, JobPriority.LOW, 60)  # type: ignore[call-overload]
    client.submit_job_scheduled("work", 1, scheduled_for=None)  # type: ignore[call-overload]
    JobSpec("work", 1, "urgent")  # type: ignore[arg-type]
    client.wait_for_result(1)  # type: ignore[arg-type]
    client.submit_jobs([{"name": "work"}])  # type: ignore[list-item]
    text: str = result.get_result()  # type: ignore[assignment]
    print(text)


class BlockingProvider:
    """Gives a password."""

    def get_credentials(self) -> Tuple[str]:
        """Return it."""
        return ("secret",)


class AsyncProvider:
    """Gives a user and a password."""

    async def get_credentials_async(self) -> Tuple[str, str]:
        """Return them."""
        return ("user", "secret")


def credentials() -> None:
    """Providers of either kind, redis-py's among them, and a context."""
    AsyncClient(credential_provider=BlockingProvider())
    AsyncClient(credential_provider=AsyncProvider())
    Client(credential_provider=CredentialProvider(), ssl_context=ssl.create_default_context())


THUMBNAIL = JobType("thumbnail", payload=Report, result=Thumbnail, priority="high", max_retries=1)
SILENT = JobType("silent", payload=Thumbnail)
LISTS = JobType("lists", payload=List[int], result=Dict[str, int])
LOOSE = JobType("loose", payload=Optional[int], result=Optional[str])
HALF = JobType("half", payload=Report, result=Optional[str])
assert_type(THUMBNAIL, JobType[Report, Thumbnail])
assert_type(SILENT, JobType[Thumbnail, None])
assert_type(LISTS, JobType[List[int], Dict[str, int]])
assert_type(HALF, JobType[Report, Any])


async def typed_jobs(client: AsyncClient, report: Report, thumbnail: Thumbnail) -> None:
    """Payload and result are those of the job type."""
    assert_type(await client.call(THUMBNAIL, report), Thumbnail)
    assert_type(await client.call(THUMBNAIL, Report(pages=1), 5), Thumbnail)
    assert_type(await client.call(LISTS, [1]), Dict[str, int])
    assert_type(await client.submit(THUMBNAIL, report, scheduled_for=timedelta(1)), str)
    await client.call(SILENT, thumbnail)
    await client.call(LOOSE, None)
    await client.submit_jobs([THUMBNAIL.spec(report)])
    assert_type(THUMBNAIL.load_result(await client.wait_for_result("a")), Thumbnail)
    await client.call(THUMBNAIL, thumbnail)  # type: ignore[misc]
    await client.submit(SILENT, report)  # type: ignore[misc]
    await client.submit_jobs(_specs(report))


async def _specs(report: Report) -> AsyncIterator[JobSpec]:
    yield THUMBNAIL.spec(report)


def typed_jobs_blocking(client: Client, report: Report, thumbnail: Thumbnail) -> None:
    """The blocking client likewise, but for async iterables."""
    assert_type(client.call(THUMBNAIL, report), Thumbnail)
    assert_type(client.submit(THUMBNAIL, report), str)
    client.call(THUMBNAIL, thumbnail)  # type: ignore[misc]
    client.submit_jobs(_specs(report))  # type: ignore[arg-type]
    queue = LocalQueue()

    @queue.handler(THUMBNAIL)
    def make(payload: Report) -> Thumbnail:
        raise NotImplementedError

    async def make_async(payload: Report) -> Thumbnail:
        raise NotImplementedError

    queue.handle(THUMBNAIL, make)
    queue.handle(THUMBNAIL, make_async)


async def observed(client: AsyncClient, blocking: Client) -> None:
    """Of one client readiness is awaited; what is instrumented keeps its type."""
    assert_type(liveness(client), Health)
    assert_type(readiness(blocking), Health)
    assert_type(await readiness(client, timedelta(seconds=1)), Health)
    assert_type(instrument(client, context_member="trace"), AsyncClient)
    assert_type(instrument(blocking), Client)
    uninstrument(client)
    BananasCollector(client, depths=True, routing_keys=["gpu", None])
    readiness(object())  # type: ignore[call-overload]
