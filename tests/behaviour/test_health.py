"""Probes say whether a client is alive and ready, and why not."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Iterator, Union

import pytest

from bananas import AsyncClient, Client
from bananas.health import Health, liveness, readiness
from bananas.testing import EmbeddedBroker


@pytest.fixture
def silent_url() -> Iterator[str]:
    """Where connections are accepted, and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://:s3cret@127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def url(embedded_broker: EmbeddedBroker) -> str:
    """Where there is a Redis."""
    return embedded_broker.url


async def test_a_client_that_works(url: str) -> None:
    """It is alive and ready, and the answer can be written as JSON."""
    async with AsyncClient(url) as client:
        for health in (liveness(client), await readiness(client)):
            _check_well(health)


def test_a_blocking_client_that_works(url: str) -> None:
    """The same for a client that blocks."""
    with Client(url) as client:
        for health in (liveness(client), readiness(client)):
            _check_well(health)


def _check_well(health: Health) -> None:
    assert (health.ok, health.reasons, health.http_status) == (True, (), 200)
    assert json.loads(json.dumps(health.to_dict()))["stats"]["connected"] is True


async def test_a_redis_that_does_not_answer(silent_url: str) -> None:
    """The client is alive, and not ready; the limit of the probe is kept, and no password shown."""
    client = AsyncClient(silent_url)
    try:
        assert liveness(client).ok
        health = await readiness(client, 0.05)
    finally:
        await client.close()
    assert (health.ok, health.http_status) == (False, 503)
    assert health.reasons == ("Redis has not answered within 0.05 s",)
    assert "s3cret" not in json.dumps(health.to_dict())


def test_a_redis_that_is_gone() -> None:
    """Both kinds name the address that can't be reached, and stay alive."""
    broker = EmbeddedBroker()
    broker.start()
    address = broker.url.partition("//")[2].partition("/")[0]

    async def ask() -> None:
        async with AsyncClient(broker.url) as client:
            broker.stop()
            _check_unreachable(client, await readiness(client), address)

    with Client(broker.url) as client:
        asyncio.run(ask())
        _check_unreachable(client, readiness(client), address)


def _check_unreachable(client: Union[AsyncClient, Client], health: Health, address: str) -> None:
    assert not health.ok
    assert address in health.reasons[0]
    assert liveness(client).ok


async def test_a_closed_client(url: str) -> None:
    """A closed one is neither alive nor ready."""
    async with AsyncClient(url) as client:
        pass
    for health in (liveness(client), await readiness(client)):
        _check_closed(health)


def test_a_closed_blocking_client(url: str) -> None:
    """Neither is a closed one that blocks."""
    with Client(url) as client:
        pass
    for health in (liveness(client), readiness(client)):
        _check_closed(health)


def _check_closed(health: Health) -> None:
    assert (health.ok, health.stats) == (False, None)
    assert "closed" in health.reasons[0]


def test_a_loop_that_has_ended(url: str) -> None:
    """A client whose loop is over can't work in another one, and says so."""
    client = AsyncClient(url)

    async def use() -> None:
        await client.connect()

    asyncio.run(use())
    health = liveness(client)
    assert (health.ok, len(health.reasons)) == (False, 1)
    assert "event loop has ended" in health.reasons[0]
    assert asyncio.run(readiness(client)) == health
    asyncio.run(client.close())


async def test_a_loop_that_is_held_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener that never has its turn is a reason to begin anew."""
    async with AsyncClient(url, ping_interval=1) as client:
        waiting = asyncio.ensure_future(client.wait_for_result("some-job", None))
        while not client.stats().listening:
            await asyncio.sleep(0.001)
        assert liveness(client).ok
        listener = client._waits.listener
        monkeypatch.setattr(listener, "_last_read", listener._last_read - 60)
        (reason,) = liveness(client).reasons
        assert "the event loop is blocked" in reason
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_a_client_in_the_wrong_place(url: str) -> None:
    """A blocking client is not asked in a running loop, and a limit makes sense."""
    loop = asyncio.get_running_loop()
    client = await loop.run_in_executor(None, Client, url)
    try:
        with pytest.raises(RuntimeError, match="running event loop"):
            readiness(client)
        with pytest.raises(ValueError, match="timeout"):
            readiness(client, -1)
    finally:
        await loop.run_in_executor(None, client.close)
