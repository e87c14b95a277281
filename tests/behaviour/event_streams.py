"""Event streams over real HTTP, from servers in threads of this process, that a caller leaves."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from http.client import HTTPConnection, HTTPResponse
from typing import Any, Dict, Iterator

import uvicorn
from werkzeug.serving import make_server

from tests.behaviour.broker import Broker
from tests.behaviour.go_worker import GoWorker
from tests.support import wait_until
from tests.support.ports import HOST

__all__ = ["asgi_server", "check_events", "wsgi_server"]

_PATIENCE = 60.0


@contextlib.contextmanager
def wsgi_server(app: Any) -> Iterator[int]:
    """Serve an application with a thread for each request; gives the port."""
    server = make_server(HOST, 0, app, threaded=True)
    serving = threading.Thread(target=server.serve_forever, args=(0.01,))
    serving.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        serving.join(_PATIENCE)
        server.server_close()


@contextlib.contextmanager
def asgi_server(app: Any) -> Iterator[int]:
    """Serve an application on an event loop in a thread; gives the port."""
    with socket.create_server((HOST, 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning"))
        serving = threading.Thread(target=server.run, args=([listening],))
        serving.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            serving.join(_PATIENCE)


class _Stream:
    """One stream, from its first byte to its end or until the caller leaves."""

    def __init__(self, port: int, path: str, last_id: str = "", method: str = "GET") -> None:
        self._http = HTTPConnection(HOST, port, timeout=_PATIENCE)
        self._http.request(method, path, headers={"Last-Event-ID": last_id} if last_id else {})
        self.answer: HTTPResponse = self._http.getresponse()

    def text(self) -> str:
        """Return what comes before the next empty line; nothing at the end."""
        lines = []
        while True:
            line = self.answer.readline().decode()
            if not line.strip():
                return "".join(lines)
            lines.append(line)

    def event(self) -> Dict[str, Any]:
        """Return the next event with its data decoded, whatever comments come before it."""
        while True:
            text = self.text()
            if not text.startswith(":"):
                fields = dict(line.split(": ", 1) for line in text.strip().split("\n"))
                return {**fields, "data": json.loads(fields["data"])}

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()
        self._http.close()


def check_events(
    port: int, path: str, job_id: str, broker: Broker, *, lets_go: bool = True
) -> None:
    """Check a stream of a queued job: who leaves is let go, who comes again is told the rest.

    Args:
        port: The server's.
        path: Of the stream.
        job_id: The job.
        broker: Where it is.
        lets_go: Whether the server learns at once of a caller who has gone.
    """
    worker = GoWorker(broker)
    with _Stream(port, path, method="HEAD") as stream:
        assert stream.answer.status == 200
    with _Stream(port, path) as stream:
        assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
        assert stream.answer.headers["Cache-Control"] == "no-store"
        assert stream.answer.headers["X-Accel-Buffering"] == "no"
        assert stream.text() == "retry: 2000\n"
        queued = stream.event()
        assert (queued["event"], queued["data"]["place"]) == ("queued", "queued")
        assert broker.subscribers(job_id) == 1
    if lets_go:
        wait_until(lambda: broker.subscribers(job_id) == 0, "who leaves is let go", _PATIENCE)
    with _Stream(port, path, queued["id"]) as stream:
        stream.text()
        worker.take()
        assert stream.event()["event"] == "taken"
        worker.store_success(job_id, '"the report"')
        worker.complete(job_id)
        last = stream.event()
        assert (last["event"], last["data"]["result"]) == ("finished", "the report")
        assert stream.text() == ""
    with _Stream(port, path, last["id"]) as stream:
        assert stream.answer.status == 204
    with _Stream(port, path.replace(job_id, "nobody")) as stream:
        assert stream.answer.status == 404
    wait_until(lambda: broker.subscribers(job_id) == 0, "nobody follows it", _PATIENCE)
