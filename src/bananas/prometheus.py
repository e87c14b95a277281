"""Prometheus: a collector for the counters of a client and the number of jobs in each place."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future
from typing import Iterable, Iterator, List, Optional, Tuple, Union

from . import exceptions as exc
from ._argument_checks import check_seconds
from ._awaited_calls import AwaitedClient
from ._fork_safety import OwnProcess
from ._missing_extras import missing_extra
from ._types import Seconds
from .client import AsyncClient, ClientStats
from .operating import QueueDepths
from .sync import Client

try:
    from prometheus_client import Metric
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
except ModuleNotFoundError as _error:
    if _error.name != "prometheus_client":
        raise
    raise missing_extra("bananas.prometheus", "prometheus-client", "prometheus") from _error

__all__ = ["BananasCollector"]

#: Depths that could not be read anew are given for so many seconds, and then no more.
_KEPT = 60.0
_CONNECTED = "Whether there is a connection for submits and reads."


class BananasCollector:
    """Gives the counters of a client to Prometheus.

    Write ``REGISTRY.register(BananasCollector(client))``. It works in any thread. Without
    ``depths`` it does no I/O.

    Args:
        client: A ``Client`` or an ``AsyncClient``.
        depths: True also counts the jobs in each place. One process of a service is enough for
            this, because all would report the same numbers.
        routing_keys: More routes to count; None means the flat lists. The client's route is always
            counted. Each route is a label, so the collector does not look for others.
        max_age: The numbers of jobs are read again after this many seconds.
        timeout: How many seconds a scrape waits for the numbers of jobs. If they are late, the next
            scrape has them. In a thread with a running event loop, a scrape never waits.

    Raises:
        ValueError: A number is not valid.
    """

    def __init__(
        self,
        client: Union[AsyncClient, Client],
        *,
        depths: bool = False,
        routing_keys: Iterable[Optional[str]] = (),
        max_age: Seconds = 10.0,
        timeout: Seconds = 0.5,
    ) -> None:
        self._client: Union[AsyncClient, Client] = client
        if isinstance(client, AwaitedClient):
            self._client = client._client
        self._depths: Optional[_Depths] = None
        if depths:
            self._depths = _Depths(
                self._client,
                tuple(routing_keys),
                check_seconds(max_age, "max_age"),
                check_seconds(timeout, "timeout"),
            )

    def describe(self) -> List[Metric]:
        """Describe nothing, so that registering it collects nothing."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; for a closed client, only that it is not connected."""
        try:
            stats = _stats(self._client)
        except exc.ClientClosedError:
            yield _gauge("connected", _CONNECTED, 0)
            return
        yield from _of_stats(stats)
        if self._depths is not None:
            yield from self._depths.collect()


def _stats(client: Union[AsyncClient, Client]) -> ClientStats:
    if isinstance(client, Client):
        client._connections.refuse_closed()
        return client._connections.stats()  # on whichever thread: it does not block
    client._queue._pipeline.refuse_closed()
    return client.stats()


def _of_stats(stats: ClientStats) -> Iterator[Metric]:
    yield _gauge("connected", _CONNECTED, stats.connected)
    yield _counter("connections", "Connections made for submits and reads.", stats.connections)
    yield _counter("reconnects", "Connections that replaced a lost one.", stats.reconnects)
    yield _counter("round_trips", "Round trips that submits and reads shared.", stats.pipelines)
    yield _gauge("open_requests", "Submits and reads under way.", stats.open_requests)
    yield _gauge("waits", "Jobs that are waited for.", stats.waits)
    yield _gauge("listening", "Whether the listener has a connection.", stats.listening)
    if stats.last_pong_age is not None:
        text = "Seconds since the listener last received data from Redis."
        yield _gauge("last_pong_age_seconds", text, stats.last_pong_age)
    results = CounterMetricFamily(
        "bananas_results", "Waits that ended with a result, by what found it.", labels=["found_by"]
    )
    results.add_metric(["notification"], stats.results_by_notification)
    results.add_metric(["safety_read"], stats.results_by_safety_read)
    yield results


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"bananas_{name}", text, value=float(value))


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"bananas_{name}", text, value=float(value))


class _Depths:
    """Reads the depths where the client runs, and keeps them for the scrapes that come after.

    Args:
        client: The client.
        routes: The routes to be counted, beside the client's own.
        max_age: Seconds for which they are given again.
        timeout: Seconds that a scrape waits for them.
    """

    def __init__(
        self,
        client: Union[AsyncClient, Client],
        routes: Tuple[Optional[str], ...],
        max_age: float,
        timeout: float,
    ) -> None:
        self._client = client
        self._routes = routes
        self._max_age = max_age
        self._timeout = timeout
        self._found: Optional[Tuple[float, QueueDepths]] = None
        self._failures = 0
        self._set_up()

    def _set_up(self) -> None:
        self._lock = threading.Lock()
        self._under_way: Optional[Future[QueueDepths]] = None
        self._process = OwnProcess()

    def collect(self) -> Iterator[Metric]:
        """Yield the depths, if they are known, and how often they could not be read."""
        self._refresh()
        text = "Attempts to count the jobs that failed."
        yield _counter("depths_failures", text, self._failures)
        found = self._found
        if found is None or time.monotonic() - found[0] > max(_KEPT, 2 * self._max_age):
            return
        read_at, depths = found
        age = time.monotonic() - read_at
        yield _gauge("depths_age_seconds", "Seconds since the jobs were counted.", age)
        yield from _of_depths(depths)

    def _refresh(self) -> None:
        if not self._process.is_current():  # a fork may have inherited both in use
            self._set_up()
        # One scrape at a time waits; another one takes what is there.
        if not self._lock.acquire(blocking=False):
            return
        try:
            found = self._found
            if found is not None and time.monotonic() - found[0] < self._max_age:
                return
            if self._under_way is None:
                self._under_way = self._start()
            if self._under_way is not None:
                self._take(self._under_way)
        finally:
            self._lock.release()

    def _start(self) -> Optional[Future[QueueDepths]]:
        client, routes = self._client, self._routes
        try:
            if isinstance(client, Client):
                return client._connections.start(lambda inner: inner.queue.depths(routes))
            loop: Optional[asyncio.AbstractEventLoop] = client._pipeline.loop
            if loop is None or not loop.is_running():
                return None  # nobody uses it yet, or any more
            counting = client.queue.depths(routes)
            try:
                return asyncio.run_coroutine_threadsafe(counting, loop)
            except RuntimeError:  # the loop has just ended
                counting.close()
                return None
        except (exc.BananasError, RuntimeError):
            self._failures += 1
            return None

    def _take(self, future: Future[QueueDepths]) -> None:
        """Wait a moment for the depths, unless that would hold up an event loop."""
        waits = asyncio._get_running_loop() is None
        try:
            depths = future.result(self._timeout if waits else 0)
        except Exception:
            if future.done():
                self._under_way = None
                self._failures += 1
            return
        self._under_way = None
        self._found = (time.monotonic(), depths)


def _of_depths(depths: QueueDepths) -> Iterator[Metric]:
    queued = GaugeMetricFamily(
        "bananas_queued_jobs", "Jobs that wait for a worker.", labels=["route", "priority"]
    )
    for route, counts in depths.queued.items():
        for priority, count in counts.items():
            queued.add_metric([route or "", str(priority.value)], count)
    yield queued
    yield _gauge("scheduled_jobs", "Jobs that wait for their time, with retries.", depths.scheduled)
    yield _gauge("overdue_jobs", "Scheduled jobs that no scheduler has moved.", depths.overdue)
    yield _gauge("taken_jobs", "Jobs that workers have taken.", depths.processing)
    yield _gauge("dead_jobs", "Dead letters.", depths.dead)
