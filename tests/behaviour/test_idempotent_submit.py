"""A job id of the caller's choice, submitted once or again."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any, Awaitable, Callable

import pytest

from bananas import JobExistsError, JobPriority, JobSpec
from tests.behaviour.broker import Broker
from tests.behaviour.conftest import Facade
from tests.behaviour.go_worker import GoWorker

Connect = Callable[..., Awaitable[Facade]]


async def test_again(client: Facade, broker: Broker) -> None:
    """A job that exists is left as it is, and is not queued again."""
    assert await client.submit_job("work", 1, job_id="order-42") == "order-42"
    document = broker.document("order-42")
    assert await client.submit_job("work", 1, job_id="order-42") == "order-42"
    assert broker.queued("queue:normal") == ["order-42"]
    assert broker.document("order-42") == document


async def test_one_that_differs(client: Facade, broker: Broker) -> None:
    """The first submit of an id counts, whatever name, payload or place a later one has."""
    await client.submit_job("work", 1, job_id="order-42")
    document = broker.document("order-42")
    again: Any = {"job_id": "order-42", "routing_key": "eu"}
    await client.submit_job("other", {"a": 2}, JobPriority.HIGH, "text", **again)
    await client.submit_job_scheduled("other", 3, JobPriority.LOW, timedelta(1), **again)
    assert broker.document("order-42") == document
    assert broker.queued("queue:normal") == ["order-42"]
    assert broker.keys() == ["bananas:job:order-42", "bananas:queue:normal"]


async def test_one_that_is_further(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """A job that a worker has taken, or that has ended, exists as long as its document does."""
    await client.submit_job("work", 1, job_id="order-42")
    worker.take()
    await client.submit_job("work", 1, job_id="order-42")
    worker.complete("order-42")
    await client.submit_job("work", 1, job_id="order-42")
    assert broker.queued("queue:normal") == []
    broker.command("DEL", "bananas:job:order-42")
    await client.submit_job("work", 1, job_id="order-42")
    assert broker.queued("queue:normal") == ["order-42"]


async def test_raise(client: Facade, broker: Broker) -> None:
    """A caller who asks for it is told that the job exists."""
    assert await client.submit_job("work", 1, job_id="a", if_exists="raise") == "a"
    expected = "^job a exists already, and was not changed$"
    with pytest.raises(JobExistsError, match=expected) as caught:
        await client.submit_job("work", 1, job_id="a", if_exists="raise")
    assert (caught.value.job_id, caught.value.job_ids) == ("a", ("a",))
    with pytest.raises(JobExistsError, match=expected):
        await client.submit_job_scheduled(
            "work", 1, JobPriority.LOW, timedelta(1), job_id="a", if_exists="raise"
        )
    assert broker.queued("queue:normal") == ["a"]


async def test_many_at_once(client: Facade, broker: Broker) -> None:
    """Two hundred concurrent submits of one id queue it once."""
    submits = [client.submit_job("work", number, job_id="order-42") for number in range(200)]
    assert await asyncio.gather(*submits) == ["order-42"] * 200
    assert broker.queued("queue:normal") == ["order-42"]


async def test_one_of_many_is_not_told(client: Facade, broker: Broker) -> None:
    """Of concurrent submits that ask to be told, all but one are."""
    submits = [
        client.submit_job("work", number, job_id="a", if_exists="raise") for number in range(50)
    ]
    outcomes = await asyncio.gather(*submits, return_exceptions=True)
    assert outcomes.count("a") == 1
    assert sum(isinstance(outcome, JobExistsError) for outcome in outcomes) == 49
    assert broker.queued("queue:normal") == ["a"]


async def test_several_clients_at_once(broker: Broker, connect: Connect) -> None:
    """Clients that race for the same ids queue each once, and each job is of one piece."""
    clients = [await connect(broker.url, routing_key=route) for route in ("a", "b", None)]
    ids = [f"job-{number}" for number in range(40)]
    await asyncio.gather(
        *(
            client.submit_job("work", index, job_id=job_id)
            for job_id in ids
            for index, client in enumerate(clients)
        )
    )
    queues = [broker.queued(f"{route}queue:normal") for route in ("route:a:", "route:b:", "")]
    assert sorted(job_id for queue in queues for job_id in queue) == sorted(ids)
    for index, queue in enumerate(queues):
        assert [broker.job(job_id)["payload"] for job_id in queue] == [index] * len(queue)


async def test_beside_jobs_without_an_id(client: Facade, broker: Broker) -> None:
    """Submits with and without an id share their way, and none disturbs another."""
    submits = [
        client.submit_job("work", number, job_id=f"job-{number % 10}" if number % 2 else None)
        for number in range(100)
    ]
    await asyncio.gather(*submits)
    queued = broker.queued("queue:normal")
    assert len(queued) == len(set(queued)) == 55


async def test_in_a_submit_of_many(client: Facade, broker: Broker) -> None:
    """Jobs that exist are skipped among many others, and their ids are returned all the same."""
    await client.submit_job("work", 0, job_id="b")
    specs = [JobSpec("other", 1, job_id=job_id) for job_id in "abc"]
    assert await client.submit_jobs(specs) == ["a", "b", "c"]
    assert sorted(broker.queued("queue:normal")) == ["a", "b", "c"]
    assert [broker.job(job_id)["payload"] for job_id in "abc"] == [1, 0, 1]


async def test_raise_in_a_submit_of_many(client: Facade, broker: Broker) -> None:
    """The error of a submit of many tells the jobs that exist from those that were queued."""
    await client.submit_jobs([JobSpec("work", 0, job_id=job_id) for job_id in "bd"])
    specs = [JobSpec("work", 1, job_id=job_id) for job_id in "abcd"]
    expected = "^2 jobs exist already, and were not changed$"
    with pytest.raises(JobExistsError, match=expected) as caught:
        await client.submit_jobs(specs, if_exists="raise")
    assert sorted(caught.value.job_ids) == ["b", "d"]
    assert caught.value.submitted == ("a", "c")
    assert sorted(broker.queued("queue:normal")) == ["a", "b", "c", "d"]


async def test_twice_in_a_submit_of_many(client: Facade, broker: Broker) -> None:
    """An id that stands twice among many is queued once, for the first of the two."""
    specs = [JobSpec("work", number, job_id=job_id) for number, job_id in enumerate("aba")]
    assert await client.submit_jobs(specs) == ["a", "b", "a"]
    assert sorted(broker.queued("queue:normal")) == ["a", "b"]
    assert broker.job("a")["payload"] == 0


async def test_submit_and_wait_for_one_that_exists(
    client: Facade, broker: Broker, worker: GoWorker
) -> None:
    """Submitting a job that has ended and waiting for it returns its result."""
    await client.submit_job("work", 1, job_id="order-42")
    worker.take()
    worker.store_success("order-42", "7")
    result = await client.submit_and_wait("work", 1, job_id="order-42")
    assert result.get_result() == 7
    assert broker.queued("queue:normal") == []


async def test_ids_that_only_case_tells_apart(client: Facade, broker: Broker) -> None:
    """Ids are compared to the letter."""
    await client.submit_job("work", 1, job_id="A")
    await client.submit_job("work", 1, job_id="a")
    assert broker.queued("queue:normal") == ["A", "a"]
    assert re.match("[A-Z]", (await client.get_job("A")).id)
