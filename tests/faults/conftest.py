"""A server, a proxy in front of it and a seed for each test, and nothing left of the last one."""

from __future__ import annotations

import random
from typing import Iterator

import pytest

from tests.support import FaultProxy, RedisServer

from .seed import OPTION, fault_seed


@pytest.fixture(scope="module")
def _shared_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_server(_shared_server: RedisServer) -> Iterator[RedisServer]:
    """A real server without any data, which the tests of a module use one after the other.

    A test may freeze or stop it, and leave it so; one that configures it takes ``own_server``.
    """
    _shared_server.command("FLUSHALL")
    yield _shared_server
    if _shared_server.running:
        _shared_server.resume()
    else:
        _shared_server.start()


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A real server that no other test uses."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[FaultProxy]:
    """A proxy in front of ``redis_server``, without a fault so far."""
    with FaultProxy(redis_server) as proxy:
        yield proxy


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run; pytest shows the line that is printed here with a failure."""
    seed = fault_seed(request.config)
    print(f"repeat with {OPTION}={seed}")
    return seed


@pytest.fixture
def rng(seed: int, request: pytest.FixtureRequest) -> random.Random:
    """A generator that the seed and the test's name determine."""
    return random.Random(f"{seed} {request.node.nodeid}")
