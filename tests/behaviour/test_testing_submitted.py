"""What was submitted to a local queue can be listed, filtered and asserted."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Iterator
from unittest.mock import ANY

import pytest

from bananas import Client, JobPriority, JobSpec
from bananas.testing import LocalQueue, ManualClock, fail, succeed
from tests.behaviour.broker import Broker

START = datetime(2025, 1, 15, 10, 30, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
EMAIL = {"to": "ada@example.com", "items": [{"sku": 1, "n": 2}, {"sku": 2}], "urgent": True}


@pytest.fixture
def queue(broker: Broker) -> Iterator[LocalQueue]:
    with LocalQueue(broker.url, clock=ManualClock(START), background=False) as queue:
        yield queue


@pytest.fixture
def client(queue: LocalQueue) -> Iterator[Client]:
    with queue.client() as client:
        yield client


def test_the_list(queue: LocalQueue, client: Client) -> None:
    """It keeps the order of the submits, and can be filtered."""
    assert queue.submitted == []
    client.submit_job("b", 1)
    client.submit_jobs([JobSpec("a", 2), JobSpec("b", 3, JobPriority.HIGH, job_id="mine")])
    client.submit_job("a", 4, job_id="mine")  # which exists
    assert queue.submitted.names == ["b", "a", "b"]
    assert [job.payload for job in queue.submitted] == [1, 2, 3]
    assert [job.payload for job in queue.submitted.filter("b")] == [1, 3]
    assert [job.id for job in queue.submitted.filter(priority="high")] == ["mine"]
    assert queue.submitted.filter("b").filter(payload=1).names == ["b"]


def test_jobs_are_shown_as_they_were_submitted(queue: LocalQueue, client: Client) -> None:
    """Whatever the scheduler and the worker have made of them since."""
    queue.handle("work", fail(times=1, then=succeed(1)))
    client.submit_job_scheduled("work", EMAIL, scheduled_for=HOUR)
    assert len(queue.run_until_idle(within=2 * HOUR)) == 2
    job = queue.assert_submitted("work", scheduled_for=START + HOUR)
    assert (job.attempts, job.scheduled_for) == (0, START + HOUR)
    queue.assert_submitted("work", scheduled_for=HOUR, times=1)
    queue.assert_not_submitted("work", scheduled_for=None)


def test_other_clients_are_seen_too(broker: Broker, queue: LocalQueue) -> None:
    """The code that is tested makes its own."""
    with Client(broker.url) as other:
        job_id = other.submit_job("work", EMAIL, description="by another")
    job = queue.assert_submitted("work", payload=EMAIL, description="by another", job_id=job_id)
    assert job.id == job_id
    broker.command("SET", "bananas:job:broken", "{")
    assert queue.submitted.names == ["work"]


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"to": "ada@example.com"},
        {"to": ANY},
        {"items": [{"sku": 1}, {}]},
        {"items": ({"n": 2}, ANY)},
        {"urgent": True},
        EMAIL,
    ],
)
def test_a_part_of_the_payload_is_enough(queue: LocalQueue, client: Client, payload: Any) -> None:
    """At any depth."""
    client.submit_job("send", EMAIL)
    queue.assert_submitted("send", payload=payload)
    with pytest.raises(AssertionError, match=r"^1 job 'send' with payload=.* was submitted"):
        queue.assert_not_submitted("send", payload=payload)


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        ({"payload": {"to": "bob"}}, "payload.to: expected 'bob', found 'ada@example.com'"),
        ({"payload": {"cc": 1}}, "payload.cc: expected 1, it is missing"),
        ({"payload": {"items": [{}]}}, "payload.items: expected 1 elements, found 2"),
        ({"payload": {"items": [{"n": 3}, {}]}}, "payload.items[0].n: expected 3, found 2"),
        ({"payload": {"urgent": 1}}, "payload.urgent: expected 1, found True"),
        ({"payload": None}, f"payload: expected None, found {EMAIL!r}"),
        ({"priority": "high"}, "priority: expected high, found normal"),
        ({"priority": JobPriority.LOW}, "priority: expected low, found normal"),
        ({"routing_key": "gpu"}, "routing_key: expected 'gpu', found None"),
        ({"max_retries": 5}, "max_retries: expected 5, found 3"),
        ({"job_id": "x"}, "job_id: expected 'x', found 'mine'"),
        ({"scheduled_for": HOUR}, "scheduled_for: expected 1:00:00 after the submit, found not"),
        ({"scheduled_for": START}, "scheduled_for: expected 2025-01-15T10:30:00+00:00, found None"),
    ],
)
def test_what_differs_is_told(
    queue: LocalQueue, client: Client, expected: Dict[str, Any], line: str
) -> None:
    """In a line for each place."""
    client.submit_job("send", EMAIL, job_id="mine")
    with pytest.raises(AssertionError) as caught:
        queue.assert_submitted("send", **expected)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("no job 'send' with ")
    assert lines[1].startswith("  the closest is 'send' {'to':")
    assert lines[2].startswith(f"    {line}")
    assert lines[3:] == ["  submitted: send (1)"]


def test_a_misspelt_name_and_a_wrong_number(queue: LocalQueue, client: Client) -> None:
    """Both are told as well."""
    for number in range(2):
        client.submit_job("send_email", number, job_id=f"n{number}")
    with pytest.raises(AssertionError) as caught:
        queue.assert_submitted("sned_email")
    assert str(caught.value) == (
        "no job 'sned_email' was submitted\n  submitted: send_email (2): did you mean 'send_email'?"
    )
    with pytest.raises(AssertionError) as caught:
        queue.assert_submitted("send_email", times=3)
    assert str(caught.value).splitlines() == [
        "2 jobs, not 3, 'send_email' was submitted",
        "  found: 'send_email' 0, priority normal (n0)",
        "  found: 'send_email' 1, priority normal (n1)",
        "  submitted: send_email (2)",
    ]


def test_nothing_was_submitted(queue: LocalQueue, client: Client) -> None:
    """Without a name, it means any job."""
    queue.assert_not_submitted()
    with pytest.raises(AssertionError, match=r"submitted: nothing$"):
        queue.assert_submitted("work")
    client.submit_job("work", 1)
    queue.assert_not_submitted("other")
    with pytest.raises(AssertionError, match=r"^1 job was submitted\n  'work' 1, priority"):
        queue.assert_not_submitted()


def test_what_can_not_be_expected(queue: LocalQueue) -> None:
    """A naive time, and a priority that there is none."""
    with pytest.raises(ValueError, match="aware datetime"):
        queue.assert_submitted("work", scheduled_for=datetime(2025, 1, 1))
    with pytest.raises(ValueError, match="priority"):
        queue.assert_submitted("work", priority="urgent")  # type: ignore[arg-type]
