"""The pytest plugin: marker, options, what a failing test shows, and a real Redis."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Tuple

import pytest

from bananas.testing import RealBroker
from bananas.testing.real import database_of
from tests.behaviour.broker import Broker
from tests.behaviour.programs import run

TESTS = """
import pytest
from datetime import timedelta
from bananas import Client
from bananas.testing import LocalQueue, SystemClock, fail, succeed

pytestmark = pytest.mark.bananas(background=False)

def test_virtual_time(bananas_queue, bananas_client, bananas_clock):
    bananas_queue.handle("remind", fail(times=2, then=succeed("tea")))
    job_id = bananas_client.submit_job_scheduled("remind", {}, scheduled_for=timedelta(days=1))
    assert [run.outcome for run in bananas_queue.run_until_idle(within=timedelta(days=2))] == [
        "retry", "retry", "succeeded"
    ]
    assert bananas_queue.clock is bananas_clock
    assert bananas_client.get_result(job_id).get_result() == "tea"

@pytest.mark.bananas(background=True)
def test_background(bananas_queue):
    with Client(bananas_queue.url) as client:
        bananas_queue.handle("double", lambda job: 2 * job.payload)
        assert client.submit_and_wait("double", 21).get_result() == 42

@pytest.mark.bananas(background=True, clock=SystemClock(speed=100))
def test_code_that_waits_for_retries(bananas_queue, bananas_client, bananas_clock):
    bananas_queue.handle("flaky", fail(times=2, then=succeed("tea")))
    assert bananas_client.submit_and_wait("flaky", {}, max_retries=3).get_result() == "tea"
    assert bananas_queue.clock is bananas_clock

def test_the_queue_is_empty(bananas_queue):
    assert bananas_queue.submitted == []
    bananas_queue.assert_not_submitted()
"""

FAILING = """
import pytest

def order(client):
    return client.submit_and_wait("slow", {}, timeout=0.2)

def test_a_wait(bananas_queue, bananas_client):
    order(bananas_client)

@pytest.mark.bananas(background=False)
def test_a_handler(bananas_queue, bananas_client):
    @bananas_queue.handler("work")
    def work(job):
        raise ValueError("no paper")
    bananas_client.submit_job("work", {}, max_retries=1, job_id="mine")
    bananas_queue.run_until_idle()
    assert False

@pytest.mark.bananas(background=False)
def test_a_wait_for_nobody(bananas_queue, bananas_client):
    order(bananas_client)

async def test_an_async_wait(bananas_queue, bananas_async_client):
    async with bananas_async_client as client:
        await client.wait_for_result("nothing", 0.2)

@pytest.mark.bananas(background=False, strict=True)
def test_a_misspelt_name(bananas_queue, bananas_client):
    bananas_queue.handle("send", lambda job: None)
    bananas_client.submit_job("sned", {})

def test_an_assertion(bananas_queue, bananas_client):
    bananas_client.submit_job("send", {"to": "ada"})
    bananas_queue.assert_submitted("send", payload={"to": "bob"})
"""


def run_tests(folder: Path, tests: str, *options: str) -> Tuple[int, str]:
    """Run tests as a project's own; return the status and what is printed."""
    (folder / "test_project.py").write_text(tests)
    (folder / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )
    plugins = ["-p", "bananas.testing.pytest_plugin", "-p", "pytest_asyncio.plugin"]
    plugins += ["-p", "no:cacheprovider"]
    done = run(
        *("-m", "pytest", "-q", "--strict-markers", *plugins, *options, str(folder)),
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
        PYTEST_XDIST_WORKER="",
    )
    return done.returncode, done.stdout + done.stderr


def test_the_marker(tmp_path: Path) -> None:
    """It has what the queue is made with; the closest one counts."""
    status, shown = run_tests(tmp_path, TESTS)
    assert (status, "4 passed" in shown) == (0, True), shown


def test_the_same_tests_on_a_real_redis(real_broker: Broker, tmp_path: Path) -> None:
    """By an option or a setting; only a database without jobs, or one of tests, is taken."""
    real_broker.command("SET", "somebody", "else's")
    status, shown = run_tests(tmp_path, TESTS, "--bananas-redis-url", real_broker.url)
    assert (status, "4 passed" in shown) == (0, True), shown
    assert sorted(real_broker.command("KEYS", "*")) == [b"bananas:testing", b"somebody"]
    status, shown = run_tests(tmp_path, TESTS, "-o", f"bananas_redis_url={real_broker.url}")
    assert (status, "4 passed" in shown) == (0, True), shown
    real_broker.command("DEL", "bananas:testing")
    real_broker.command("SET", "bananas:job:precious", "{}")
    status, shown = run_tests(tmp_path, TESTS, "--bananas-redis-url", real_broker.url)
    assert (status, "only for tests" in shown) == (1, True), shown
    assert real_broker.document("precious") == b"{}"


def test_a_failing_test_shows_what_happened(tmp_path: Path) -> None:
    """Tracebacks end at the user's line; handlers' errors and the jobs' attempts are shown."""
    status, shown = run_tests(tmp_path, FAILING)
    assert (status, "6 failed" in shown) == (1, True), shown
    assert 'return client.submit_and_wait("slow", {}, timeout=0.2)' in shown
    assert 'await client.wait_for_result("nothing", 0.2)' in shown
    assert "bananas/" not in shown.replace(os.sep, "/")
    assert "TimeoutError: no final result of job" in shown
    assert shown.count("no job has run: with background=False") == 1
    assert "its handler for work has raised" in shown
    assert 'raise ValueError("no paper")' in shown
    assert "work (mine), attempt 1: dead: no paper" in shown
    assert "did you mean 'send'" in shown
    assert "payload.to: expected 'bob', found 'ada'" in shown


def test_a_misspelled_argument_of_the_marker(tmp_path: Path) -> None:
    """The message names it and those that there are, without a traceback through the package."""
    marker = "import pytest\n@pytest.mark.bananas(backgroud=False)\n"
    status, shown = run_tests(tmp_path, f"{marker}def test_it(bananas_queue):\n    pass\n")
    assert (status, "1 error" in shown) == (1, True), shown
    assert "the marker bananas has no argument backgroud; it has: key_prefix, " in shown
    assert "bananas/" not in shown.replace(os.sep, "/")


def test_a_full_trace_is_left_alone(tmp_path: Path) -> None:
    """Who asks for all frames gets them."""
    _, shown = run_tests(tmp_path, FAILING, "--full-trace", "-k", "test_a_wait")
    assert "sync.py" in shown


def test_strict_by_a_setting(tmp_path: Path) -> None:
    """It makes the queue of each test strict."""
    tests = "def test_it(bananas_client):\n    bananas_client.submit_job('nobody', {})\n"
    assert run_tests(tmp_path, tests)[0] == 0
    status, shown = run_tests(tmp_path, tests, "-o", "bananas_strict=true")
    assert (status, "UnknownJobError" in shown) == (1, True), shown


@pytest.mark.parametrize(
    ("url", "worker", "expected"),
    [
        ("redis://h:1/2", "master", "redis://h:1/2"),
        ("redis://h:1/2", "gw0", "redis://h:1/2"),
        ("redis://h:1/2", "gw3", "redis://h:1/5"),
        ("redis://u:p@h", "gw1", "redis://u:p@h/1"),
        ("rediss://h/?ssl_cert_reqs=none", "gw1", "rediss://h/1?ssl_cert_reqs=none"),
        ("redis://h?db=4", "gw2", "redis://h?db=6"),
        ("unix:///run/redis.sock", "gw2", "unix:///run/redis.sock?db=2"),
    ],
)
def test_each_process_has_a_database(url: str, worker: str, expected: str) -> None:
    """The first that of the URL, each further one the next."""
    assert database_of(url, worker) == expected


def test_a_real_broker_that_does_not_run(real_broker: Broker) -> None:
    """It says so; starting and stopping twice is harmless."""
    broker = RealBroker(real_broker.url)
    with pytest.raises(RuntimeError, match="not running"):
        broker.clear()
    assert broker.start().start() is broker
    real_broker.command("SET", "bananas:job:x", "{}")
    broker.clear()
    assert real_broker.document("x") is None
    broker.stop()
    broker.stop()
    assert repr(broker) == "<RealBroker>"
