"""What a submit writes, and what it refuses to write."""

from __future__ import annotations

import asyncio
import enum
import re
import sys
import uuid
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, Awaitable, Callable, Dict, List, Tuple

import pytest

from bananas import (
    AsyncClient,
    Job,
    JobPriority,
    JobRejectedError,
    JobSpec,
    JobStatus,
    SerializationError,
)
from bananas._wire.json_problems import max_levels
from tests.behaviour.broker import Broker
from tests.behaviour.conftest import Facade

UTC = timezone.utc
Connect = Callable[..., Awaitable[Facade]]


def message(text: str) -> str:
    """Return a pattern that matches this message and no other."""
    return f"^{re.escape(text)}$"


def created_at(document: bytes) -> str:
    """Return the text of a document's time of creation."""
    found = re.search(rb'"created_at":"([^"]*)"', document)
    assert found is not None
    return found.group(1).decode()


async def test_document(client: Facade, broker: Broker) -> None:
    """A submit writes the document that a worker runs, to the byte, and its id into the list."""
    before = datetime.now(UTC)
    job_id = await client.submit_job("send_email", {"to": "\u00e9", "n": [1, 2.5, None]})
    document = broker.document(job_id)
    stamp = created_at(document)
    assert document.decode() == (
        f'{{"id":"{job_id}","name":"send_email","payload":{{"to":"\u00e9","n":[1,2.5,null]}},'
        f'"status":"pending","priority":"normal","created_at":"{stamp}","updated_at":"{stamp}",'
        '"attempts":0,"max_retries":3}'
    )
    assert before <= datetime.fromisoformat(stamp.replace("Z", "+00:00")) <= datetime.now(UTC)
    assert stamp.endswith("Z")
    assert uuid.UUID(job_id).version == 4
    assert broker.queued("queue:normal") == [job_id]
    assert broker.keys() == [f"bananas:job:{job_id}", "bananas:queue:normal"]


async def test_every_option(client: Facade, broker: Broker) -> None:
    """Every option of a submit is in the document."""
    job_id = await client.submit_job(
        "resize", [1], JobPriority.HIGH, 'a "thumb"', job_id="order-42.a_b", routing_key="gpu-1",
        max_retries=0,
    )  # fmt: skip
    assert job_id == "order-42.a_b"
    stamp = created_at(broker.document(job_id))
    assert broker.document(job_id).decode() == (
        '{"id":"order-42.a_b","name":"resize","description":"a \\"thumb\\"","payload":[1],'
        f'"status":"pending","priority":"high","created_at":"{stamp}","updated_at":"{stamp}",'
        '"attempts":0,"max_retries":0,"routing_key":"gpu-1"}'
    )
    assert broker.queued("route:gpu-1:queue:high") == [job_id]


@pytest.mark.parametrize("payload", [None, True, 0, -1.5, "", "x", [], {}, {"a": {"b": [{}]}}])
async def test_any_payload(client: Facade, broker: Broker, payload: Any) -> None:
    """Every JSON value is a payload, the falsy ones too."""
    job_id = await client.submit_job("work", payload)
    assert broker.job(job_id)["payload"] == payload


@pytest.mark.parametrize("priority", [*JobPriority, "high", "low"])
async def test_priorities(client: Facade, broker: Broker, priority: Any) -> None:
    """A job waits in the list of its priority, which may be given by the wire's word."""
    job_id = await client.submit_job("work", None, priority)
    assert broker.queued(f"queue:{JobPriority(priority).value}") == [job_id]
    assert broker.job(job_id)["priority"] == JobPriority(priority).value


async def test_first_in_first_out(client: Facade, broker: Broker) -> None:
    """Workers take jobs in the order in which they were submitted."""
    ids = [await client.submit_job("work", number) for number in range(5)]
    assert broker.queued("queue:normal") == ids


async def test_routes(broker: Broker, connect: Connect) -> None:
    """A client has a route of its own, which a single call overrides."""
    client = await connect(broker.url, routing_key="eu")
    own = await client.submit_job("work", None)
    other = await client.submit_job("work", None, routing_key="us")
    flat = await client.submit_job("work", None, routing_key=None)
    assert broker.queued("route:eu:queue:normal") == [own]
    assert broker.queued("route:us:queue:normal") == [other]
    assert broker.queued("queue:normal") == [flat]
    assert broker.job(own)["routing_key"] == "eu"
    assert broker.job(other)["routing_key"] == "us"
    assert "routing_key" not in broker.job(flat)


async def test_prefix(broker: Broker, connect: Connect) -> None:
    """A client with another prefix has a deployment of its own."""
    client = await connect(broker.url, key_prefix="other:")
    job_id = await client.submit_job("work", 1)
    assert broker.keys() == [f"other:job:{job_id}", "other:queue:normal"]
    assert (await client.get_job(job_id)).payload == 1


# -- scheduled -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("due", "text", "score"),
    [
        (datetime(2030, 1, 1, 12, tzinfo=UTC), "2030-01-01T12:00:00Z", 1893499200),
        (datetime(2030, 1, 1, 12, 0, 0, 1, UTC), "2030-01-01T12:00:00.000001Z", 1893499201),
        (datetime(2030, 1, 1, 12, 0, 0, 999999, UTC), "2030-01-01T12:00:00.999999Z", 1893499201),
        (
            datetime(2030, 1, 1, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            "2030-01-01T12:00:00Z",
            1893499200,
        ),
        (datetime(1969, 12, 31, 23, 59, 58, 500000, UTC), "1969-12-31T23:59:58.500000Z", -1),
        (datetime(2001, 1, 1, tzinfo=UTC), "2001-01-01T00:00:00Z", 978307200),
    ],
)
async def test_scheduled(
    client: Facade, broker: Broker, due: datetime, text: str, score: int
) -> None:
    """The document has the exact time in UTC; the score is whole seconds and never before it."""
    job_id = await client.submit_job_scheduled("report", {"n": 1}, JobPriority.LOW, due, "daily")
    stamp = created_at(broker.document(job_id))
    assert broker.document(job_id).decode() == (
        f'{{"id":"{job_id}","name":"report","description":"daily","payload":{{"n":1}},'
        f'"status":"scheduled","priority":"low","created_at":"{stamp}","updated_at":"{stamp}",'
        f'"scheduled_for":"{text}","attempts":0,"max_retries":3}}'
    )
    assert broker.scheduled() == {job_id: score}
    assert broker.keys() == [f"bananas:job:{job_id}", "bananas:queue:scheduled"]


async def test_scheduled_from_now(client: Facade, broker: Broker) -> None:
    """A timedelta counts from the submit."""
    before = datetime.now(UTC)
    job_id = await client.submit_job_scheduled(
        "work", None, JobPriority.NORMAL, timedelta(minutes=5), routing_key="eu"
    )
    after = datetime.now(UTC)
    job = await client.get_job(job_id)
    assert before <= job.scheduled_for - timedelta(minutes=5) <= after
    assert 0 <= broker.scheduled()[job_id] - job.scheduled_for.timestamp() < 1
    assert (job.status, job.routing_key) == (JobStatus.SCHEDULED, "eu")


# -- many ----------------------------------------------------------------------------------------


async def test_a_mix(client: Facade, broker: Broker) -> None:
    """One call submits jobs for every place, and returns their ids in the order given."""
    due = datetime(2030, 1, 1, tzinfo=UTC)
    ids = await client.submit_jobs(
        [
            JobSpec("a", 1),
            JobSpec("b", 2, JobPriority.HIGH, "text", max_retries=1),
            JobSpec("c", 3, scheduled_for=due),
            JobSpec("d", 4, routing_key="eu"),
            JobSpec("e", 5, job_id="chosen"),
            JobSpec("f", 6),
            JobSpec("g", 7, scheduled_for=timedelta(hours=1), job_id="later"),
        ]
    )
    assert [broker.job(job_id)["name"] for job_id in ids] == list("abcdefg")
    assert [broker.job(job_id)["payload"] for job_id in ids] == [1, 2, 3, 4, 5, 6, 7]
    assert (ids[4], ids[6]) == ("chosen", "later")
    assert broker.queued("queue:high") == [ids[1]]
    assert broker.queued("route:eu:queue:normal") == [ids[3]]
    assert set(broker.scheduled()) == {ids[2], ids[6]}
    normal = broker.queued("queue:normal")
    assert sorted(normal) == sorted([ids[0], ids[4], ids[5]])
    assert normal.index(ids[0]) < normal.index(ids[5])
    assert broker.job(ids[1])["description"] == "text"
    assert broker.job(ids[1])["max_retries"] == 1


async def test_many(client: Facade, broker: Broker) -> None:
    """More jobs than one transaction takes are queued in their order, each once."""
    ids = await client.submit_jobs(JobSpec("work", number) for number in range(1201))
    assert broker.queued("queue:normal") == ids
    assert [job.payload for job in await client.get_jobs(ids)] == list(range(1201))
    assert len(set(ids)) == 1201


async def test_large_payloads(client: Facade, broker: Broker) -> None:
    """Payloads of any size arrive, in as many transactions as it takes."""
    payloads = [str(number) * 400_000 for number in range(6)]
    ids = await client.submit_jobs([JobSpec("work", payload) for payload in payloads])
    assert [broker.job(job_id)["payload"] for job_id in ids] == payloads


async def test_none_at_all(client: Facade, broker: Broker) -> None:
    """Submitting no jobs does nothing."""
    assert await client.submit_jobs([]) == []
    assert broker.keys() == []


async def test_bad_spec_in_a_sequence(client: Facade, broker: Broker) -> None:
    """A sequence with a bad spec is refused as a whole, and the spec is named."""
    specs: List[Any] = [JobSpec("work", number) for number in range(700)]
    with pytest.raises(ValueError, match=message("specs[700] must be a JobSpec, not dict")):
        await client.submit_jobs([*specs, {}])
    with pytest.raises(ValueError, match=message(f"specs[700]: {BAD_NAME}")):
        await client.submit_jobs([*specs, JobSpec("", 1)])
    with pytest.raises(SerializationError, match=r"^specs\[700\]: payload is not a finite number"):
        await client.submit_jobs([*specs, JobSpec("work", float("nan"))])
    assert broker.keys() == []


async def test_bad_spec_in_an_iterator(client: Facade, broker: Broker) -> None:
    """What an iterator gave before a bad spec may be queued, and the error says which jobs."""
    specs = (JobSpec("work" if number < 1100 else "", number) for number in range(2000))
    with pytest.raises(ValueError, match=message(f"specs[1100]: {BAD_NAME}")) as caught:
        await client.submit_jobs(specs)
    submitted = caught.value.submitted  # type: ignore[attr-defined]
    assert broker.queued("queue:normal") == list(submitted)
    assert len(submitted) == 1000


# -- refused before anything is written ----------------------------------------------------------

BAD_NAME = "name must not be empty: it tells the worker which handler to run"
NAIVE = (
    "scheduled_for must be an aware datetime, not the naive 2030-01-01T00:00:00: "
    "give it a time zone, such as datetime.now(timezone.utc)"
)
NESTED = (
    f"payload is nested more than {max_levels()} levels deep, "
    "the most that can be written here "
    f"(two thirds of Python's recursion limit, {sys.getrecursionlimit()})"
)


def nested(depth: int) -> Any:
    """Return a list in a list in a list."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def cyclic() -> Any:
    """Return a list that holds itself."""
    value: List[Any] = []
    value.append(value)
    return value


REFUSED_PAYLOADS: Dict[str, Any] = {
    "NaN": (
        float("nan"),
        "payload is not a finite number; JSON has no NaN or Infinity: pass None or a string",
    ),
    "infinity": (
        {"a": [0, float("-inf")]},
        "payload.a[1] is not a finite number; JSON has no NaN or Infinity: pass None or a string",
    ),
    "integer key": (
        {"a": {1: 2}},
        "payload.a has a key of type int; JSON keys are strings: pass str(key)",
    ),
    "null key": (
        {None: 2},
        "payload has a key of type NoneType; JSON keys are strings: pass str(key)",
    ),
    "surrogate": (
        ["ok", "a\ud800"],
        "payload[1] contains a lone surrogate at position 1, not UTF-8",
    ),
    "surrogate key": (
        {"\udfff": 1},
        "payload has a key with a lone surrogate, which Go can't read",
    ),
    "bytes": (
        {"to me": [b"x"]},
        "payload['to me'][0] is of type bytes, which JSON has no form for: "
        "pass value.decode(), or base64.b64encode(value).decode()",
    ),
    "set": (
        {"a": {1}},
        "payload.a is of type set, which JSON has no form for: pass sorted(value) or list(value)",
    ),
    "datetime": (
        {"at": datetime(2030, 1, 1, tzinfo=UTC)},
        "payload.at is of type datetime, which JSON has no form for: pass value.isoformat()",
    ),
    "cycle": (cyclic(), "payload[0] refers to itself"),
}


@pytest.mark.parametrize("name", REFUSED_PAYLOADS)
async def test_payloads_that_are_refused(client: Facade, broker: Broker, name: str) -> None:
    """What Go would not read is refused, with the place where it sits."""
    payload, text = REFUSED_PAYLOADS[name]
    with pytest.raises(SerializationError, match=message(text)):
        await client.submit_job("work", payload)
    with pytest.raises(SerializationError, match=message(text)):
        await client.submit_job_scheduled("work", payload, JobPriority.LOW, timedelta(1))
    with pytest.raises(SerializationError, match=message(text)):
        await client.submit_and_wait("work", payload)
    assert broker.keys() == []


async def test_nesting_that_is_refused(client: Facade, broker: Broker) -> None:
    """A payload that is nested more deeply than Go reads is refused."""
    with pytest.raises(SerializationError, match=message(NESTED)):
        await client.submit_job("work", nested(10_000))
    assert broker.keys() == []


ID_RULE = "job_id must be 1 to 256 letters, digits, '.', '_' or '-', not "
ROUTE_RULE = "routing_key must be 1 to 64 letters, digits, '_' or '-', or None, not "
REFUSED_ARGUMENTS = [
    ({"name": ""}, BAD_NAME),
    ({"name": " "}, BAD_NAME),
    ({"name": None}, "name must be a string, not NoneType"),
    ({"name": ["work"]}, "name must be a string, not list"),
    ({"name": "a\ud800"}, "name contains a lone surrogate at position 1, which Go can't read"),
    ({"description": 7}, "description must be a string, not int"),
    ({"description": ["x"]}, "description must be a string, not list"),
    (
        {"description": "\ud800"},
        "description contains a lone surrogate at position 0, which Go can't read",
    ),
    ({"priority": "urgent"}, "priority must be a JobPriority: high, normal or low, not 'urgent'"),
    ({"priority": 1}, "priority must be a JobPriority: high, normal or low, not 1"),
    ({"priority": {"a": 1}}, "priority must be a JobPriority: high, normal or low, not dict"),
    ({"job_id": "a:b"}, ID_RULE + "'a:b'"),
    ({"job_id": "a\n"}, ID_RULE + r"'a\n'"),
    ({"job_id": ""}, ID_RULE + "''"),
    ({"job_id": 42}, ID_RULE + "42"),
    ({"routing_key": "a:b"}, ROUTE_RULE + "'a:b'"),
    ({"routing_key": "a\n"}, ROUTE_RULE + r"'a\n'"),
    ({"routing_key": "a.b"}, ROUTE_RULE + "'a.b'"),
    ({"routing_key": ""}, ROUTE_RULE + "''"),
    ({"max_retries": -1}, "max_retries must be from 0 to 2**63 - 1, not -1"),
    ({"max_retries": 2**63}, f"max_retries must be from 0 to 2**63 - 1, not {2**63}"),
    ({"max_retries": 1.0}, "max_retries must be a whole number, not 1.0"),
    ({"max_retries": True}, "max_retries must be a whole number, not True"),
    ({"if_exists": "replace"}, "if_exists must be 'return' or 'raise', not 'replace'"),
    ({"if_exists": {"a": 1}}, "if_exists must be 'return' or 'raise', not dict"),
]


@pytest.mark.parametrize(("wrong", "text"), REFUSED_ARGUMENTS)
async def test_arguments_that_are_refused(
    client: Facade, broker: Broker, wrong: Dict[str, Any], text: str
) -> None:
    """A wrong argument is refused by its name, in every way to submit."""
    arguments = {"name": "work", "payload": None, **wrong}
    with pytest.raises(ValueError, match=message(text)):
        await client.submit_job(**arguments)
    scheduled = {"priority": JobPriority.LOW, **arguments, "scheduled_for": timedelta(1)}
    with pytest.raises(ValueError, match=message(text)):
        await client.submit_job_scheduled(**scheduled)
    if "if_exists" in wrong:
        with pytest.raises(ValueError, match=message(text)):
            await client.submit_jobs([JobSpec("work", None)], **wrong)
    else:
        with pytest.raises(ValueError, match=message(text)):
            await client.submit_and_wait(**arguments)
        with pytest.raises(ValueError, match=message(f"specs[0]: {text}")):
            await client.submit_jobs([JobSpec(**arguments)])
    assert broker.keys() == []
    assert (await client.stats()).waits == 0


@pytest.mark.parametrize(
    ("due", "text"),
    [
        (datetime(2030, 1, 1), NAIVE),
        (timedelta(seconds=-1), "scheduled_for must not be a negative timedelta, not "
                                "-1 day, 23:59:59"),
        (timedelta.max, f"scheduled_for must be before the year 10000: {timedelta.max} from now"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
         "scheduled_for must be in the years 1 to 9999 in UTC"),
        (
            60,
            "scheduled_for must be an aware datetime or a timedelta, not int: "
            "write timedelta(seconds=...)",
        ),
        ("2030-01-01T00:00:00Z", "scheduled_for must be an aware datetime or a timedelta, not str"),
    ],
)  # fmt: skip
async def test_due_times_that_are_refused(
    client: Facade, broker: Broker, due: Any, text: str
) -> None:
    """A due time that is naive, negative, or none at all is refused."""
    with pytest.raises(ValueError, match=message(text)):
        await client.submit_job_scheduled("work", None, JobPriority.LOW, due)
    with pytest.raises(ValueError, match=message(f"specs[0]: {text}")):
        await client.submit_jobs([JobSpec("work", None, scheduled_for=due)])
    assert broker.keys() == []


@pytest.mark.parametrize(
    "arguments",
    [(), ("high",), (timedelta(days=1),)],
    ids=["no priority", "priority", "a time in its place"],
)
async def test_due_time_not_given(
    client: Facade, broker: Broker, arguments: Tuple[Any, ...]
) -> None:
    """A call without a time is a call with too few arguments."""
    with pytest.raises(
        TypeError, match=r"^submit_job_scheduled\(\) needs scheduled_for, .* third argument"
    ):
        await client.submit_job_scheduled("work", None, *arguments)
    assert broker.keys() == []


async def test_due_time_by_keyword(client: Facade, broker: Broker) -> None:
    """The time may be named, which lets the priority be left out; it may be in the past."""
    past = datetime(2001, 2, 3, tzinfo=timezone.utc)
    job_id = await client.submit_job_scheduled("work", None, scheduled_for=past)
    job = await client.get_job(job_id)
    assert job is not None
    assert (job.priority, job.scheduled_for) == (JobPriority.NORMAL, past)
    job_id = await client.submit_job_scheduled("work", 1, "low", past, "daily")
    job = await client.get_job(job_id)
    assert job is not None
    assert (job.priority, job.description) == (JobPriority.LOW, "daily")


async def test_no_due_time(client: Facade, broker: Broker) -> None:
    """A scheduled job needs a time."""
    text = "scheduled_for must be an aware datetime or a timedelta, not None"
    with pytest.raises(ValueError, match=message(text)):
        await client.submit_job_scheduled("work", None, JobPriority.LOW, None)
    assert broker.keys() == []


@pytest.mark.parametrize(
    ("timeout", "text"),
    [
        (-1, "timeout must be 0 or more and finite, not -1"),
        (timedelta(seconds=-1), "timeout must be 0 or more and finite, not -1 day, 23:59:59"),
        (float("nan"), "timeout must be 0 or more and finite, not nan"),
        ("30", "timeout must be seconds or a timedelta, not '30'"),
    ],
)
async def test_timeouts_that_are_refused(
    client: Facade, broker: Broker, timeout: Any, text: str
) -> None:
    """A wait with a time-out that can't be is refused, and its job is not submitted."""
    with pytest.raises(ValueError, match=message(text)):
        await client.submit_and_wait("work", None, timeout=timeout)
    with pytest.raises(ValueError, match=message(text)):
        await client.wait_for_result("a", timeout)
    with pytest.raises(ValueError, match=message(text)):
        await client.as_completed(["a"], timeout)
    assert broker.keys() == []


# -- refused by Redis ----------------------------------------------------------------------------

WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


@pytest.mark.parametrize("job_id", [None, "mine"])
async def test_list_of_the_wrong_type(client: Facade, broker: Broker, job_id: Any) -> None:
    """A job that Redis refuses is reported with its reply, and nothing of it stays behind."""
    broker.command("SET", "bananas:queue:normal", "x")
    with pytest.raises(JobRejectedError) as caught:
        await client.submit_job("work", {"secret": 1}, job_id=job_id)
    error = caught.value
    assert str(error) == (
        f"job {error.job_id} was refused by Redis, and nothing is queued: "
        f"{WRONG_TYPE} (at bananas:queue:normal)"
    )
    assert (error.code, error.job_ids, error.submitted) == ("WRONGTYPE", (error.job_id,), ())
    assert broker.keys() == ["bananas:queue:normal"]


async def test_scheduled_jobs_of_the_wrong_type(client: Facade, broker: Broker) -> None:
    """The same holds for scheduled jobs."""
    broker.command("SET", "bananas:queue:scheduled", "x")
    with pytest.raises(JobRejectedError, match=r"\(at bananas:queue:scheduled\)$"):
        await client.submit_job_scheduled("work", 1, JobPriority.LOW, timedelta(1))
    assert broker.keys() == ["bananas:queue:scheduled"]


@pytest.mark.parametrize("chosen", [False, True])
async def test_some_of_many(client: Facade, broker: Broker, chosen: bool) -> None:
    """Of many jobs only those that Redis refuses are missing, and the error tells which."""
    broker.command("SET", "bananas:queue:high", "x")
    specs = [
        JobSpec("work", number, priority, job_id=f"job-{number}" if chosen else None)
        for number, priority in enumerate([JobPriority.HIGH, JobPriority.LOW, "high"] * 2)
    ]
    with pytest.raises(
        JobRejectedError, match="^4 jobs were refused by Redis, and nothing is queued: "
    ) as caught:
        await client.submit_jobs(specs)
    refused, submitted = caught.value.job_ids, caught.value.submitted
    assert (len(refused), len(submitted)) == (4, 2)
    assert broker.queued("queue:low") == list(submitted)
    assert [job.payload for job in await client.get_jobs(submitted)] == [1, 4]
    assert await client.get_jobs(refused) == [None] * 4


async def test_neighbours_of_one_that_is_refused(client: Facade, broker: Broker) -> None:
    """Submits that share a transaction with one that is refused are not touched by it."""
    broker.command("SET", "bananas:queue:high", "x")
    priorities = [JobPriority.HIGH, JobPriority.LOW] * 20
    outcomes = await asyncio.gather(
        *(client.submit_job("work", None, priority) for priority in priorities),
        return_exceptions=True,
    )
    assert [isinstance(outcome, JobRejectedError) for outcome in outcomes[::2]] == [True] * 20
    assert sorted(broker.queued("queue:low")) == sorted(outcomes[1::2])
    assert len(broker.keys()) == 22


# -- the queue itself ----------------------------------------------------------------------------


async def test_enqueue(async_client: AsyncClient, broker: Broker) -> None:
    """A job that was made by hand is written as it is."""
    now = datetime(2025, 1, 15, 10, 30, 0, 5, UTC)
    job = Job.create("work", {"a": 1.50}, job_id="mine", routing_key="eu", now=now)
    assert await async_client.queue.enqueue(job) == "mine"
    assert broker.document("mine").decode() == job.to_json()
    assert broker.queued("route:eu:queue:normal") == ["mine"]
    assert await async_client.queue.get_job("mine") == job


async def test_enqueue_scheduled(async_client: AsyncClient, broker: Broker) -> None:
    """A job that was made by hand is scheduled for a time given with it, or afterwards."""
    due = datetime(2030, 1, 1, 0, 0, 0, 5, UTC)
    first = Job.create("work", None, scheduled_for=due)
    second = Job.create("work", None)
    await async_client.queue.enqueue(first)
    await async_client.queue.enqueue_scheduled(second, due)
    assert broker.scheduled() == {first.id: 1893456001, second.id: 1893456001}
    for job_id in (first.id, second.id):
        assert broker.job(job_id)["scheduled_for"] == "2030-01-01T00:00:00.000005Z"
        assert broker.job(job_id)["status"] == "scheduled"


async def test_enqueue_twice(async_client: AsyncClient, broker: Broker) -> None:
    """Enqueueing the same job again queues it once."""
    job = Job.create("work", 1)
    await async_client.queue.enqueue(job)
    await async_client.queue.enqueue(job)
    assert broker.queued("queue:normal") == [job.id]


# -- what is converted on the way ----------------------------------------------------------------


class Route(str, enum.Enum):
    """Prints as its member's name from Python 3.11 on."""

    REPORTS = "reports"


async def test_a_route_of_an_enum(broker: Broker, connect: Connect) -> None:
    """A member of a str enum names the same route as its text, before the text and after it."""
    client = await connect(broker.url)
    first = await client.submit_job("work", None, routing_key=Route.REPORTS)
    second = await client.submit_job("work", None, routing_key="reports")
    (third,) = await client.submit_jobs([JobSpec("work", None, routing_key=Route.REPORTS)])
    assert broker.queued("route:reports:queue:normal") == [first, second, third]
    assert broker.job(first)["routing_key"] == broker.job(third)["routing_key"] == "reports"


async def test_a_route_of_an_enum_in_a_job_by_hand(
    broker: Broker, async_client: AsyncClient
) -> None:
    """A job that was made without `Job.create` goes to the route that its document names."""
    made = replace(Job.create("work", None, job_id="a"), routing_key=Route.REPORTS)
    await async_client.queue.enqueue(made)
    await async_client.queue.enqueue_scheduled(replace(made, id="b"), timedelta(hours=1))
    assert broker.queued("route:reports:queue:normal") == ["a"]
    assert broker.job("a")["routing_key"] == broker.job("b")["routing_key"] == "reports"


def as_text(value: Any) -> str:
    """Convert times only."""
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError


async def test_payloads_are_converted(broker: Broker, connect: Connect) -> None:
    """The setting json_default converts payloads of every kind of submit."""
    client = await connect(broker.url, json_default=as_text)
    at = datetime(2030, 1, 1, tzinfo=UTC)
    ids = [
        await client.submit_job("work", {"at": at}),
        await client.submit_job("work", {"at": at}, job_id="chosen"),
        await client.submit_job_scheduled("work", {"at": at}, scheduled_for=timedelta(hours=1)),
        *await client.submit_jobs([JobSpec("work", {"at": at})]),
    ]
    for job_id in ids:
        assert broker.job(job_id)["payload"] == {"at": "2030-01-01T00:00:00+00:00"}
    with pytest.raises(SerializationError, match=r"payload\[0\] is of type set.*json_default"):
        await client.submit_job("work", [{1}])
