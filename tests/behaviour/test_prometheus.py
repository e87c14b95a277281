"""A collector gives Prometheus what a client knows, and holds up no scrape."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Dict, Optional

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from bananas import AsyncClient, Client, JobPriority
from bananas._awaited_calls import AwaitedClient
from bananas.prometheus import BananasCollector
from tests.behaviour.broker import Broker


@pytest.fixture
def embedded(embedded_session: Broker) -> Broker:
    """An empty embedded broker."""
    embedded_session.flush()
    return embedded_session


def _values(collector: BananasCollector) -> Dict[str, float]:
    """Return what a scrape gets, by name with labels."""
    registry = CollectorRegistry()
    registry.register(collector)
    lines = generate_latest(registry).decode().splitlines()
    pairs = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in pairs}


def _submit(client: Client) -> None:
    client.submit_job("work", None, JobPriority.HIGH)
    client.submit_job("work", None, routing_key="gpu")


_DEPTHS = {
    'bananas_queued_jobs{priority="high",route=""}': 1.0,
    'bananas_queued_jobs{priority="normal",route="gpu"}': 1.0,
    "bananas_scheduled_jobs": 0.0,
    "bananas_dead_jobs": 0.0,
    "bananas_depths_failures_total": 0.0,
}


def test_a_blocking_client(embedded: Broker) -> None:
    """Counters and depths are there, in the thread that scrapes."""
    with Client(embedded.url) as client:
        _submit(client)
        collector = BananasCollector(client, depths=True, routing_keys=["gpu"], timeout=30)
        found = _values(collector)
        assert found["bananas_connected"] == 1
        assert found["bananas_round_trips_total"] >= 2
        assert found["bananas_waits"] == 0
        assert found['bananas_results_total{found_by="notification"}'] == 0
        assert {name: found[name] for name in _DEPTHS} == _DEPTHS
    assert _values(collector) == {"bananas_connected": 0.0}


async def test_an_asyncio_client(embedded: Broker) -> None:
    """Another thread scrapes; in the loop's own thread the next scrape has the depths."""
    async with AsyncClient(embedded.url) as client:
        await client.submit_job("work", None)
        collector = BananasCollector(client, depths=True, timeout=30)
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(None, _values, collector)
        assert found['bananas_queued_jobs{priority="normal",route=""}'] == 1
        collector = BananasCollector(client, depths=True)
        assert "bananas_dead_jobs" not in _values(collector)
        assert collector._depths is not None
        counting = collector._depths._under_way
        assert counting is not None
        await asyncio.wait_for(asyncio.wrap_future(counting), 30)
        assert _values(collector)["bananas_dead_jobs"] == 0


def test_a_client_that_is_awaited_in_any_loop(embedded: Broker) -> None:
    """The collector asks the blocking client behind it."""
    with Client(embedded.url) as client:
        collector = BananasCollector(AwaitedClient(client), depths=True, timeout=30)
        assert _values(collector)["bananas_dead_jobs"] == 0


def test_depths_are_kept(embedded: Broker) -> None:
    """They are read once in their time, and again after it."""
    with Client(embedded.url) as client:
        kept = BananasCollector(client, depths=True, timeout=30, max_age=3600)
        fresh = BananasCollector(client, depths=True, timeout=30, max_age=0)
        name = 'bananas_queued_jobs{priority="high",route=""}'
        for collector in (kept, fresh):
            assert _values(collector)[name] == 0
        _submit(client)
        assert (_values(kept)[name], _values(fresh)[name]) == (0, 1)


def test_a_slow_redis_holds_up_no_scrape(embedded: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is late is left out, or given as it was, and no second question is asked meanwhile."""
    asked = 0
    answer: Optional[asyncio.Future[Any]] = None
    with Client(embedded.url) as client:
        collector = BananasCollector(client, depths=True, timeout=0.01, max_age=0)
        inner = client._connections.inner

        async def depths(routes: object) -> Any:
            nonlocal asked, answer
            asked += 1
            answer = asyncio.get_running_loop().create_future()
            return await answer

        monkeypatch.setattr(inner.queue, "depths", depths)
        before = time.monotonic()
        for _ in range(3):
            assert "bananas_dead_jobs" not in _values(collector)
        assert time.monotonic() - before < 30
        assert asked == 1
        assert answer is not None
        answer.get_loop().call_soon_threadsafe(answer.set_exception, RuntimeError("no"))
        assert collector._depths is not None
        counting = collector._depths._under_way
        assert counting is not None
        assert isinstance(counting.exception(30), RuntimeError)
        assert _values(collector)["bananas_depths_failures_total"] == 1


def test_a_client_that_nobody_has_used(embedded: Broker) -> None:
    """It has no loop yet: there are its counters, and no depths."""
    found = _values(BananasCollector(AsyncClient(embedded.url), depths=True))
    assert found["bananas_connected"] == 0
    assert "bananas_dead_jobs" not in found


def test_arguments(embedded: Broker) -> None:
    """A number that makes no sense is refused."""
    for name in ("max_age", "timeout"):
        with pytest.raises(ValueError, match=name):
            BananasCollector(AsyncClient(embedded.url), depths=True, **{name: -1})  # type: ignore[arg-type]
