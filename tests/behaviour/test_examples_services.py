"""The example services, started as a reader starts them, and asked over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, Iterator, Tuple

import pytest

from bananas.testing import LocalQueue
from tests.behaviour.broker import Broker
from tests.behaviour.programs import ROOT, environment, python
from tests.support import Child, wait_until
from tests.support.ports import HOST, free_port

PATIENCE = 120.0
EXAMPLES = ROOT / "examples"


def load(path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Run a module of an example with its folder on the path, as pytest does for a reader."""
    monkeypatch.syspath_prepend(str(path.parent))
    monkeypatch.delitem(sys.modules, "service", raising=False)
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Http:
    """Asks a service on loopback."""

    def __init__(self, port: int) -> None:
        self._port = port

    def open(self, target: str, body: Any = None) -> http.client.HTTPResponse:
        """Return an answer whose body may still be coming."""
        method, _, path = target.partition(" ")
        connection = http.client.HTTPConnection(HOST, self._port, timeout=PATIENCE)
        text = None if body is None else json.dumps(body)
        # The last request of its connection, whose socket is the response's then.
        headers = {"Content-Type": "application/json", "Connection": "close"}
        connection.request(method, path, text, headers)
        return connection.getresponse()

    def ask(self, target: str, body: Any = None) -> Tuple[int, Any, Dict[str, str]]:
        """Return status, decoded body and headers."""
        with self.open(target, body) as response:
            return response.status, json.loads(response.read()), dict(response.getheaders())

    def is_up(self) -> bool:
        """Whether somebody listens."""
        try:
            self.open("GET /healthz").close()
        except ConnectionRefusedError:
            return False
        return True


@contextlib.contextmanager
def ended_in_good_order(child: Child) -> Iterator[None]:
    """Have a service end itself, with its own processes, whatever becomes of the test."""
    try:
        yield
    finally:
        child.process.terminate()
        child.end()


def event(stream: http.client.HTTPResponse) -> Dict[str, str]:
    """Return the fields of the next event of a stream."""
    fields: Dict[str, str] = {}
    while "data" not in fields:
        name, _, text = stream.readline().decode().rstrip("\n").partition(": ")
        fields[name] = text
    return fields


def test_fastapi_with_two_workers(real_broker: Broker) -> None:
    """Two processes serve, and end at once when told to, though a stream is open."""
    port = free_port()
    command = python("-m", "uvicorn", "service:app", "--workers", "2", "--port", str(port))
    folder = EXAMPLES / "fastapi_service"
    env = environment(BANANAS_REDIS_URL=real_broker.url)
    service = Http(port)
    with Child(command, cwd=folder, env=env) as child, ended_in_good_order(child):
        wait_until(service.is_up, "the service is up", PATIENCE)
        with LocalQueue(real_broker.url) as queue:
            queue.handle("report", lambda job: {"pages": 3})
            assert service.ask("POST /reports?wait=20", {"month": "2025-01"})[:2] == (
                200, {"pages": 3},
            )  # fmt: skip
        assert service.ask("GET /readyz")[:2] == (200, {"queued": 0, "dead": 0})
        status, body, headers = service.ask("POST /reports", {"month": "2025-02"})
        assert (status, body["place"]) == (202, "queued")
        location = headers["location"]
        with service.open(f"GET {location}/events") as stream:
            assert event(stream)["event"] == "queued"
            child.process.terminate()
            assert stream.read().strip() == b""
    assert child.process.returncode == 0
    assert "Traceback" not in child.errors


def test_aiohttp_without_a_redis() -> None:
    """A process alone serves, and ends at once when told to, though a stream is open."""
    port = free_port()
    service = Http(port)
    folder = EXAMPLES / "aiohttp_service"
    env = environment(PORT=str(port))
    with Child(python("service.py"), cwd=folder, env=env) as child, ended_in_good_order(child):
        wait_until(service.is_up, "the service is up", PATIENCE)
        status, body, headers = service.ask("POST /reports", {"month": "2025-01"})
        assert (status, set(body)) == (202, {"job_id", "location"})
        assert service.ask(f"GET {headers['Location']}")[:2] == (200, {"pages": 3})
        with service.open(f"GET {headers['Location']}/events") as stream:
            assert json.loads(event(stream)["data"])["result"] == {"pages": 3}
    assert child.process.returncode == 0
    assert "Traceback" not in child.errors


def test_the_tests_of_the_fastapi_service(
    bananas_queue: LocalQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests that the example shows pass."""
    tests = load(EXAMPLES / "fastapi_service" / "test_service.py", monkeypatch)
    tests.test_a_report_is_made(bananas_queue, monkeypatch)


@pytest.mark.bananas(background=False)
def test_the_other_test_of_the_fastapi_service(
    bananas_queue: LocalQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same of the test that runs the jobs itself."""
    tests = load(EXAMPLES / "fastapi_service" / "test_service.py", monkeypatch)
    tests.test_a_report_is_ordered_once(bananas_queue, monkeypatch)


def test_tests_of_examples_have_settings_of_their_own() -> None:
    """A user runs them without the plugins that the project's own tests need."""
    folders = {path.parent for path in EXAMPLES.glob("*/test_*.py")}
    assert len(folders) >= 2
    assert [folder for folder in folders if not (folder / "pytest.ini").is_file()] == []
