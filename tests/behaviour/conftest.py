"""Each test for both clients on both brokers, and nothing left behind by any."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, AsyncIterator, Awaitable, Callable, Iterator, List, Set, Union

import pytest

from bananas import AsyncClient, Client
from bananas._blocking.loop_thread import running_loop_thread
from bananas.testing import EmbeddedBroker
from tests.behaviour.broker import Broker
from tests.behaviour.facade import AsyncFacade, BlockingFacade
from tests.behaviour.go_worker import GoWorker
from tests.support import FaultProxy, RedisServer, wait_until

Facade = Union[AsyncFacade, BlockingFacade]

_PATIENCE = 10.0
_MOST_CALLS = 250


@pytest.fixture(autouse=True)
async def nothing_left_running(embedded_session: Broker) -> AsyncIterator[None]:
    """No task and no thread outlives its test, the one loop thread excepted."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + _PATIENCE
    while _left_running(before) and time.monotonic() < deadline:
        await asyncio.sleep(0.002)
    assert _left_running(before) == []


def _left_running(before: Set[threading.Thread]) -> List[Any]:
    current = running_loop_thread()
    threads = {thread for thread in threading.enumerate() if not _of_the_loop(thread)} - before
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    if current is not None:
        threads.discard(current.thread)
        tasks |= asyncio.all_tasks(current.loop)
    return [*threads, *tasks]


def _of_the_loop(thread: threading.Thread) -> bool:
    """Whether it is of a loop's default executor, which lasts as long as the loop."""
    # The second on CPython 3.8.
    return thread.name.startswith(("asyncio_", "ThreadPoolExecutor-", "uvloop_"))


@pytest.fixture(scope="session")
def real_session(redis_server: RedisServer) -> Iterator[Broker]:
    """The view of the real Redis."""
    yield from _viewed(redis_server.url())


@pytest.fixture(scope="session")
def embedded_session(embedded_broker: EmbeddedBroker) -> Iterator[Broker]:
    """The view of the embedded broker."""
    yield from _viewed(embedded_broker.url)


def _viewed(url: str) -> Iterator[Broker]:
    broker = Broker(url)
    yield broker
    broker.close()


def _emptied(broker: Broker) -> Iterator[Broker]:
    broker.flush()
    yield broker
    wait_until(lambda: broker.connections() == 0, "no connection of a client is left", _PATIENCE)


@pytest.fixture(params=["embedded", "real"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """An empty broker of either kind."""
    yield from _emptied(request.getfixturevalue(f"{request.param}_session"))


@pytest.fixture
def real_broker(real_session: Broker) -> Iterator[Broker]:
    """The empty real Redis, for what the embedded broker does not have."""
    yield from _emptied(real_session)


@pytest.fixture
def proxy(real_broker: Broker, redis_server: RedisServer) -> Iterator[FaultProxy]:
    """A proxy in front of the real Redis, which holds commands and replies back."""
    with FaultProxy(redis_server) as proxy:
        yield proxy


@pytest.fixture
def worker(broker: Broker) -> GoWorker:
    """A hand that does to jobs what a worker does, step by step."""
    return GoWorker(broker)


@pytest.fixture
def real_worker(real_broker: Broker) -> GoWorker:
    """The same on the real Redis."""
    return GoWorker(real_broker)


@pytest.fixture(params=["async", "blocking"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which client a test runs with."""
    found: str = request.param
    return found


@pytest.fixture
async def connect(kind: str) -> AsyncIterator[Callable[..., Awaitable[Facade]]]:
    """Makes connected clients of the kind at hand, and closes them after the test."""
    made: List[Facade] = []
    executor = ThreadPoolExecutor(_MOST_CALLS, "blocking call")
    loop = asyncio.get_running_loop()

    async def connect(url: str, **settings: Any) -> Facade:
        client: Facade
        if kind == "async":
            client = AsyncFacade(AsyncClient(url, **settings))
            made.append(client)
            await client.connect()
        else:
            make = functools.partial(Client, url, **settings)
            client = BlockingFacade(await loop.run_in_executor(executor, make), executor)
            made.append(client)
        return client

    yield connect
    for client in made:
        await client.close()
    executor.shutdown()


@pytest.fixture
async def client(broker: Broker, connect: Callable[..., Awaitable[Facade]]) -> Facade:
    """A connected client of either kind on either broker."""
    return await connect(broker.url)


@pytest.fixture
async def async_client(broker: Broker) -> AsyncIterator[AsyncClient]:
    """A connected AsyncClient, for what only it has, on either broker."""
    async with AsyncClient(broker.url) as client:
        yield client
