"""Scripted handlers do what their names say, in the background and step by step."""

from __future__ import annotations

import logging
from typing import Iterator

import pytest

from bananas import Client, Job
from bananas.testing import (
    Handler,
    LocalQueue,
    ManualClock,
    Step,
    UnknownJobError,
    crash_worker,
    fail,
    lose_notification,
    panic,
    slow,
    succeed,
    unhandled,
)
from tests.behaviour.broker import Broker

DAY = 86400


@pytest.fixture
def queue(broker: Broker) -> Iterator[LocalQueue]:
    with LocalQueue(broker.url, background=False) as queue:
        yield queue


@pytest.fixture
def client(queue: LocalQueue) -> Iterator[Client]:
    with queue.client() as client:
        yield client


@pytest.mark.parametrize(
    ("script", "outcomes", "error"),
    [
        (succeed(1), ["succeeded"], ""),
        (fail(), ["retry", "retry", "dead"], "failed, as the test says"),
        (fail("no paper"), ["retry", "retry", "dead"], "no paper"),
        (fail(KeyError("x")), ["retry", "retry", "dead"], "'x'"),
        (fail("a", times=2), ["retry", "retry", "succeeded"], "a"),
        (fail("a", times=1, then=fail("b")), ["retry", "retry", "dead"], "a"),
        (fail(times=0, then=succeed(1)), ["succeeded"], ""),
        (fail("a", times=1, then=lambda job: job.attempts), ["retry", "succeeded"], "a"),
        (panic("oh"), ["retry", "retry", "dead"], "panic: oh"),
        (panic("oh", times=1), ["retry", "succeeded"], "panic: oh"),
        (unhandled(times=1), ["retry", "succeeded"], "no handler registered for job: work"),
        (slow(5, fail("a", times=1)), ["retry", "succeeded"], "a"),
        (crash_worker(), ["lost"], "the worker has crashed"),
        (crash_worker(times=0, then=fail("a", times=1)), ["retry", "succeeded"], "a"),
    ],
)
def test_outcomes(
    queue: LocalQueue, client: Client, script: Handler, outcomes: list[str], error: str
) -> None:
    """Each attempt comes to what the script says, and the first one has its error."""
    queue.handle("work", script)
    client.submit_job("work", {})
    runs = queue.run_until_idle(within=DAY)
    assert [str(run.outcome) for run in runs] == outcomes
    assert runs[0].error == error


def test_a_script_begins_anew_with_each_queue(broker: Broker) -> None:
    """Tests may share one, though their jobs have the same id."""
    script = fail(times=1, then=fail(times=1))
    for _ in range(2):
        broker.flush()
        with LocalQueue(broker.url, background=False) as queue, queue.client() as client:
            queue.handle("work", script)
            client.submit_job("work", {}, job_id="mine")
            outcomes = [run.outcome for run in queue.run_until_idle(within=DAY)]
            assert outcomes == ["retry", "retry", "succeeded"]


def test_jobs_are_counted_apart(queue: LocalQueue, client: Client) -> None:
    """``times`` counts the attempts at one job."""
    queue.handle("work", fail(times=1, then=succeed(1)))
    for _ in range(2):
        client.submit_job("work", {})
    outcomes = [run.outcome for run in queue.run_until_idle(within=DAY)]
    assert outcomes == ["retry", "retry", "succeeded", "succeeded"]


@pytest.mark.parametrize("script", [panic(), unhandled()])
def test_no_result_is_stored(
    broker: Broker, queue: LocalQueue, client: Client, script: Handler
) -> None:
    """A wait finds the reason in the document."""
    queue.handle("work", script)
    job_id = client.submit_job("work", {}, max_retries=1)
    [run] = queue.run_until_idle()
    assert broker.result(job_id) == {}
    result = client.wait_for_result(job_id, 0)
    assert (result.is_failed, result.error) == (True, run.error)


@pytest.mark.parametrize(
    ("after", "stored"), [(None, False), (Step.STORED, True), (Step.PUBLISHED, True)]
)
def test_a_crashed_worker_leaves_the_job_behind(
    broker: Broker, queue: LocalQueue, client: Client, after: Step, stored: bool
) -> None:
    """In ``processing``, with what it has done before."""
    queue.handle("work", crash_worker(after=after, doing=succeed(7)))
    job_id = client.submit_job("work", {})
    assert [run.outcome for run in queue.run_until_idle()] == ["lost"]
    assert broker.queued("queue:processing") == [job_id]
    assert broker.job(job_id)["status"] == "pending"
    assert bool(broker.result(job_id)) is stored


def test_a_lost_notification_in_the_background(broker: Broker) -> None:
    """The result is found by a read, a little later."""
    with LocalQueue(broker.url) as queue, queue.client(safety_interval=0.1) as client:
        queue.handle("work", lose_notification(succeed(7)))
        assert client.submit_and_wait("work", {}).get_result() == 7


def test_a_slow_handler_in_the_background(broker: Broker) -> None:
    """It waits for the queue's clock."""
    clock = ManualClock()
    with LocalQueue(broker.url, clock=clock) as queue, queue.client() as client:
        queue.handle("slow", slow(60, succeed("late")))
        queue.handle("quick", succeed("now"))
        job_id = client.submit_job("slow", {})
        assert client.submit_and_wait("quick", {}).get_result() == "now"
        assert client.get_result(job_id) is None
        for _ in range(1000):  # it may not yet have begun
            clock.advance(61)
            if client.get_result(job_id) is not None:
                break
        assert client.wait_for_result(job_id).get_result() == "late"


def test_what_scripts_refuse() -> None:
    """What could not be meant."""
    with pytest.raises(ValueError, match=r"^fail\(then=\.\.\.\) needs times"):
        fail(then=succeed())
    with pytest.raises(ValueError, match=r"^span must be 0 or more"):
        slow(-1)
    assert repr(fail()) == "<bananas.testing.fail>"


def test_a_handlers_error_is_logged(
    queue: LocalQueue, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """With its traceback, unless a script has raised it; in text that can be encoded."""

    @queue.handler("work")
    def work(job: Job) -> None:
        raise ValueError("no \ud800 paper")

    queue.handle("meant", fail("as meant"))
    for name in ("work", "meant"):
        client.submit_job(name, {"secret": 1}, max_retries=1)
    runs = queue.run_until_idle()
    assert [type(run.exception) for run in runs] == [ValueError, type(None)]
    [record] = caplog.records
    assert (record.name, record.levelno) == ("bananas.testing", logging.ERROR)
    text = record.getMessage()
    assert f"job {runs[0].job_id}: its handler for work has raised" in text
    assert "in work\n    raise ValueError(" in text
    assert "secret" not in text
    text.encode()


# -- strict mode -----------------------------------------------------------------------------------


@pytest.fixture
def strict(broker: Broker) -> LocalQueue:
    queue = LocalQueue(broker.url, background=False, strict=True)
    queue.handle("send_email", succeed())
    return queue


def test_a_misspelt_name_fails_at_the_submit(strict: LocalQueue) -> None:
    """With the name that was meant; nothing is submitted."""
    with strict, strict.client() as client:
        with pytest.raises(UnknownJobError) as caught:
            client.submit_job("sned_email", {})
        assert strict.submitted == []
        client.submit_job("send_email", {})
    assert str(caught.value) == (
        "no handler for the job name 'sned_email': did you mean 'send_email'?; "
        "there are handlers for: send_email"
    )


def test_a_misspelt_name_of_another_client(broker: Broker, strict: LocalQueue) -> None:
    """It costs no retries, and the queue tells of it when the jobs are run."""
    with strict, Client(broker.url) as client:
        job_id = client.submit_job("sned_email", {})
        with pytest.raises(UnknownJobError, match="did you mean 'send_email'"):
            strict.run_until_idle()
        assert [(run.attempt, run.outcome) for run in strict.runs] == [(1, "dead")]
        assert broker.queued("queue:dead") == [job_id]


def test_a_misspelt_name_in_the_background(broker: Broker) -> None:
    """A wait ends at once, and the end of the queue tells of it."""
    queue = LocalQueue(broker.url, strict=True).start()
    with Client(broker.url, safety_interval=1000) as client:
        result = client.submit_and_wait("sned_email", {})
    assert result.is_failed
    assert "no handler" in result.error
    with pytest.raises(UnknownJobError, match="there are handlers for: none yet"):
        queue.__exit__(None, None, None)
