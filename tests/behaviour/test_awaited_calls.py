"""A blocking client whose calls are awaited, in one event loop after another."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import threading
from datetime import datetime, timedelta, timezone
from typing import Any, Awaitable, Callable, Dict, Iterator, List, Type

import pytest

from bananas import (
    AsyncClient,
    Client,
    ClientClosedError,
    Job,
    JobResult,
    JobSpec,
    JobStatus,
    JobType,
    TimeoutError,
)
from bananas._awaited_calls import AwaitedClient
from bananas.client import AsCompleted, JobChanges
from bananas.dead_letters import DeadLetters
from bananas.queue import RedisQueue
from bananas.result_backend import RedisResultBackend
from tests.behaviour.broker import Broker
from tests.behaviour.go_worker import GoWorker
from tests.support import wait_until

RESULT: JobResult[Any] = JobResult("z", JobStatus.COMPLETED, result=1)
SQUARE: JobType[int, int] = JobType("square", payload=int, result=int)


@pytest.fixture
def blocking(real_broker: Broker) -> Iterator[Client]:
    with Client(real_broker.url) as client:
        yield client


@pytest.fixture
def client(blocking: Client) -> AsyncClient:
    return AwaitedClient(blocking)


async def _first(steps: Any) -> Any:
    async for item in steps:
        return item
    return None


async def _watched(client: AsyncClient) -> str:
    async with client.watch("a", 5) as changes:
        assert isinstance(changes, JobChanges)
        return [change.kind async for change in changes][-1]


async def _completed(client: AsyncClient) -> List[str]:
    async with client.as_completed(iter(["a"]), 5) as results:
        assert isinstance(results, AsCompleted)
        return [result.job_id async for result in results]


async def _repaired(client: AsyncClient) -> Any:
    return await client.repair(await client.doctor(observe=0))


async def _specs(*names: str) -> Any:
    for name in names:
        yield JobSpec(name, 1)


#: By class and name, a call. Of the jobs "a" has its result, "b" is queued, "d" is a dead letter.
CALLS: Dict[Type[Any], Dict[str, Callable[[Any], Awaitable[Any]]]] = {
    AsyncClient: {
        "connect": lambda c: c.connect(),
        "submit_job": lambda c: c.submit_job("work", [1], job_id="c"),
        "submit_job_scheduled": lambda c: c.submit_job_scheduled(
            "work", 1, scheduled_for=timedelta(hours=1)
        ),
        "submit_jobs": lambda c: c.submit_jobs(_specs("x", "y")),
        "submit_and_wait": lambda c: c.submit_and_wait("work", 1, timeout=5, job_id="a"),
        "submit": lambda c: c.submit(SQUARE, 3),
        "call": lambda c: c.call(SQUARE, 3, 5, job_id="a"),
        "get_job": lambda c: c.get_job("b"),
        "get_jobs": lambda c: c.get_jobs(iter(["b"])),
        "get_result": lambda c: c.get_result("a"),
        "get_results": lambda c: c.get_results(iter(["a"])),
        "locate": lambda c: c.locate("b"),
        "explain": lambda c: c.explain("b"),
        "wait_for_result": lambda c: c.wait_for_result("a", 5),
        "as_completed": _completed,
        "watch": _watched,
        "cancel": lambda c: c.cancel("b"),
        "reschedule": lambda c: c.reschedule("b", timedelta(hours=1)),
        "delete": lambda c: c.delete("b"),
        "requeue": lambda c: c.requeue("d"),
        "recover": lambda c: c.recover(3600, dry_run=True),
        "doctor": lambda c: c.doctor(observe=0),
        "repair": _repaired,
    },
    RedisQueue: {
        "enqueue": lambda q: q.enqueue(Job.create("work", 1)),
        "enqueue_scheduled": lambda q: q.enqueue_scheduled(Job.create("w", 1), timedelta(hours=1)),
        "get_job": lambda q: q.get_job("b"),
        "get_jobs": lambda q: q.get_jobs({"b"}),
        "depths": lambda q: q.depths(iter(["eu"])),
        "jobs": lambda q: _first(q.jobs("queued")),
    },
    DeadLetters: {
        "jobs": lambda d: _first(d.jobs()),
        "requeue": lambda d: d.requeue(name="work"),
        "purge": lambda d: d.purge(name="work", dry_run=True),
    },
    RedisResultBackend: {
        "store_result": lambda r: r.store_result(RESULT),
        "get_result": lambda r: r.get_result("a"),
        "get_results": lambda r: r.get_results(["a"]),
        "wait_for_result": lambda r: r.wait_for_result("a", 5),
        "delete_result": lambda r: r.delete_result("a"),
    },
}
PARTS: Dict[Type[Any], Callable[[AsyncClient], Any]] = {
    AsyncClient: lambda client: client,
    RedisQueue: lambda client: client.queue,
    DeadLetters: lambda client: client.dead_letters,
    RedisResultBackend: lambda client: client.results,
}


def test_every_call_is_listed() -> None:
    """No public method of the client, or of a part of it, is left out."""
    for cls, calls in CALLS.items():
        methods = {name for name, value in vars(cls).items() if inspect.isfunction(value)}
        public = {name for name in methods if not name.startswith("_")}
        assert public - {"close", "aclose", "stats"} == set(calls)


def test_a_call_answers_as_that_of_an_async_client(
    real_broker: Broker, client: AsyncClient
) -> None:
    """Whatever loop it is awaited in, a call gives what ``AsyncClient`` gives in its own."""

    async def ask(asked: AsyncClient, cls: Type[Any], name: str) -> str:
        found = await CALLS[cls][name](PARTS[cls](asked))
        return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9.]+", "*", repr(found))

    async def as_usual(cls: Type[Any], name: str) -> str:
        async with AsyncClient(real_broker.url) as usual:
            return await ask(usual, cls, name)

    for cls, calls in CALLS.items():
        for name in calls:
            answers = []
            for program in (ask(client, cls, name), as_usual(cls, name)):
                _prepare(real_broker)
                answers.append(asyncio.run(program))
            assert answers[0] == answers[1], f"{cls.__name__}.{name}"


def _prepare(broker: Broker) -> None:
    broker.flush()
    document = {
        "id": "b", "name": "work", "payload": 1, "status": "pending", "priority": "normal",
        "created_at": "2025-01-15T10:30:00Z", "updated_at": "2025-01-15T10:30:00Z",
        "attempts": 0, "max_retries": 3,
    }  # fmt: skip
    broker.command("SET", "bananas:job:b", json.dumps(document))
    broker.command("LPUSH", "bananas:queue:normal", "b")
    dead = {**document, "id": "d", "status": "failed", "attempts": 3, "error": "boom"}
    broker.command("SET", "bananas:job:d", json.dumps(dead))
    broker.command("LPUSH", "bananas:queue:dead", "d")
    broker.command("SET", "bananas:job:a", json.dumps({**document, "status": "completed"}))
    GoWorker(broker).store_success("a", "9", at=datetime(2025, 1, 15, tzinfo=timezone.utc))


def test_loops_at_the_same_time_share_the_connections(
    real_broker: Broker, client: AsyncClient
) -> None:
    """Event loops of several threads wait on one connection, as those of a WSGI server do."""
    results: List[Any] = []

    def view(job_id: str) -> None:
        results.append(asyncio.run(client.wait_for_result(job_id, 10)).get_result(int))

    threads = [threading.Thread(target=view, args=(job_id,)) for job_id in "1234"]
    for thread in threads:
        thread.start()
    wait_until(lambda: client.stats().waits == 4, "all of them wait", 10)
    for job_id in "1234":
        GoWorker(real_broker).store_success(job_id, job_id)
    for thread in threads:
        thread.join(10)
    assert sorted(results) == [1, 2, 3, 4]
    assert real_broker.connections() <= 3


def test_cancelling_an_await_cancels_the_call(real_broker: Broker, client: AsyncClient) -> None:
    """A wait that its caller gives up is given up in the loop's thread too."""

    async def view() -> None:
        wait = asyncio.ensure_future(client.wait_for_result("never", None))
        while client.stats().waits == 0:
            await asyncio.sleep(0.001)
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait

    asyncio.run(view())
    wait_until(lambda: client.stats().waits == 0, "nobody waits", 10)


def test_an_iterable_is_read_in_the_thread_of_its_caller(client: AsyncClient) -> None:
    """A generator, a payload's converter and a payload itself never meet another thread."""
    threads = []

    def specs() -> Iterator[JobSpec]:
        threads.append(threading.get_ident())
        yield JobSpec("work", 1)

    asyncio.run(client.submit_jobs(specs()))
    assert threads == [threading.get_ident()]


def test_a_closed_client_refuses(blocking: Client, client: AsyncClient) -> None:
    """Closing either closes both; a call says so, whatever it would do."""

    async def view() -> None:
        await client.close()
        for cls, calls in CALLS.items():
            for call in calls.values():
                with pytest.raises(ClientClosedError):
                    await call(PARTS[cls](client))

    asyncio.run(view())
    with pytest.raises(ClientClosedError):
        blocking.submit_job("work", 1)


def test_an_error_arrives_as_it_was_raised(client: AsyncClient) -> None:
    """What a call raises in the loop's thread, its caller gets, with the facts."""
    with pytest.raises(TimeoutError) as caught:
        asyncio.run(client.wait_for_result("nobody", 0.01))
    assert caught.value.job_id == "nobody"
    with pytest.raises(ValueError, match="job_id"):
        asyncio.run(client.locate("no id"))
