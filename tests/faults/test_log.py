"""What operators are told of connections: each event once, with the address and no secret."""

from __future__ import annotations

import asyncio
import logging
from typing import List, Tuple

import pytest

from bananas import AsyncClient
from tests.support import FaultProxy, RedisServer

from .timing import eventually

pytestmark = pytest.mark.asyncio

SECRET = "hunter2-and-more"


def _told(caplog: pytest.LogCaptureFixture, purpose: str) -> List[Tuple[int, str]]:
    assert SECRET not in caplog.text
    return [
        (record.levelno, record.getMessage())
        for record in caplog.records
        if record.name == "bananas" and record.levelno >= logging.INFO
        and f"({purpose})" in record.getMessage()
    ]  # fmt: skip


@pytest.mark.parametrize("purpose", ["submits and reads", "results"])
async def test_outage(caplog: pytest.LogCaptureFixture, purpose: str) -> None:
    """A loss, the vain attempts after it, and the recovery are one line each."""
    caplog.set_level(logging.INFO, "bananas")
    with RedisServer(password=SECRET) as server, FaultProxy(server) as proxy:
        async with AsyncClient(proxy.url(), connect_timeout=20) as client:
            wait = asyncio.ensure_future(client.wait_for_result("awaited", 60))
            await client.submit_job("work", None)
            await eventually(lambda: client.stats().listening, "the listener")
            assert _told(caplog, purpose) == []
            opened = proxy.connections_opened
            proxy.refuse()
            proxy.cut_all()
            await eventually(lambda: not client.stats().listening, "the loss")
            await eventually(lambda: len(_told(caplog, purpose)) >= 2, "two lines")
            proxy.accept()
            await client.submit_job("work", None)
            await eventually(lambda: client.stats().listening, "the listener")
            wait.cancel()
            assert proxy.connections_opened == opened + 2
    (lost, why), (vain, reason), (again, done) = _told(caplog, purpose)
    assert (lost, vain, again) == (logging.WARNING, logging.WARNING, logging.INFO)
    address = f"redis://127.0.0.1:{proxy.port}/0"
    assert why.startswith(f"lost the connection to Redis at {address}")
    assert reason.endswith("connection refused")
    assert done.startswith(f"connected to Redis at {address}")


async def test_another_process(caplog: pytest.LogCaptureFixture) -> None:
    """A server that is another process than before is said to be one."""
    caplog.set_level(logging.INFO, "bananas")
    with RedisServer() as first, RedisServer() as second, FaultProxy(first) as proxy:
        async with AsyncClient(proxy.url()) as client:
            proxy.upstream = second.port
            proxy.cut_all()
            await client.submit_job("work", None)
    levels = [level for level, _ in _told(caplog, "submits and reads")]
    assert levels == [logging.WARNING, logging.INFO, logging.WARNING]
    assert "has taken over" in caplog.text
