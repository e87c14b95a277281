"""A client's life, from its making to its end."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any, Awaitable, Callable

import pytest

from bananas import (
    AsyncClient,
    Client,
    ClientClosedError,
    ConnectionError,
    JobPriority,
    JobSpec,
)
from tests.behaviour.broker import Broker
from tests.behaviour.conftest import Facade
from tests.behaviour.go_worker import GoWorker
from tests.behaviour.waiting import subscribed, until
from tests.support.ports import free_port

Connect = Callable[..., Awaitable[Facade]]

CLOSED = "^the client is closed; make a new one$"


# -- making and connecting -----------------------------------------------------------------------


def test_constructor_does_nothing(broker: Broker) -> None:
    """Making an AsyncClient needs no loop, and connects to nothing."""
    AsyncClient(broker.url)
    AsyncClient.from_sentinel([("127.0.0.1", 1)], "primary")
    assert broker.connections() == 0


async def test_first_call_connects(broker: Broker, worker: GoWorker) -> None:
    """A client that was never told to connect does so with its first call."""
    client = AsyncClient(broker.url)
    try:
        assert client.stats().connections == 0
        await client.submit_job("work", 1, job_id="a")
        worker.store_success("a", "7")
        assert (await client.wait_for_result("a")).get_result() == 7
    finally:
        await client.close()


async def test_first_call_is_a_wait(broker: Broker, worker: GoWorker) -> None:
    """The first call may be a wait."""
    client = AsyncClient(broker.url)
    wait = await subscribed(broker, "a", client.wait_for_result("a"))
    worker.store_success("a", "7")
    assert (await wait).get_result() == 7
    await client.close()


async def test_connect_again(client: Facade, broker: Broker) -> None:
    """Connecting again makes no second connection; threads that do so at once have one each, of
    which the ninth and all others share the loop's."""
    await client.connect()
    assert broker.connections() == (await client.stats()).connections == 1
    await asyncio.gather(*(client.connect() for _ in range(10)))
    most = 8 + 1 if client.blocking else 1
    assert broker.connections() == (await client.stats()).connections <= most


async def test_many_callers(client: Facade, broker: Broker) -> None:
    """Any number of concurrent calls share one connection, but for submits of blocking ones."""
    ids = await asyncio.gather(*(client.submit_job("work", n) for n in range(100)))
    jobs = await asyncio.gather(*(client.get_job(job_id) for job_id in ids))
    assert [job.payload for job in jobs] == list(range(100))
    assert broker.connections() <= (8 + 1 if client.blocking else 1)


async def test_nobody_there(connect: Connect) -> None:
    """A server that can't be reached is one clear error, and nothing is left of the client."""
    port = free_port()
    expected = f"^can't reach Redis at redis://127.0.0.1:{port}/0: connection refused$"
    with pytest.raises(ConnectionError, match=expected) as caught:
        await connect(f"redis://127.0.0.1:{port}")
    assert not caught.value.permanent
    assert isinstance(caught.value, OSError)


async def test_nobody_there_on_entering() -> None:
    """Where ``async with`` can't connect, nothing is left of the client either."""
    with pytest.raises(ConnectionError):
        async with AsyncClient(f"redis://127.0.0.1:{free_port()}"):
            raise AssertionError("it can't have connected")
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_nobody_there_and_then_somebody(broker: Broker) -> None:
    """A failed ``connect()`` is no end: it can be called again."""
    client = AsyncClient(f"redis://127.0.0.1:{free_port()}")
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await client.connect()
    await client.close()


# -- closing -------------------------------------------------------------------------------------


async def test_close_again(client: Facade, broker: Broker) -> None:
    """Closing again, at once, and by several tasks does nothing more."""
    await client.submit_job("work", 1)
    await asyncio.gather(*(client.close() for _ in range(5)))
    await client.close()
    await until(lambda: broker.connections() == 0, "the connections are gone")


async def test_close_before_anything() -> None:
    """A client that did nothing can be closed, and stays closed."""
    client = AsyncClient("redis://127.0.0.1:1")
    await client.aclose()
    await client.aclose()
    with pytest.raises(ClientClosedError, match=CLOSED):
        await client.connect()


async def test_close_from_another_task(async_client: AsyncClient, broker: Broker) -> None:
    """A client may be closed by a task that has never used it."""
    await async_client.submit_job("work", 1)
    wait = await subscribed(broker, "a", async_client.wait_for_result("a"))
    await asyncio.ensure_future(async_client.close())
    with pytest.raises(ClientClosedError):
        await wait
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("turns", range(1, 9))
async def test_cancelled_close(broker: Broker, turns: int) -> None:
    """A ``close()`` that is cancelled, at whatever turn of the loop, leaves no task running."""
    before = asyncio.all_tasks()
    client = AsyncClient(broker.url)
    wait = await subscribed(broker, "a", client.wait_for_result("a"))
    closing = asyncio.ensure_future(client.close())
    for _ in range(turns):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    with pytest.raises(ClientClosedError):
        await wait
    await until(lambda: asyncio.all_tasks() == before, "no task is left")
    await client.close()


async def test_closing_ends_what_is_under_way(async_client: AsyncClient) -> None:
    """Submits and reads that are under way end with the reason when the client is closed."""
    submit = asyncio.ensure_future(async_client.submit_job("work", 1, job_id="a"))
    read = asyncio.ensure_future(async_client.get_job("a"))
    await asyncio.sleep(0)
    await async_client.close()
    with pytest.raises(ClientClosedError, match="^the client was closed; job a: ") as caught:
        await submit
    assert caught.value.job_id == "a"
    with pytest.raises(ClientClosedError, match="^the client was closed$"):
        await read


async def test_closed_client_that_is_asked_for_nothing(client: Facade) -> None:
    """A call says that the client is closed, too, where it has nothing to do."""
    await client.close()
    for call in (client.get_jobs, client.get_results, client.submit_jobs):
        with pytest.raises(ClientClosedError, match=CLOSED):
            await call([])


async def test_closed_client(client: Facade, broker: Broker) -> None:
    """Every call on a closed client says that it is closed."""
    await client.close()
    calls = [
        client.connect,
        lambda: client.submit_job("work", 1),
        lambda: client.submit_job_scheduled("work", 1, JobPriority.LOW, 5),
        lambda: client.submit_jobs([JobSpec("work", 1)]),
        lambda: client.submit_and_wait("work", 1),
        lambda: client.get_job("a"),
        lambda: client.get_jobs(["a"]),
        lambda: client.get_result("a"),
        lambda: client.get_results(["a"]),
        lambda: client.wait_for_result("a"),
    ]
    for call in [*calls[:2], *calls[3:]]:
        with pytest.raises(ClientClosedError, match=CLOSED):
            await call()
    with pytest.raises(ClientClosedError, match=CLOSED):
        await (await client.as_completed(["a"])).__anext__()
    assert broker.keys() == []


# -- the context manager -------------------------------------------------------------------------


class Boom(Exception):
    """An error of a user's."""


async def test_users_exception(broker: Broker) -> None:
    """What a user raises inside ``async with`` comes out as it is."""
    boom = Boom()
    waits = []

    async def body() -> None:
        async with AsyncClient(broker.url) as client:
            waits.append(await subscribed(broker, "a", client.wait_for_result("a")))
            raise boom

    with pytest.raises(Boom) as caught:
        await body()
    assert caught.value is boom
    assert (boom.__cause__, boom.__context__) == (None, None)
    with pytest.raises(ClientClosedError):
        await waits[0]


async def test_cancelled_inside(broker: Broker) -> None:
    """A task that is cancelled inside ``async with`` ends cancelled."""
    inside = asyncio.Event()

    async def body() -> None:
        async with AsyncClient(broker.url) as client:
            inside.set()
            await client.wait_for_result("a", None)

    task = asyncio.ensure_future(body())
    await inside.wait()
    await until(lambda: broker.subscribers("a"), "it waits")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_entered_and_left_in_different_tasks(broker: Broker, worker: GoWorker) -> None:
    """A client may be entered in one task, used in a second, and left in a third."""
    client = AsyncClient(broker.url)
    assert await asyncio.ensure_future(client.__aenter__()) is client
    worker.store_success("a", "7")
    assert (await asyncio.ensure_future(client.wait_for_result("a"))).get_result() == 7
    await asyncio.ensure_future(client.__aexit__(None, None, None))


def test_blocking_context_manager(broker: Broker) -> None:
    """The blocking client is connected when it is made, and closed when it is left."""
    with Client(broker.url) as client:
        assert broker.connections() == 1
        client.submit_job("work", 1)
    with pytest.raises(ClientClosedError, match=CLOSED):
        client.submit_job("work", 1)


def test_users_exception_in_a_blocking_block(broker: Broker) -> None:
    """What a user raises inside ``with`` comes out as it is."""
    boom = Boom()

    def body() -> None:
        with Client(broker.url):
            raise boom

    with pytest.raises(Boom) as caught:
        body()
    assert caught.value is boom


# -- loops and threads ---------------------------------------------------------------------------

OTHER_LOOP = (
    "^this client belongs to another event loop, which has ended: close.. the client before "
)


def test_second_loop(broker: Broker) -> None:
    """A client whose loop has ended says so in another loop, whatever the call."""
    client = AsyncClient(broker.url)

    async def use() -> None:
        await client.submit_job("work", 1)

    async def misuse() -> None:
        calls = [
            client.connect,
            lambda: client.submit_job("work", 1),
            lambda: client.get_job("a"),
            lambda: client.wait_for_result("a", None),
            lambda: client.submit_and_wait("work", 1),
            client.as_completed(["a"]).__anext__,
        ]
        for call in calls:
            with pytest.raises(RuntimeError, match=OTHER_LOOP):
                await call()

    asyncio.run(use())
    asyncio.run(misuse())
    asyncio.run(client.close())
    assert len(broker.queued("queue:normal")) == 1


async def test_blocking_call_in_a_loop(broker: Broker) -> None:
    """A blocking call on a thread whose loop is running is refused, since it would stop it."""
    expected = (
        "^a blocking call would stop this thread's running event loop; "
        "use AsyncClient, or asyncio.to_thread$"
    )
    with pytest.raises(RuntimeError, match=expected):
        Client(broker.url)


def test_any_thread(broker: Broker) -> None:
    """A blocking client is shared by threads, and each gets its own replies."""
    with Client(broker.url) as client:
        found = {}

        def use(number: int) -> None:
            job_id = client.submit_job("work", number)
            found[number] = client.get_job(job_id)

        threads = [threading.Thread(target=use, args=(number,)) for number in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert {number: job.payload for number, job in found.items() if job} == {
            number: number for number in range(32)
        }
        assert broker.connections() <= 8 + 1


def test_several_blocking_clients_share_a_thread(broker: Broker) -> None:
    """However many blocking clients there are, one thread serves them."""
    clients = [Client(broker.url) for _ in range(5)]
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("bananas loop") == 1
    for client in clients:
        client.close()


@pytest.mark.filterwarnings("ignore:unclosed client:ResourceWarning")
async def test_forgotten_blocking_client(broker: Broker) -> None:
    """A blocking client that nobody closed lets its connections go when it is forgotten."""
    loop = asyncio.get_running_loop()
    result = await loop.run_in_executor(None, _use_and_forget, broker.url)
    assert result is None
    gc.collect()
    await until(lambda: broker.connections() == 0, "the connections are gone")


def _use_and_forget(url: str) -> Any:
    return Client(url).get_job("none")


# -- what it says of itself ----------------------------------------------------------------------


def test_repr() -> None:
    """A client shows where it connects to, and never its credentials."""
    client = AsyncClient("redis://me:secret@example.org:7000/2", routing_key="eu")
    assert repr(client) == "<AsyncClient redis://example.org:7000/2 routing_key='eu'>"
    sentinel = AsyncClient.from_sentinel([("h", 1)], "primary", "redis://me:secret@x")
    assert repr(sentinel) == "<AsyncClient sentinel 'primary' routing_key=None>"


def test_blocking_repr(broker: Broker) -> None:
    """So does a blocking one."""
    with Client(broker.url) as client:
        assert repr(client) == f"<Client {broker.url} routing_key=None>"


async def test_stats(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """The counters tell what a client has, and what it has done."""
    stats = await client.stats()
    assert (stats.connected, stats.connections, stats.reconnects) == (True, 1, 0)
    assert (stats.listening, stats.last_pong_age, stats.waits) == (False, None, 0)
    assert (stats.results_by_notification, stats.results_by_safety_read) == (0, 0)
    job_id = await client.submit_job("work", 1)
    wait = await subscribed(broker, job_id, client.wait_for_result(job_id))
    stats = await client.stats()
    assert (stats.waits, stats.listening) == (1, True)
    assert stats.last_pong_age >= 0
    assert stats.pipelines >= 1
    worker.store_success(job_id)
    await wait
    stats = await client.stats()
    assert stats.waits == 0
    assert stats.results_by_notification + stats.results_by_safety_read == 1


async def test_stats_of_a_closed_client(async_client: AsyncClient) -> None:
    """The counters of a closed client say that it has nothing."""
    await async_client.submit_job("work", 1)
    await async_client.close()
    stats = async_client.stats()
    assert (stats.connected, stats.listening, stats.waits) == (False, False, 0)
    assert (stats.connections, stats.open_requests) == (1, 0)


# -- a primary that Sentinel manages -------------------------------------------------------------


@pytest.mark.parametrize(
    ("sentinels", "service", "text"),
    [
        ([], "p", r"sentinels must be a list of \(host, port\) pairs or URLs, and not empty"),
        ("h:1", "p", r"sentinels must be a list of \(host, port\) pairs or URLs, and not empty"),
        ([("h", 1), 7], "p", r"sentinels\[1\] must be a \(host, port\) pair or a URL, not int"),
        ([("h", 1, 2)], "p", r"sentinels\[0\] must be a \(host, port\) pair or a URL"),
        ([("h", "x")], "p", r"sentinels\[0\] must have a port from 1 to 65535"),
        (
            ["http://h"],
            "p",
            r"sentinels\[0\] must start with .*, or be a pair \(host, port\)",
        ),
        ([("h", 1)], "", "service_name must be what the sentinels call the primary, without sp.*"),
        ([("h", 1)], "a b", "service_name must be what the sentinels call the primary, without .*"),
        ([("h", 1)], 7, "service_name must be a string, not int"),
    ],
)
@pytest.mark.parametrize("cls", [AsyncClient, Client])
def test_sentinels_that_are_refused(cls: Any, sentinels: Any, service: Any, text: str) -> None:
    """Sentinels that can't be are refused at construction."""
    with pytest.raises(ValueError, match=f"^{text}$"):
        cls.from_sentinel(sentinels, service)


async def test_sentinels_that_nobody_reaches() -> None:
    """Where no sentinel answers, each is named with its reason."""
    ports = [free_port(), free_port()]
    client = AsyncClient.from_sentinel(
        [("127.0.0.1", ports[0]), f"redis://:secret@[::1]:{ports[1]}"], "primary"
    )
    with pytest.raises(ConnectionError, match="^no sentinel names a primary for 'pr") as caught:
        await client.connect()
    for port in ports:
        assert f":{port}/0: " in str(caught.value)
    assert "secret" not in str(caught.value)
    await client.close()


async def test_server_that_is_no_sentinel(real_broker: Broker) -> None:
    """A plain server in the place of a sentinel is said to refuse the question."""
    client = AsyncClient.from_sentinel([real_broker.url], "primary")
    # Redis 6.2 quotes with backticks.
    expected = f": the sentinel at {real_broker.url} refuses: ERR unknown command ['`]SENTINEL['`]$"
    try:
        with pytest.raises(ConnectionError, match=expected):
            await client.connect()
    finally:
        await client.close()
