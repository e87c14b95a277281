"""Reading jobs and results, whatever stands there."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from bananas import (
    Job,
    JobFailedError,
    JobPriority,
    JobSpec,
    JobStatus,
    SerializationError,
    ServerError,
)
from tests.behaviour.broker import Broker
from tests.behaviour.conftest import Facade
from tests.behaviour.go_worker import GoWorker

GO_DOCUMENT = (
    '{"id":"go-1","name":"work","payload":{"n":1.50},"status":"failed","priority":"odd",'
    '"created_at":"2025-01-15T16:00:05.123456789+05:30","updated_at":"2025-01-15T10:30:06Z",'
    '"attempts":3,"max_retries":3,"error":"boom \\u003c\\u0026\\u003e","extra":null}'
)


async def test_job(client: Facade) -> None:
    """A job that was submitted is read as it was."""
    job_id = await client.submit_job("work", {"a": [1]}, JobPriority.LOW, "text")
    job = await client.get_job(job_id)
    assert (job.id, job.name, job.payload) == (job_id, "work", {"a": [1]})
    assert (job.status, job.priority) == (JobStatus.PENDING, JobPriority.LOW)
    assert (job.description, job.attempts, job.max_retries) == ("text", 0, 3)
    assert job.created_at == job.updated_at
    assert job.created_at.tzinfo is timezone.utc


async def test_job_of_a_worker(client: Facade, broker: Broker) -> None:
    """A document that Go wrote is read, in UTC and to the microsecond."""
    broker.command("SET", "bananas:job:go-1", GO_DOCUMENT)
    job = await client.get_job("go-1")
    assert job.created_at == datetime(2025, 1, 15, 10, 30, 5, 123456, timezone.utc)
    assert (job.status, job.priority) == (JobStatus.FAILED, JobPriority.NORMAL)
    assert (job.error, job.payload) == ("boom <&>", {"n": 1.5})


async def test_jobs(client: Facade, broker: Broker) -> None:
    """Many are read in the order of their ids, those that are not there as None."""
    ids = await client.submit_jobs([JobSpec("work", number) for number in range(3)])
    found = await client.get_jobs([ids[2], "none", ids[0], ids[2]])
    assert [job and job.payload for job in found] == [2, None, 0, 2]
    assert await client.get_jobs([]) == []
    assert await client.get_job("none") is None
    assert [job.payload for job in await client.get_jobs(iter(ids))] == [0, 1, 2]


async def test_stubs(client: Facade, broker: Broker, worker: GoWorker) -> None:
    """What a worker leaves of an unreadable document is a failed job without a name."""
    worker.leave_stub("gone")
    stub = await client.get_job("gone")
    assert (stub.id, stub.name, stub.payload, stub.status) == ("gone", "", None, JobStatus.FAILED)
    assert (stub.error, stub.corrupted_data) == ("failed to unmarshal job", "?")
    assert stub.is_dead_letter_stub
    assert stub == Job.from_dict({"id": "gone", "error": stub.error, "corrupted_data": "?"})


@pytest.mark.parametrize(
    ("junk", "problem"),
    [
        (b"\xff\xfe", "is not JSON: expecting value at character 0"),
        (b"", "is not JSON: expecting value at character 0"),
        (b"[1]", "is a JSON array, not an object"),
        (b'{"id":7}', "id of the job document is not a string but a int"),
    ],
)
async def test_junk_in_a_document(
    client: Facade, broker: Broker, junk: bytes, problem: str
) -> None:
    """A document that is none is an error that names the job; others are read as ever."""
    good = await client.submit_job("work", 1)
    broker.command("SET", "bananas:job:bad", junk)
    with pytest.raises(SerializationError, match="^job bad: ") as caught:
        await client.get_job("bad")
    assert str(caught.value).endswith(problem)
    assert caught.value.job_id == "bad"
    assert (await client.get_job(good)).payload == 1


async def test_document_of_another_type(client: Facade, broker: Broker) -> None:
    """A key that holds no document at all is refused by the server, and so is the read."""
    broker.command("LPUSH", "bananas:job:bad", "x")
    broker.command("SET", "bananas:result:bad", "x")
    with pytest.raises(ServerError, match="^Redis refuses to read job bad: WRONGTYPE ") as caught:
        await client.get_job("bad")
    assert (caught.value.code, caught.value.job_id) == ("WRONGTYPE", "bad")
    expected = "^Redis refuses to read the result of job bad: WRONGTYPE "
    with pytest.raises(ServerError, match=expected):
        await client.get_result("bad")


async def test_results(client: Facade, worker: GoWorker) -> None:
    """Stored results are read in the order of their ids, those that are not there as None."""
    worker.store_success("a", '{"n":1}')
    worker.store_failure("b", "boom")
    a, none, b = await client.get_results(["a", "none", "b"])
    assert none is None
    assert (a.job_id, a.status, a.get_result(), a.duration_ms) == (
        "a", JobStatus.COMPLETED, {"n": 1}, 12,
    )  # fmt: skip
    assert (b.status, b.error, b.result, b.has_data) == (JobStatus.FAILED, "boom", None, False)
    with pytest.raises(JobFailedError, match="^job b failed: boom$"):
        b.get_result()
    assert await client.get_result("none") is None
    assert await client.get_results([]) == []
    assert await client.get_result("a") == a


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("false", False), ("{}", {}), ("[]", []), ('""', ""), ("null", None)],
)
async def test_falsy_results(client: Facade, worker: GoWorker, text: str, value: Any) -> None:
    """A falsy value is a result like any other."""
    worker.store_success("a", text)
    result = await client.get_result("a")
    assert result.has_data
    assert result.get_result() == value
    assert (await client.wait_for_result("a")).get_result() == value


async def test_no_data(client: Facade, worker: GoWorker) -> None:
    """A result without data, as of a plain Go handler, is told from null."""
    worker.store_success("a")
    result = await client.get_result("a")
    assert (result.is_success, result.has_data) == (True, False)
    expected = "^job a completed, but its handler returned no data; use .result, "
    with pytest.raises(ValueError, match=expected):
        result.get_result()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"status": "odd"}, "has no status of completed or failed"),
        ({"x": "y"}, "has no status of completed or failed"),
        ({"status": "completed", "result": "{"}, "result is not JSON"),
        ({"status": "completed", "duration_ms": "1.5"}, "duration_ms is not a whole number"),
        ({"status": "failed", "completed_at": "yesterday"},
         "completed_at is not a strict RFC 3339 time: 'yesterday'"),
    ],
)  # fmt: skip
async def test_junk_in_a_result(
    client: Facade, broker: Broker, worker: GoWorker, fields: Any, problem: str
) -> None:
    """A result that is none is an error that names the job; others are read as ever."""
    worker.store_success("good", "1")
    flat = [part for pair in fields.items() for part in pair]
    broker.command("HSET", "bananas:result:bad", *flat)
    with pytest.raises(SerializationError, match="^stored result of job bad") as caught:
        await client.get_result("bad")
    assert problem in str(caught.value)
    assert caught.value.job_id == "bad"
    assert (await client.get_result("good")).get_result() == 1


@pytest.mark.parametrize("job_id", ["", "a:b", "a\n", None])
async def test_ids_that_are_refused(client: Facade, job_id: Any) -> None:
    """An id that can be no job's is refused instead of looked for."""
    for read in (client.get_job, client.get_result, client.wait_for_result):
        with pytest.raises(ValueError, match="^job_id must be 1 to 256 letters"):
            await read(job_id)
    for read in (client.get_jobs, client.get_results, client.as_completed):
        with pytest.raises(ValueError, match=r"^job_ids\[1\] must be 1 to 256 letters"):
            await read(["a", job_id])


@pytest.mark.parametrize("ids", ["abc", "", b"abc", bytearray(b"a")])
async def test_one_string_is_no_list_of_ids(client: Facade, ids: Any) -> None:
    """One id is not taken letter by letter, where a list of ids is asked for."""
    expected = f"^job_ids must be a list of job ids, not {type(ids).__name__}: for one job write"
    for read in (client.get_jobs, client.get_results, client.as_completed):
        with pytest.raises(ValueError, match=expected):
            await read(ids)


async def test_one_that_is_unreadable_costs_its_own_place(client: Facade, broker: Broker) -> None:
    """With return_exceptions, the error of each stands in its place and names the job."""
    good = await client.submit_job("work", 1)
    broker.command("SET", "bananas:job:bad", "{")
    broker.command("LPUSH", "bananas:job:list", "x")
    ids = ["bad", good, "none", "list"]
    with pytest.raises(SerializationError, match="^job bad: "):
        await client.get_jobs(ids)
    bad, job, none, wrong = await client.get_jobs(ids, return_exceptions=True)
    assert (job.id, none) == (good, None)
    assert (type(bad), bad.job_id) == (SerializationError, "bad")
    assert (type(wrong), wrong.job_id, wrong.code) == (ServerError, "list", "WRONGTYPE")
    broker.command("HSET", "bananas:result:bad", "status", "odd")
    broker.command("SET", "bananas:result:list", "x")
    with pytest.raises(SerializationError, match="^stored result of job bad "):
        await client.get_results(ids)
    bad, missing, none, wrong = await client.get_results(ids, return_exceptions=True)
    assert (missing, none) == (None, None)
    assert (type(bad), bad.job_id) == (SerializationError, "bad")
    assert (type(wrong), wrong.job_id, wrong.code) == (ServerError, "list", "WRONGTYPE")
