"""What tests of every kind share: brokers, the number of workers, the limit of a run's end."""

from __future__ import annotations

import asyncio
import faulthandler
import inspect
import os
import signal
import sys
from typing import Iterator, List, Optional

import pytest

from bananas.testing import EmbeddedBroker
from tests.faults.seed import (
    pytest_addoption,
    pytest_configure,
    pytest_configure_node,
)
from tests.faults.seed import pytest_report_header as report_seed
from tests.support import RedisServer
from tests.support.event_loop import chosen_event_loop, use_event_loop

__all__ = [
    "embedded_broker",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_report_header",
    "pytest_unconfigure",
    "pytest_xdist_auto_num_workers",
    "redis_server",
]

_WORKERS_PER_CORE = 3
_MOST_WORKERS = 12
_LEAVING_S = 120.0
_REAL_SERVERS = {"redis_server", "shared_server", "own_server"}

if "PYTEST_XDIST_WORKER" in os.environ:
    # Coverage measures this worker, but none of the programs that tests run, as without workers.
    os.environ.pop("COVERAGE_PROCESS_START", None)

use_event_loop()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So starts what a shell runs in the background, and what we start would never see Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header(config: pytest.Config) -> List[str]:
    """Print the seed and the event loop at the head of the report."""
    return [report_seed(config), f"event loop: {chosen_event_loop()}"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> Optional[int]:
    """Answer ``-n auto``: the tests mostly wait, so a core bears several workers."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # xdist reads it
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(_WORKERS_PER_CORE * (cores or 1), _MOST_WORKERS)


def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """Mark what needs a real server, so that a quick run can do without; drop what can't be run."""
    if chosen_event_loop() == "uvloop":
        dropped = [item for item in items if item.get_closest_marker("asyncio_loop")]
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in set(dropped)]
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        params = getattr(getattr(item, "callspec", None), "params", {})
        if fixtures & _REAL_SERVERS or params.get("broker") in ("real", "redis_server"):
            item.add_marker(pytest.mark.real_server)


def pytest_unconfigure() -> None:
    """Have the process end even where a thread that a test left behind does not."""
    faulthandler.dump_traceback_later(_LEAVING_S, exit=True, file=sys.__stderr__)


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


if sys.version_info < (3, 10):
    # The last pytest-asyncio for Python 3.8 and 3.9 leaves an open loop behind each asynchronous
    # test, and an asyncio.run() in a later test would drop it without closing it.

    @pytest.fixture(autouse=True)
    def _no_loop_of_an_earlier_test(request: pytest.FixtureRequest) -> None:
        policy = asyncio.get_event_loop_policy()
        loop = getattr(getattr(policy, "_local", None), "_loop", None)
        if loop is None or loop.is_running() or "event_loop" in request.fixturenames:
            return
        if not inspect.iscoroutinefunction(request.function):
            policy.set_event_loop(None)
            loop.close()
