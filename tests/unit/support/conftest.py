"""One server for all tests of a module, a proxy and a connection through it for each."""

from __future__ import annotations

from typing import Iterator

import pytest

from tests.support import FaultProxy, RawClient, RedisServer


@pytest.fixture(scope="module")
def shared_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def server(shared_server: RedisServer) -> RedisServer:
    shared_server.command("FLUSHALL")
    return shared_server


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[FaultProxy]:
    with FaultProxy(server) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[RawClient]:
    with RawClient(proxy.port) as client:
        yield client
