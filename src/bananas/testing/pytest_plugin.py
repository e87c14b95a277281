"""pytest fixtures: a local queue for each test, and clients of it."""

from __future__ import annotations

from typing import Iterator

import pytest

from ..client import AsyncClient
from ..sync import Client
from .clock import Clock, SystemClock
from .embedded import EmbeddedBroker
from .harness import LocalQueue

__all__ = [
    "bananas_async_client",
    "bananas_broker",
    "bananas_client",
    "bananas_clock",
    "bananas_queue",
]


@pytest.fixture(scope="session")
def bananas_broker() -> Iterator[EmbeddedBroker]:
    """An embedded broker without a worker, for all tests of the session."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def bananas_clock() -> Clock:
    """The clock of ``bananas_queue``; a project that overrides it may return a ManualClock."""
    return SystemClock()


@pytest.fixture
def bananas_queue(bananas_broker: EmbeddedBroker, bananas_clock: Clock) -> Iterator[LocalQueue]:
    """An empty queue with a running worker and scheduler: give it handlers with ``handle()``."""
    bananas_broker.clear()
    with LocalQueue(bananas_broker.url, clock=bananas_clock) as queue:
        yield queue


@pytest.fixture
def bananas_client(bananas_queue: LocalQueue) -> Iterator[Client]:
    """A blocking client of ``bananas_queue``."""
    with Client(bananas_queue.url) as client:
        yield client


@pytest.fixture
def bananas_async_client(bananas_queue: LocalQueue) -> AsyncClient:
    """A client of ``bananas_queue`` for the test's own event loop, whichever plugin runs it.

    It is not connected yet: ``async with bananas_async_client as client``.
    """
    return AsyncClient(bananas_queue.url)
