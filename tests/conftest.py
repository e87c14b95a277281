"""The brokers that tests of every kind share."""

from __future__ import annotations

import asyncio
import inspect
import sys
from typing import Iterator

import pytest

from bananas.testing import EmbeddedBroker
from tests.faults.seed import pytest_addoption, pytest_report_header
from tests.support import RedisServer

__all__ = ["embedded_broker", "pytest_addoption", "pytest_report_header", "redis_server"]


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A real Redis, for all tests that do not bend it."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[EmbeddedBroker]:
    """The broker that comes with the package, without a worker."""
    with EmbeddedBroker() as broker:
        yield broker


if sys.version_info < (3, 9):
    # The last pytest-asyncio for Python 3.8 leaves an open loop behind each asynchronous test, and
    # an asyncio.run() in a later test would drop it without closing it.

    @pytest.fixture(autouse=True)
    def _no_loop_of_an_earlier_test(request: pytest.FixtureRequest) -> None:
        policy = asyncio.get_event_loop_policy()
        loop = getattr(getattr(policy, "_local", None), "_loop", None)
        if loop is None or loop.is_running() or "event_loop" in request.fixturenames:
            return
        if not inspect.iscoroutinefunction(request.function):
            policy.set_event_loop(None)
            loop.close()
