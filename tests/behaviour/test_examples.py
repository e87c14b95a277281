"""Every example runs by itself, and on a Redis that has workers."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Dict, List

import pytest

from bananas.testing import LocalQueue
from tests.behaviour.broker import Broker
from tests.behaviour.programs import ROOT, run

_OUTPUT: Dict[str, str] = {
    "fan_out": "100 jobs, the sum of the squares is 328350\n",
    "handle_failure": (
        "flaky: done in attempt 2\n"
        "broken: failed - nothing works today\n"
        "get_result() raises it: nothing works today\n"
        "no result in time, the job is missing\n"
    ),
    "hello_async": "hello, Ada\nhello, Barbara\nhello, Grace\nhello, Radia\n",
    "hello_sync": "hello, Ada\nhello, Grace\n",
    "schedule_later": (
        "scheduled, due when it was asked for: True\n"
        "completed, early: False, result: time for tea\n"
    ),
}
_HANDLERS: Dict[str, List[str]] = {
    "fan_out": ["square"],
    "handle_failure": ["flaky", "broken"],
    "hello_async": ["greet"],
    "hello_sync": ["greet"],
    "schedule_later": ["remind"],
}
each_example = pytest.mark.parametrize("name", sorted(_OUTPUT))


def _path(name: str) -> str:
    return str(ROOT / "examples" / f"{name}.py")


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", _path(name))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_listed_here() -> None:
    """No example escapes the tests below."""
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(_OUTPUT)


@each_example
def test_an_example_is_short(name: str) -> None:
    """An example has fewer than 50 lines."""
    with open(_path(name), encoding="utf-8") as file:
        assert len(file.readlines()) < 50


@each_example
def test_an_example_runs_by_itself(name: str) -> None:
    """Without a Redis and without a worker, an example does what it says."""
    done = run(_path(name))
    assert (done.stdout, done.stderr, done.returncode) == (_OUTPUT[name], "", 0)


@each_example
def test_an_example_runs_on_a_real_redis(name: str, real_broker: Broker) -> None:
    """With a URL, an example uses that Redis and the workers there."""
    with _workers(name, real_broker):
        done = run(_path(name), real_broker.url)
    assert (done.stdout, done.stderr, done.returncode) == (_OUTPUT[name], "", 0)


def test_an_example_takes_the_url_of_the_environment(real_broker: Broker) -> None:
    """BANANAS_REDIS_URL does what an argument does."""
    with _workers("hello_sync", real_broker):
        done = run(_path("hello_sync"), BANANAS_REDIS_URL=real_broker.url)
    assert (done.stdout, done.stderr, done.returncode) == (_OUTPUT["hello_sync"], "", 0)


def _workers(name: str, broker: Broker) -> LocalQueue:
    queue = LocalQueue(broker.url)
    example = _load(name)
    for handler in _HANDLERS[name]:
        queue.handle(handler, getattr(example, handler))
    return queue
