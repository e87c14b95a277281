"""A local queue is a whole deployment in one line."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import bananas
from bananas import AsyncClient, Client, ConnectionError, Job
from bananas.testing import LocalQueue, ManualClock, SystemClock
from tests.behaviour.broker import Broker

SOURCES = str(Path(bananas.__file__).parent.parent)

TESTS = """
import pytest
from bananas.testing import ManualClock

@pytest.fixture
def bananas_clock():
    return ManualClock()

def test_blocking(bananas_queue, bananas_client):
    bananas_queue.handle("double", lambda job: 2 * job.payload)
    assert bananas_client.submit_and_wait("double", 21).get_result() == 42
    bananas_client.submit_job("nobody", {})

def test_scheduled(bananas_queue, bananas_client, bananas_clock):
    bananas_queue.handle("double", lambda job: 2 * job.payload)
    job_id = bananas_client.submit_job_scheduled("double", 1, "low", bananas_clock.now())
    bananas_clock.advance(2)
    assert bananas_client.wait_for_result(job_id).get_result() == 2

async def test_async(bananas_queue, bananas_async_client):
    @bananas_queue.handler("double")
    async def double(job):
        return 2 * job.payload
    async with bananas_async_client as client:
        assert (await client.submit_and_wait("double", 21)).get_result() == 42

def test_each_test_begins_with_an_empty_queue(bananas_queue, bananas_broker):
    import socket
    with socket.create_connection(("127.0.0.1", bananas_broker.port)) as connection:
        connection.sendall(b"*1\\r\\n$6\\r\\nDBSIZE\\r\\n")
        assert connection.recv(10) == b":0\\r\\n"
"""


def double(job: Job) -> int:
    found: int = 2 * job.payload
    return found


def test_blocking() -> None:
    """Handlers may be given before the start and after it; nothing is left in the end."""
    before = set(threading.enumerate())
    queue = LocalQueue()
    queue.handle("double", double)
    with queue:
        assert isinstance(queue.clock, SystemClock)

        @queue.handler("triple")
        def triple(job: Job) -> int:
            found: int = 3 * job.payload
            return found

        with Client(queue.url) as client:
            assert client.submit_and_wait("double", 2).get_result() == 4
            assert client.submit_and_wait("triple", 2).get_result() == 6
        assert queue.start() is queue
    queue.stop()
    assert {t for t in set(threading.enumerate()) - before if t.name != "bananas loop"} == set()


async def test_async() -> None:
    """The same as an asynchronous context."""
    async with LocalQueue(clock=ManualClock()) as queue:
        queue.handle("double", double)
        async with AsyncClient(queue.url) as client:
            assert (await client.submit_and_wait("double", 2)).get_result() == 4


def test_a_second_life_keeps_the_handlers() -> None:
    """And begins with an empty broker."""
    queue = LocalQueue()
    queue.handle("double", double)
    for _ in range(2):
        with queue, Client(queue.url) as client:
            assert client.get_job("mine") is None
            client.submit_job("double", 2, job_id="mine")
            assert client.wait_for_result("mine").get_result() == 4


def test_a_queue_that_is_not_running_has_no_url() -> None:
    """Unless it was given one."""
    with pytest.raises(RuntimeError, match=r"^the local queue is not running: use it in a with"):
        LocalQueue().url  # noqa: B018
    assert LocalQueue("redis://elsewhere").url == "redis://elsewhere"


async def test_a_failing_start_is_reported_asynchronously_too() -> None:
    """With the same error."""
    with pytest.raises(ConnectionError, match="can't reach Redis"):
        await LocalQueue("redis://127.0.0.1:1").__aenter__()


async def test_on_a_redis_of_ones_own(broker: Broker) -> None:
    """With routes, whose default takes the jobs that name none."""
    async with LocalQueue(broker.url, routing_keys=["default", "gpu"]) as queue:
        queue.handle("double", double)
        async with AsyncClient(broker.url, routing_key="gpu") as client:
            assert (await client.submit_and_wait("double", 2)).get_result() == 4
        assert broker.queued("route:gpu:queue:normal") == []


def test_a_redis_that_is_not_there() -> None:
    """Starting says so and leaves nothing behind."""
    before = set(threading.enumerate())
    with pytest.raises(ConnectionError, match="can't reach Redis"):
        LocalQueue("redis://127.0.0.1:1").start()
    assert set(threading.enumerate()) == before


def test_arguments_are_checked_at_the_start() -> None:
    """By the worker and the scheduler, which leave nothing behind either."""
    before = set(threading.enumerate())
    with pytest.raises(ValueError, match=r"^concurrency must be from 1"):
        LocalQueue(concurrency=0).start()
    assert set(threading.enumerate()) == before


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": SOURCES, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=str(cwd), env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_fixtures(tmp_path: Path) -> None:
    """A project's tests get a queue and clients by name."""
    (tmp_path / "test_project.py").write_text(TESTS)
    plugins = ["-p", "bananas.testing.pytest_plugin", "-p", "pytest_asyncio.plugin"]
    options = ["-q", "-c", os.devnull, "--rootdir", str(tmp_path), "-o", "asyncio_mode=auto"]
    options += ["-o", "asyncio_default_fixture_loop_scope=function", "-p", "no:cacheprovider"]
    done = run("-m", "pytest", *plugins, *options, str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_without_fakeredis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its absence is explained when it is needed, which it is not on a Redis of one's own."""
    monkeypatch.setitem(sys.modules, "fakeredis", None)
    with pytest.raises(ImportError, match=r"fakeredis; .*bananas-queue\[testing\]"):
        LocalQueue().start()


def test_importing_brings_no_fakeredis(tmp_path: Path) -> None:
    """Neither does pytest, which finds the fixtures by itself."""
    program = "import bananas.testing.pytest_plugin, sys; print('fakeredis' in sys.modules)"
    done = run("-c", program, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("False\n", "")
