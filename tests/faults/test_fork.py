"""Parent and child both go on after a fork, with the real servers that fork."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set

import pytest

from tests.support import RawClient, RedisServer, wait_until
from tests.support.ports import HOST, free_port

from .letters import bury
from .programs.forking import ACTS, STATES
from .programs.raw_fork import ACTS as RAW_ACTS
from .programs.raw_fork import STATES as RAW_STATES
from .running import ROOT, Program
from .worker import finish

_PATIENCE = 60.0


@pytest.mark.parametrize("state", sorted(STATES))
def test_fork(redis_server: RedisServer, state: str) -> None:
    """Whatever the parent is doing and the child does, the child works and the parent goes on."""
    with Program("forking", state, redis_server.url(), str(redis_server.port)) as program:
        for act in ACTS:
            program.expect(act)
        program.end_well()


@pytest.mark.parametrize("state", sorted(RAW_STATES))
def test_fork_without_hooks(redis_server: RedisServer, state: str) -> None:
    """The same holds where nobody tells Python of the fork, as under uWSGI."""
    with Program("raw_fork", state, redis_server.url(), str(redis_server.port)) as program:
        for act in RAW_ACTS:
            program.expect(act)
        program.end()


def test_fork_inside_a_call(redis_server: RedisServer) -> None:
    """The parent goes on with its submit, requeue or iteration, and the child is told not to."""
    bury(redis_server, [f"dead{number}" for number in range(400)])
    with Program("forking_specs", redis_server.url()) as program:
        program.expect("refused")
        program.expect("submitted 1300")
        program.expect("refused")
        program.expect("requeued 400")
        for _ in range(3):
            program.expect("refused")
        program.expect("iterated 10 queued")
        program.end_well()
    assert redis_server.command("LLEN", "bananas:queue:normal") == 1700


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(
    redis_server: RedisServer, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processes of a pool work beside their parent, whichever way they are started."""
    monkeypatch.setenv("BANANAS_REDIS_URL", redis_server.url())
    with Program("multiprocess", method) as program:
        program.expect("done")
        program.end_well()
    assert redis_server.command("LLEN", "bananas:queue:normal") == 201


class _Service:
    """A server of somebody else's that runs an application of ``programs``."""

    def __init__(self, tmp_path: Path, redis_server: RedisServer, *command: str) -> None:
        self.log = tmp_path / "log"
        environment = dict(
            os.environ, BANANAS_REDIS_URL=redis_server.url(), CELERY_FOLDER=str(tmp_path)
        )
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=str(ROOT),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def end(self) -> None:
        """Ask it to end, and check that nothing has gone wrong."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(_PATIENCE)
        log = self.log.read_text()
        assert (status, "Traceback" in log, "ERROR" in log) == (0, False, False), log

    def __enter__(self) -> _Service:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(_PATIENCE)


def _queued(redis: RawClient, name: str) -> Dict[str, Any]:
    """The payloads of the jobs of this name that wait in the queue, by id."""
    ids = [job_id.decode() for job_id in redis.command("LRANGE", "bananas:queue:normal", 0, -1)]
    assert len(set(ids)) == len(ids)
    jobs = [json.loads(redis.command("GET", f"bananas:job:{job_id}")) for job_id in ids]
    return {job["id"]: job["payload"] for job in jobs if job["name"] == name}


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[RawClient]:
    with redis_server.connect() as redis:
        yield redis


def _pids(payloads: Dict[str, Any]) -> Set[int]:
    return {payload["pid"] for payload in payloads.values()}


def test_gunicorn_preload(redis_server: RedisServer, redis: RawClient, tmp_path: Path) -> None:
    """Two gunicorn workers share an application that was loaded, and at work, before the fork."""
    port = free_port()
    app = "tests.faults.programs.preloaded_app:app"
    bind = ["--bind", f"{HOST}:{port}", "--workers", "2", "--preload"]
    answers: List[str] = []

    def ask() -> None:
        connection = http.client.HTTPConnection(HOST, port, timeout=_PATIENCE)
        connection.request("GET", "/")
        answers.append(connection.getresponse().read().decode())
        connection.close()

    with _Service(tmp_path, redis_server, "gunicorn", *bind, app) as service:
        wait_until(lambda: service.log.read_text().count("Booting worker") == 2, "two workers")
        # A worker serves one request at a time, so that two at once take two workers.
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(_queued(redis, "work")) == 2, "a job of each worker", _PATIENCE)
        jobs = _queued(redis, "work")
        assert len(_pids(jobs)) == 2
        finish(redis, jobs)
        for thread in threads:
            thread.join(_PATIENCE)
        assert sorted(answers) == sorted(f"{jobs[job_id]['pid']} {job_id}" for job_id in jobs)
        assert len(_queued(redis, "preloaded")) == 1
        service.end()


def test_celery_prefork(redis_server: RedisServer, redis: RawClient, tmp_path: Path) -> None:
    """Two processes of Celery's prefork pool share a client that was used before the fork."""
    app = "tests.faults.programs.celery_app"
    options = ["--pool", "prefork", "--concurrency", "2", "--loglevel", "INFO"]
    options += ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    with _Service(tmp_path, redis_server, "celery", "-A", app, "worker", *options) as service:
        done: Dict[str, Any] = {}
        for _ in range(2):
            wait_until(lambda: len(_queued(redis, "first")) == len(done) + 2, "two jobs", _PATIENCE)
            jobs = {key: job for key, job in _queued(redis, "first").items() if key not in done}
            assert len(_pids(jobs)) == 2
            finish(redis, jobs)
            done.update(jobs)
        wait_until(lambda: len(_queued(redis, "second")) == 4, "all four tasks", _PATIENCE)
        seconds = _queued(redis, "second").values()
        assert {job["result"] for job in seconds} == set(done)
        service.end()
