"""Iterables given to a submit of many: where they run, and what is told when they raise."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from datetime import timedelta
from typing import Any, AsyncIterator, Callable, Iterable, Iterator, List, Optional

import pytest

from bananas import AsyncClient, Client, ClientClosedError, JobSpec
from tests.behaviour.broker import Broker
from tests.behaviour.conftest import Facade
from tests.support import wait_until

PATIENCE = 60.0


class ForeignError(Exception):
    """An error of the caller's own."""


class SealedError(Exception):
    """One that takes no attributes."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(name)


class Stop(BaseException):
    """What ends a program, as Ctrl-C does."""


def raising(error: BaseException, after: int) -> Iterator[JobSpec]:
    """Give some specs and raise."""
    for number in range(after):
        yield JobSpec("work", number)
    raise error


@pytest.mark.parametrize(
    "error", [ForeignError("boom"), KeyError("x"), OSError(5, "disk")], ids=repr
)
@pytest.mark.parametrize(("after", "sent"), [(0, 0), (700, 500), (1600, 1500)])
async def test_a_foreign_error_passes_and_tells_what_was_sent(
    client: Facade, broker: Broker, error: Exception, after: int, sent: int
) -> None:
    """Whatever the iterable raises is raised, unchanged, with the ids of what was queued."""
    with pytest.raises(type(error)) as caught:
        await client.submit_jobs(raising(error, after))
    assert caught.value is error
    submitted: List[str] = list(error.submitted)  # type: ignore[attr-defined]
    assert len(submitted) == sent
    assert broker.queued("queue:normal") == submitted


async def test_an_error_that_takes_no_attributes(client: Facade, broker: Broker) -> None:
    """It passes all the same, and what was sent is queued."""
    with pytest.raises(SealedError):
        await client.submit_jobs(raising(SealedError(), 600))
    assert len(broker.queued("queue:normal")) == 500


def test_it_runs_in_the_callers_thread(real_broker: Broker) -> None:
    """A Django queryset, or a cursor of sqlite3, may be used in its own thread only."""
    threads: List[threading.Thread] = []

    def specs() -> Iterator[JobSpec]:
        for number in range(1100):
            threads.append(threading.current_thread())
            yield JobSpec("work", number)

    with Client(real_broker.url) as client:
        assert len(client.submit_jobs(specs())) == 1100
        assert len(client.submit_jobs(list(specs()))) == 1100
        ids = client.submit_jobs([JobSpec("work", 1)])
        assert [job and job.id for job in client.get_jobs(_noted(ids, threads))] == ids
        assert client.get_results(_noted(ids, threads)) == [None]
        client.as_completed(_noted(ids, threads)).close()
    assert set(threads) == {threading.current_thread()}


def _noted(ids: List[str], threads: List[threading.Thread]) -> Iterator[str]:
    for job_id in ids:
        threads.append(threading.current_thread())
        yield job_id


@pytest.mark.parametrize("call", [
    lambda client, slow: client.submit_jobs(JobSpec("work", number) for number in slow),
    lambda client, slow: client.get_jobs(f"job-{number}" for number in slow),
    lambda client, slow: client.get_results(f"job-{number}" for number in slow),
    lambda client, slow: client.as_completed(f"job-{number}" for number in slow).close(),
], ids=["submit_jobs", "get_jobs", "get_results", "as_completed"])  # fmt: skip
def test_a_slow_one_holds_up_nobody_else(
    real_broker: Broker, call: Callable[[Client, Iterator[int]], Any]
) -> None:
    """While one thread waits for its iterable, others submit and read."""
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[int]:
        yield 1
        begun.set()
        assert go_on.wait(PATIENCE)
        yield 2

    with Client(real_broker.url) as client:
        other = threading.Thread(target=call, args=(client, slow()))
        other.start()
        try:
            assert begun.wait(PATIENCE)
            job_id = client.submit_job("work", 1)
            assert client.get_job(job_id) is not None
        finally:
            go_on.set()
            other.join(PATIENCE)
        assert not other.is_alive()


SUBMITS = [
    lambda client: client.submit_job("work", {1}),
    lambda client: client.submit_job("work", {1}, job_id="chosen"),
    lambda client: client.submit_job_scheduled("work", {1}, scheduled_for=timedelta(hours=1)),
    lambda client: client.submit_jobs([JobSpec("work", {1})]),
    lambda client: client.submit_and_wait("work", {1}, timeout=0),
    lambda client: client.submit_and_wait("work", {1}, timeout=0.1),
]


@pytest.mark.parametrize("submit", SUBMITS)
def test_payloads_are_converted_in_the_callers_thread(
    real_broker: Broker, submit: Callable[[Client], Any]
) -> None:
    """`json_default` may use what is bound to its thread, and may use the client itself."""
    threads: List[threading.Thread] = []

    def convert(value: Any) -> Any:
        threads.append(threading.current_thread())
        assert client.get_job("none") is None
        return list(value)

    with Client(real_broker.url, json_default=convert) as client:
        with contextlib.suppress(TimeoutError):
            submit(client)
    assert threads == [threading.current_thread()]
    assert len(real_broker.command("KEYS", "bananas:job:*")) == 1


def test_it_may_use_the_client_itself(real_broker: Broker) -> None:
    """A generator may submit and read jobs between those that it gives."""
    with Client(real_broker.url) as client:

        def specs() -> Iterator[JobSpec]:
            for number in range(600):
                if number % 200 == 0:
                    assert client.get_job(client.submit_job("work", number)) is not None
                yield JobSpec("work", number)

        client.submit_jobs(specs())
    assert len(real_broker.queued("queue:normal")) == 603


def test_it_is_not_read_ahead(real_broker: Broker) -> None:
    """Specs are taken as they are sent: of many jobs only some are held at a time."""
    most = 0
    with Client(real_broker.url) as client:

        def specs() -> Iterator[JobSpec]:
            nonlocal most
            for number in range(4000):
                if number % 500 == 499:
                    most = max(most, number - real_broker.command("LLEN", "bananas:queue:normal"))
                yield JobSpec("work", number)

        client.submit_jobs(specs())
    assert most <= 1999  # two transactions on their way, one made, one being made


def test_ctrl_c_in_it(real_broker: Broker) -> None:
    """What was sent is queued, as whole transactions, and the client goes on."""
    with Client(real_broker.url) as client:
        assert client.get_job("none") is None  # there is a connection for submits of many
        with pytest.raises(Stop):
            client.submit_jobs(raising(Stop(), 1200))
        assert client.submit_job("work", 1) in real_broker.queued("queue:normal")
        assert client.submit_jobs(JobSpec("work", number) for number in range(3))
    # How many of them were sent by then depends on how soon the first was answered.
    assert len(real_broker.queued("queue:normal")) - 4 in (0, 500, 1000)


def test_closing_in_it(real_broker: Broker) -> None:
    """A client that is closed meanwhile says so, and which jobs are queued for certain."""
    client = Client(real_broker.url)
    assert client.get_job("none") is None  # there is a connection for submits of many

    def close() -> None:
        wait_until(lambda: real_broker.queued("queue:normal"), "the first ones are queued")
        client.close()

    with pytest.raises(ClientClosedError) as caught:
        client.submit_jobs(raising_after(1100, close))
    queued = set(real_broker.queued("queue:normal"))
    assert set(caught.value.submitted) <= queued
    assert len(queued) in (500, 1000)


def raising_after(count: int, call: Callable[[], None]) -> Iterator[JobSpec]:
    """Give some specs, make a call, and give more."""
    for number in range(2 * count):
        if number == count:
            call()
        yield JobSpec("work", number)


def test_a_misused_client_takes_nothing_from_it(real_broker: Broker) -> None:
    """A closed client refuses before it iterates."""
    client = Client(real_broker.url)
    client.close()
    specs = iter([JobSpec("work", 1)])
    with pytest.raises(ClientClosedError):
        client.submit_jobs(specs)
    assert list(specs) != []


# -- async iterables -----------------------------------------------------------------------------


class Source:
    """Gives specs as an async generator does, and knows how it ended."""

    def __init__(self, specs: Iterable[Any], error: Optional[BaseException] = None) -> None:
        self.ended = ""
        self.given = 0
        self.stalled = asyncio.Event()
        self._specs = specs
        self._error = error

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            for spec in self._specs:
                await asyncio.sleep(0)
                self.given += 1
                yield spec
            if self._error is not None:
                raise self._error
        except GeneratorExit:
            self.ended = "closed"
            await asyncio.sleep(0)  # as a database's cursor may have to
            raise
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        self.ended = self.ended or "exhausted"

    async def stall(self) -> AsyncIterator[Any]:
        """Give all, and then nothing more for ever."""
        async for spec in self:
            yield spec
        self.stalled.set()
        await asyncio.Event().wait()


async def test_async_iterables(async_client: AsyncClient, broker: Broker) -> None:
    """Jobs of an async iterable are queued in its order, in as many transactions as needed."""
    source = Source(JobSpec("work", number) for number in range(1203))
    ids = await async_client.submit_jobs(source)
    assert broker.queued("queue:normal") == ids
    assert len(ids) == 1203
    assert source.ended == "exhausted"
    assert await async_client.submit_jobs(Source([])) == []


@pytest.mark.parametrize(("before", "sent"), [(0, 0), (600, 500)])
@pytest.mark.parametrize("wrong", [{"name": "work"}, JobSpec("", 1), JobSpec("work", {1})])
async def test_a_wrong_spec_of_an_async_iterable(
    async_client: AsyncClient, broker: Broker, before: int, sent: int, wrong: Any
) -> None:
    """Its place is told, with what was sent before, and the generator is closed."""
    source = Source([*(JobSpec("work", number) for number in range(before)), wrong])
    with pytest.raises(ValueError, match=rf"^specs\[{before}\]") as caught:
        await async_client.submit_jobs(source)
    submitted: List[str] = list(caught.value.submitted)  # type: ignore[attr-defined]
    assert broker.queued("queue:normal") == submitted
    assert len(submitted) == sent
    assert source.ended == "closed"


async def test_a_foreign_error_of_an_async_iterable(
    async_client: AsyncClient, broker: Broker
) -> None:
    """It passes unchanged, and tells what was queued."""
    error = ForeignError("boom")
    with pytest.raises(ForeignError) as caught:
        await async_client.submit_jobs(Source([JobSpec("work", 1)] * 700, error))
    assert caught.value is error
    assert broker.queued("queue:normal") == list(error.submitted)  # type: ignore[attr-defined]


async def test_cancelling_a_submit_ends_its_async_iterable(
    async_client: AsyncClient, broker: Broker
) -> None:
    """The generator ends with the call, wherever it was; what was sent is queued once."""
    source = Source(JobSpec("work", number) for number in range(700))
    task = asyncio.ensure_future(async_client.submit_jobs(source.stall()))
    await asyncio.wait_for(source.stalled.wait(), PATIENCE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.ended == "exhausted"
    assert len(set(broker.queued("queue:normal"))) in (0, 500)


async def test_a_closed_client_closes_the_async_generator(real_broker: Broker) -> None:
    """A submit that ends for another reason leaves no generator behind."""
    client = AsyncClient(real_broker.url)
    await client.close()
    source = Source([JobSpec("work", 1)] * 600)
    with pytest.raises(ClientClosedError):
        await client.submit_jobs(source)
    assert source.ended == "closed"


async def test_an_async_iterable_is_not_read_ahead(
    async_client: AsyncClient, broker: Broker
) -> None:
    """Specs are taken as they are sent."""
    most = 0

    def specs() -> Iterator[JobSpec]:
        nonlocal most
        for number in range(4000):
            if number % 500 == 499:
                most = max(most, number - broker.command("LLEN", "bananas:queue:normal"))
            yield JobSpec("work", number)

    await async_client.submit_jobs(Source(specs()))
    assert most <= 1999


def test_the_blocking_client_takes_no_async_iterable(real_broker: Broker) -> None:
    """It says so, and which client does."""
    with Client(real_broker.url) as client:
        with pytest.raises(
            ValueError, match=r"^specs is an async iterable \(Source\).*AsyncClient"
        ):
            client.submit_jobs(Source([JobSpec("work", 1)]))  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"^job_ids must be a list .*, not Source, which only"):
            client.get_jobs(Source(["a"]))  # type: ignore[arg-type]
