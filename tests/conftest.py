"""The brokers that tests of every kind share."""

from __future__ import annotations

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
