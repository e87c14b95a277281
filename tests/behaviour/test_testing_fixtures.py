"""The fixtures that a project's tests find by name."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bananas import AsyncClient, Client, Job, JobPriority
from bananas.testing import EmbeddedBroker, LocalQueue, SystemClock
from bananas.testing.pytest_plugin import (  # noqa: F401
    bananas_async_client,
    bananas_broker,
    bananas_client,
    bananas_clock,
    bananas_queue,
)


@pytest.fixture(autouse=True, scope="module")
def broker_of_this_module(bananas_broker: EmbeddedBroker) -> None:  # noqa: F811
    """Starts the broker before each test's own threads are counted."""


def double(job: Job) -> int:
    found: int = 2 * job.payload
    return found


def test_a_queue_and_a_blocking_client(
    bananas_queue: LocalQueue,  # noqa: F811
    bananas_client: Client,  # noqa: F811
) -> None:
    """What the client submits, the queue's handlers run."""
    bananas_queue.handle("double", double)
    assert bananas_client.submit_and_wait("double", 21).get_result() == 42
    assert isinstance(bananas_queue.clock, SystemClock)


async def test_a_client_for_the_tests_own_loop(
    bananas_queue: LocalQueue,  # noqa: F811
    bananas_async_client: AsyncClient,  # noqa: F811
) -> None:
    """It is connected by the test."""
    bananas_queue.handle("double", double)
    async with bananas_async_client as client:
        assert (await client.submit_and_wait("double", 21)).get_result() == 42


@pytest.mark.parametrize("_", ["first", "second"])
def test_each_test_begins_with_an_empty_queue(
    bananas_client: Client,  # noqa: F811
    _: str,
) -> None:
    """Although all share one broker."""
    assert bananas_client.get_job("mine") is None
    tomorrow = timedelta(days=1)
    bananas_client.submit_job_scheduled("work", {}, JobPriority.LOW, tomorrow, job_id="mine")
