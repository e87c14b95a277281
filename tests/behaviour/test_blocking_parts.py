"""The queue and the results that a blocking client hands out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bananas import (
    Client,
    ClientClosedError,
    Job,
    JobExistsError,
    JobPriority,
    JobResult,
    JobStatus,
)
from tests.behaviour.broker import Broker


def test_the_queue(real_broker: Broker) -> None:
    """It takes jobs that were made by hand, reads them, and counts them."""
    with Client(real_broker.url) as client:
        queue = client.queue
        job = Job.create("work", {"n": 1}, "high", job_id="a")
        assert queue.enqueue(job) == "a"
        with pytest.raises(JobExistsError):
            queue.enqueue(job, if_exists="raise")
        later = Job.create("work", 2, job_id="b")
        assert queue.enqueue_scheduled(later, timedelta(hours=1)) == "b"
        assert queue.get_job("a") == job
        assert [found and found.id for found in queue.get_jobs(iter(["b", "c"]))] == ["b", None]
        depths = queue.depths(["eu"])
        assert (depths.queued[None][JobPriority.HIGH], depths.scheduled) == (1, 1)
        assert depths.queued["eu"][JobPriority.HIGH] == 0
        assert repr(queue) == f"<BlockingQueue of {client!r}>"
    with pytest.raises(ClientClosedError):
        queue.depths()


def test_the_results(real_broker: Broker) -> None:
    """They store, read, await and delete results."""
    with Client(real_broker.url) as client:
        results = client.results
        results.store_result(JobResult("a", JobStatus.COMPLETED, [1]))
        found = results.get_result("a")
        assert found is not None
        assert found.get_result() == [1]
        assert results.wait_for_result("a", 10).get_result() == [1]
        assert [one and one.result for one in results.get_results(iter("ab"))] == [[1], None]
        assert (results.delete_result("a"), results.delete_result("a")) == (True, False)
        assert repr(results) == f"<BlockingResultBackend of {client!r}>"


def test_a_part_outlives_the_name_of_its_client(real_broker: Broker) -> None:
    """A queue that is kept keeps its client."""
    queue = Client(real_broker.url).queue
    assert queue.depths().scheduled == 0
    queue._run.__self__.close()  # type: ignore[attr-defined]
