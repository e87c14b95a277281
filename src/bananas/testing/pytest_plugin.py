"""pytest fixtures: a local queue for each test, and clients of it."""

from __future__ import annotations

import inspect
import os
from typing import Any, Dict, Iterator, Optional, Union

import pytest

from .. import exceptions as exc
from ..client import AsyncClient
from ..sync import Client
from ._tracebacks import end_at_the_callers_line
from .clock import Clock, ManualClock, SystemClock
from .embedded import EmbeddedBroker
from .harness import LocalQueue
from .real import RealBroker, database_of

__all__ = [
    "bananas_async_client",
    "bananas_broker",
    "bananas_client",
    "bananas_clock",
    "bananas_queue",
    "pytest_addoption",
    "pytest_configure",
    "pytest_runtest_makereport",
]

_URL_HELP = (
    "run the tests that use bananas_queue on this Redis, not on the embedded broker; "
    "with xdist, each process uses the next database"
)
_NOTHING_RAN = (
    "no job has run: with background=False, jobs run only in run_until_idle(); call it before the "
    "wait, or use background=True"
)
_MARKER = "bananas(**settings): the arguments of LocalQueue for the bananas_queue of a test"
_ARGUMENTS = [
    parameter.name
    for parameter in inspect.signature(LocalQueue).parameters.values()
    if parameter.kind is parameter.KEYWORD_ONLY  # the broker gives the URL
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--bananas-redis-url`` and the settings ``bananas_redis_url`` and ``bananas_strict``."""
    group = parser.getgroup("bananas")
    group.addoption("--bananas-redis-url", metavar="URL", default=None, help=_URL_HELP)
    parser.addini("bananas_redis_url", _URL_HELP, default="")
    parser.addini("bananas_strict", "make bananas_queue strict", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker ``bananas``."""
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """End tracebacks of our errors at the user's line, and show what became of the jobs."""
    if call.excinfo is not None and not item.config.getoption("fulltrace", False):
        end_at_the_callers_line(call.excinfo.value)
    outcome: Any = yield
    report = outcome.get_result()
    queue = getattr(item, "funcargs", {}).get("bananas_queue")
    if report.when == "call" and report.failed and isinstance(queue, LocalQueue):
        text = "\n".join(map(str, queue.runs))
        if not text and isinstance(call.excinfo and call.excinfo.value, exc.TimeoutError):
            text = "" if _settings(item).get("background", True) else _NOTHING_RAN
        if text:
            report.sections.append(("bananas jobs", text))


@pytest.fixture(scope="session")
def bananas_broker(request: pytest.FixtureRequest) -> Iterator[Union[EmbeddedBroker, RealBroker]]:
    """A broker without a worker, for all tests of the session (with xdist, of each process).

    It is an embedded broker. With ``--bananas-redis-url``, or the setting ``bananas_redis_url`` in
    ``pytest.ini``, it is a database of that Redis.
    """
    config = request.config
    url = config.getoption("bananas_redis_url") or config.getini("bananas_redis_url")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "master")
    broker = RealBroker(database_of(str(url), worker)) if url else EmbeddedBroker()
    with broker:
        yield broker


@pytest.fixture
def bananas_clock(request: pytest.FixtureRequest) -> Clock:
    """The clock of ``bananas_queue``; you can override this fixture.

    It is the clock of the marker ``bananas(clock=...)``. Without the marker it is the time of this
    machine, or a ``ManualClock`` with ``bananas(background=False)``.
    """
    settings = _settings(request.node)
    clock: Optional[Clock] = settings.get("clock")
    return clock or (SystemClock() if settings.get("background", True) else ManualClock())


@pytest.fixture
def bananas_queue(
    request: pytest.FixtureRequest,
    bananas_broker: Union[EmbeddedBroker, RealBroker],
    bananas_clock: Clock,
) -> Iterator[LocalQueue]:
    """An empty queue with a running worker and scheduler; add handlers with ``handle()``.

    Use the marker ``bananas`` to pass arguments of ``LocalQueue``:
    ``@pytest.mark.bananas(background=False, strict=True)``.
    """
    bananas_broker.clear()
    strict = bool(request.config.getini("bananas_strict"))
    settings = {"clock": bananas_clock, "strict": strict, **_settings(request.node)}
    _check(settings)
    with LocalQueue(bananas_broker.url, **settings) as queue:
        yield queue
    bananas_broker.clear()


def _settings(item: pytest.Item) -> Dict[str, Any]:
    """Return what the markers of a test say, the closest one last."""
    settings: Dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers("bananas"))):
        settings.update(marker.kwargs)
    return settings


def _check(settings: Dict[str, Any]) -> None:
    """Fail the test if a marker has an argument that there is not."""
    known = ", ".join(_ARGUMENTS)
    for name in settings:
        if name not in _ARGUMENTS:
            text = f"the marker bananas has no argument {name}; it has: {known}"
            pytest.fail(text, pytrace=False)


@pytest.fixture
def bananas_client(bananas_queue: LocalQueue) -> Iterator[Client]:
    """A blocking client of ``bananas_queue``, which uses the queue's clock."""
    with bananas_queue.client() as client:
        yield client


@pytest.fixture
def bananas_async_client(bananas_queue: LocalQueue) -> AsyncClient:
    """An async client of ``bananas_queue`` for the event loop of the test; works with any plugin.

    It uses the queue's clock. Write ``async with bananas_async_client as client``, which connects
    and closes it.
    """
    return bananas_queue.async_client()
