"""Examples that serve HTTP, started as a reader would, and requests to them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, NamedTuple, Optional, Type

from tests.behaviour.programs import environment
from tests.support import wait_until
from tests.support.ports import HOST

__all__ = ["Answer", "Served", "ask"]

_PATIENCE = 60.0


class Answer(NamedTuple):
    """What a server has answered."""

    status: int
    headers: Dict[str, str]
    json: Any


def ask(port: int, method: str, path: str, body: str = "") -> Answer:
    """Send a request, with a form's fields if any, and return the answer."""
    http = HTTPConnection(HOST, port, timeout=_PATIENCE)
    try:
        http.request(method, path, body, {"Content-Type": "application/x-www-form-urlencoded"})
        answer = http.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), json.loads(answer.read()))
    finally:
        http.close()


class Served:
    """A server's process, which is ended in good order with the ``with`` block.

    Args:
        module: What ``python -m`` starts, with its arguments.
        folder: Where.
        log: Where its output goes.
        ready: What is in its output, so many times, once it serves.
        variables: Further variables of its environment.
    """

    def __init__(
        self, *module: str, folder: Path, log: Path, ready: str, times: int = 1, **variables: str
    ) -> None:
        self._log = log
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=str(folder), env=environment(**variables), stdout=output, stderr=output,
            )  # fmt: skip
        try:
            wait_until(self._is_ready(ready, times), f"{ready}: {log}", _PATIENCE)
        except BaseException:
            self._kill()
            raise

    def _is_ready(self, ready: str, times: int) -> Any:
        def look() -> bool:
            assert self._process.poll() is None, self.output
            return self.output.count(ready) >= times

        return look

    @property
    def output(self) -> str:
        """What it has written."""
        return self._log.read_text(encoding="utf-8")

    def end(self, status: int = 0) -> None:
        """Ask it to end, and check that nothing has gone wrong."""
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(_PATIENCE) == status, self.output
        assert "Traceback" not in self.output, self.output

    def _kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(_PATIENCE)

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._kill()
