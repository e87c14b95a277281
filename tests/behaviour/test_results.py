"""Storing and deleting results, as a worker written in Python would."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bananas import AsyncClient, JobResult, JobStatus, SerializationError, ServerError
from bananas.result_backend import RedisResultBackend
from tests.behaviour.broker import Broker
from tests.behaviour.go_worker import GoWorker
from tests.support import RawClient

WHEN = datetime(2025, 1, 15, 10, 30, tzinfo=timezone.utc)
SUCCESS: Any = JobResult("a", JobStatus.COMPLETED, {"n": [1]}, completed_at=WHEN, duration_ms=7)
FAILURE: Any = JobResult("a", JobStatus.FAILED, error="boom", completed_at=WHEN)


@pytest.fixture
def results(async_client: AsyncClient) -> RedisResultBackend:
    """The results of a connected client."""
    return async_client.results


async def test_success(results: RedisResultBackend, broker: Broker) -> None:
    """A success is stored with the fields that Go writes, for an hour."""
    await results.store_result(SUCCESS)
    assert broker.result("a") == {
        "status": "completed",
        "completed_at": "2025-01-15T10:30:00Z",
        "duration_ms": "7",
        "result": '{"n":[1]}',
    }
    assert 3500 < broker.command("TTL", "bananas:result:a") <= 3600
    assert await results.get_result("a") == SUCCESS


async def test_failure(results: RedisResultBackend, broker: Broker) -> None:
    """A failure is stored with its reason, for a day."""
    await results.store_result(FAILURE)
    assert broker.result("a") == {
        "status": "failed",
        "completed_at": "2025-01-15T10:30:00Z",
        "duration_ms": "0",
        "error": "boom",
    }
    assert 86300 < broker.command("TTL", "bananas:result:a") <= 86400
    assert await results.get_result("a") == FAILURE


async def test_expiry_of_ones_own(broker: Broker) -> None:
    """How long a result is kept is the client's setting, by outcome."""
    async with AsyncClient(broker.url, timedelta(seconds=100), 200.5) as client:
        await client.results.store_result(SUCCESS)
        assert 90 < broker.command("TTL", "bananas:result:a") <= 100
        await client.results.store_result(FAILURE)
        assert 190 < broker.command("TTL", "bananas:result:a") <= 201


@pytest.mark.parametrize("value", [0, False, "", [], {}])
async def test_falsy_values(results: RedisResultBackend, value: Any) -> None:
    """A falsy value is stored as the data that it is."""
    await results.store_result(JobResult("a", JobStatus.COMPLETED, value))
    found = await results.get_result("a")
    assert found is not None
    assert found.get_result() == value


async def test_null_and_nothing(results: RedisResultBackend, broker: Broker) -> None:
    """None is stored as null where it is said to be data, and else as no data."""
    await results.store_result(JobResult("a", JobStatus.COMPLETED, None, has_data=True))
    assert broker.result("a")["result"] == "null"
    await results.store_result(JobResult("a", JobStatus.COMPLETED))
    assert "result" not in broker.result("a")


async def test_time_of_storing(results: RedisResultBackend) -> None:
    """A result without a time gets that of its storing."""
    before = datetime.now(timezone.utc)
    await results.store_result(JobResult("a", JobStatus.COMPLETED, 1))
    found = await results.get_result("a")
    assert found is not None
    assert found.completed_at is not None
    assert before <= found.completed_at <= datetime.now(timezone.utc)


async def test_over_a_failure(
    results: RedisResultBackend, broker: Broker, worker: GoWorker
) -> None:
    """Nothing of an earlier attempt stays behind, and the expiry is that of the new outcome."""
    worker.store_failure("a", "boom")
    broker.command("HSET", "bananas:result:a", "other", "x")
    await results.store_result(SUCCESS)
    assert set(broker.result("a")) == {"status", "completed_at", "duration_ms", "result"}
    assert broker.command("TTL", "bananas:result:a") <= 3600


async def test_over_anything(results: RedisResultBackend, broker: Broker) -> None:
    """A key that holds something else is replaced."""
    broker.command("SET", "bananas:result:a", "x")
    await results.store_result(FAILURE)
    assert await results.get_result("a") == FAILURE


async def test_stale_fields_are_not_read(results: RedisResultBackend, worker: GoWorker) -> None:
    """HSET leaves an old error beside a success, and an old result beside a failure; neither
    counts."""
    worker.store_failure("a", "boom")
    worker.store_success("a", "7")
    found = await results.get_result("a")
    assert found is not None
    assert (found.error, found.get_result()) == ("", 7)
    worker.store_failure("a", "bang")
    found = await results.get_result("a")
    assert found is not None
    assert (found.error, found.result, found.has_data) == ("bang", None, False)


async def test_announcement(results: RedisResultBackend, broker: Broker) -> None:
    """Storing a result tells those who wait for it."""
    with RawClient(int(broker.url.split(":")[2].split("/")[0])) as subscriber:
        subscriber.command("SUBSCRIBE", "bananas:result:notify:a")
        await results.store_result(SUCCESS)
        assert subscriber.receive() == [b"message", b"bananas:result:notify:a", b"ready"]


async def test_wait(results: RedisResultBackend) -> None:
    """The results can be waited for here too."""
    await results.store_result(FAILURE)
    assert await results.wait_for_result("a", 5) == FAILURE


async def test_delete(results: RedisResultBackend, broker: Broker, async_client: Any) -> None:
    """Deleting a result leaves its job, and says whether there was one."""
    await async_client.submit_job("work", 1, job_id="a")
    await results.store_result(SUCCESS)
    assert await results.delete_result("a") is True
    assert await results.delete_result("a") is False
    assert await results.get_result("a") is None
    assert broker.job("a")["payload"] == 1


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (JobResult("a", JobStatus.PENDING), "status of a result must be completed or failed, not "),
        (JobResult("a:b", JobStatus.FAILED), "job_id must be 1 to 256 letters"),
        (JobResult("a", JobStatus.FAILED, duration_ms=-1), "duration_ms must be from 0 to"),
        (JobResult("a", JobStatus.FAILED, error="\ud800"), "error contains a lone surrogate"),
        (JobResult("a", JobStatus.FAILED, completed_at=WHEN.replace(tzinfo=None)),
         "completed_at must be an aware datetime, not the naive 2025-01-15T10:30:00"),
    ],
)  # fmt: skip
async def test_results_that_are_refused(
    results: RedisResultBackend, broker: Broker, result: Any, text: str
) -> None:
    """A result that no worker could have stored is refused."""
    with pytest.raises(ValueError, match=f"^{text}"):
        await results.store_result(result)
    assert broker.keys() == []


async def test_data_that_are_refused(results: RedisResultBackend, broker: Broker) -> None:
    """Data that Go could not read are refused, with the place where the trouble sits."""
    with pytest.raises(SerializationError, match=r"^result\[1\] is not a finite number"):
        await results.store_result(JobResult("a", JobStatus.COMPLETED, [0, float("nan")]))
    with pytest.raises(ValueError, match="^job_id must be 1 to 256 letters"):
        await results.delete_result("a:b")


class Name(str, enum.Enum):
    """Prints as its member's name from Python 3.11 on."""

    A = "a"


async def test_an_id_of_an_enum(results: RedisResultBackend) -> None:
    """A member of a str enum names the same result as its text, when it is stored and deleted."""
    await results.store_result(JobResult(job_id=Name.A, status=JobStatus.COMPLETED))
    assert await results.get_result("a") is not None
    assert await results.delete_result(Name.A) is True
    assert await results.get_result(Name.A) is None


async def test_server_without_transactions(real_broker: Broker) -> None:
    """Where MULTI is refused the commands run one by one, and what is stored is said to be."""
    real_broker.command(
        "ACL", "SETUSER", "plain", "on", ">pw", "allkeys", "allchannels", "+@all", "-multi"
    )
    try:
        url = real_broker.url.replace("redis://", "redis://plain:pw@")
        async with AsyncClient(url) as client:
            await client.results.store_result(SUCCESS)
            assert await client.get_result("a") == SUCCESS
            assert real_broker.command("TTL", "bananas:result:a") > 0
            real_broker.command("ACL", "SETUSER", "plain", "-expire")
            with pytest.raises(ServerError, match="^Redis refuses to store .* NOPERM"):
                await client.results.store_result(FAILURE)
            assert real_broker.command("EXISTS", "bananas:result:a") == 0
            real_broker.command("ACL", "SETUSER", "plain", "-hset")
            with pytest.raises(ServerError, match="^Redis refuses to store .* NOPERM"):
                await client.results.store_result(FAILURE)
    finally:
        real_broker.command("ACL", "DELUSER", "plain")


async def test_server_that_refuses(real_broker: Broker) -> None:
    """A user without the rights is told what Redis says, and nothing is stored."""
    real_broker.command(
        "ACL", "SETUSER", "reader", "on", ">pw", "allkeys", "allchannels", "+@all",
        "-hset", "-hmset", "-del", "-llen",
    )  # fmt: skip
    try:
        url = real_broker.url.replace("redis://", "redis://reader:pw@")
        async with AsyncClient(url) as client:
            expected = "^Redis refuses to store the result of job a: NOPERM "
            with pytest.raises(ServerError, match=expected) as caught:
                await client.results.store_result(SUCCESS)
            assert (caught.value.code, caught.value.job_id) == ("NOPERM", "a")
            expected = "^Redis refuses to delete the result of job a: NOPERM "
            with pytest.raises(ServerError, match=expected):
                await client.results.delete_result("a")
            with pytest.raises(ServerError, match="^Redis refuses to count the jobs: NOPERM "):
                await client.queue.depths()
        assert real_broker.keys() == []
    finally:
        real_broker.command("ACL", "DELUSER", "reader")


def test_repr(async_client: AsyncClient) -> None:
    """The parts of a client say what deployment they belong to."""
    assert repr(async_client.results) == "<RedisResultBackend Keys('bananas:')>"
    assert repr(async_client.queue) == "<RedisQueue Keys('bananas:') routing_key=None>"
