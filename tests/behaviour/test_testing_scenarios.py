"""What a job goes through, on the embedded broker and on every server: the double can't drift."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Dict, List, Tuple

import pytest

from bananas import Client, JobExistsError, JobPlace
from bananas.testing import (
    Handler,
    LocalQueue,
    ManualClock,
    crash_worker,
    fail,
    panic,
    succeed,
    unhandled,
)
from tests.behaviour.broker import Broker

START = datetime(2025, 1, 15, 10, 30, tzinfo=timezone.utc)
DAY = timedelta(days=1)
PLACES = ("high", "normal", "low", "processing", "dead")


def submit(client: Client) -> None:
    client.submit_job("work", {"n": 1}, job_id="mine")


def submit_twice(client: Client) -> None:
    submit(client)
    submit(client)
    with pytest.raises(JobExistsError):
        client.submit_job("work", {}, job_id="mine", if_exists="raise")


def schedule(client: Client) -> None:
    client.submit_job_scheduled("work", {"n": 1}, scheduled_for=DAY, job_id="mine")


def submit_once(client: Client) -> None:
    client.submit_job("work", {"n": 1}, "high", job_id="mine", max_retries=1)


Scenario = Tuple[Callable[[Client], None], Handler, List[str], str, JobPlace, Dict[str, Any]]
RETRIES = ["retry", "retry"]
SCENARIOS: Dict[str, Scenario] = {
    "success": (submit, succeed([1]), ["succeeded"], "", JobPlace.COMPLETED, {"result": "[1]"}),
    "no data": (submit, succeed(), ["succeeded"], "", JobPlace.COMPLETED, {}),
    "submitted twice": (submit_twice, succeed(0), ["succeeded"], "", JobPlace.COMPLETED, {}),
    "retried": (submit, fail("a", times=2), [*RETRIES, "succeeded"], "", JobPlace.COMPLETED, {}),
    "dead": (submit, fail("a"), [*RETRIES, "dead"], "dead", JobPlace.DEAD, {"error": "a"}),
    "dead at once": (submit_once, fail("a"), ["dead"], "dead", JobPlace.DEAD, {"error": "a"}),
    "panic": (submit_once, panic("a"), ["dead"], "dead", JobPlace.DEAD, {}),
    "unhandled": (submit_once, unhandled(), ["dead"], "dead", JobPlace.DEAD, {}),
    "scheduled": (schedule, succeed(0), ["succeeded"], "", JobPlace.COMPLETED, {"result": "0"}),
    "crash": (submit, crash_worker(), ["lost"], "processing", JobPlace.TAKEN, {}),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_life(broker: Broker, name: str) -> None:
    """Where the job is in the end, what is stored of it, and what a client says."""
    begin, handler, outcomes, place, where, stored = SCENARIOS[name]
    with LocalQueue(broker.url, clock=ManualClock(START), background=False) as queue:
        queue.handle("work", handler)
        with queue.client() as client:
            begin(client)
            runs = queue.run_until_idle(within=2 * DAY)
            assert [str(run.outcome) for run in runs] == outcomes
            found = client.locate("mine")
    assert found.place is where
    assert [name for name in PLACES if broker.queued(f"queue:{name}")] == ([place] if place else [])
    assert broker.scheduled() == {}
    result = broker.result("mine")
    assert {key: result.get(key) for key in stored} == stored
    if outcomes[-1] == "succeeded":
        assert (result["status"], broker.job("mine")["status"]) == ("completed", "completed")
    elif outcomes[-1] == "dead":
        assert broker.job("mine")["status"] == "failed"
        assert bool(result) is (name in ("dead", "dead at once"))


def test_a_retry_on_its_way(broker: Broker) -> None:
    """It is among the scheduled ones, with the score of its whole second."""
    with LocalQueue(broker.url, clock=ManualClock(START), background=False) as queue:
        queue.handle("work", fail("a"))
        with queue.client() as client:
            submit(client)
            queue.run_until_idle()
            found = client.locate("mine")
    assert (found.place, found.due) == (JobPlace.RETRYING, START + timedelta(seconds=2))
    assert broker.scheduled() == {"mine": START.timestamp() + 2}
    job = broker.job("mine")
    assert (job["status"], job["attempts"], job["error"]) == ("pending", 1, "a")
    assert broker.result("mine")["status"] == "failed"
