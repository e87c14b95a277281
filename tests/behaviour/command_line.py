"""Runs the command line in this process, and says how it ended."""

from __future__ import annotations

import io
import sys
import threading
from typing import Any, Callable, List, NamedTuple

import pytest

from bananas import cli

__all__ = ["Bananas", "Done", "bananas_command"]

# A bound for a test that hangs, not an expectation.
_PATIENCE = 120


class Done(NamedTuple):
    """How a command ended, and what it said."""

    status: Any
    out: str
    err: str


Bananas = Callable[..., Done]


@pytest.fixture
def bananas_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bananas:
    """Runs the command line in this process, in a thread, since it runs an event loop."""

    def run_command(*arguments: str, stdin: str = "") -> Done:
        ended: List[Any] = []

        def call() -> None:
            try:
                cli.main()
            except BaseException as end:
                ended.append(end.code if isinstance(end, SystemExit) else end)

        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        monkeypatch.setattr(sys, "argv", ["bananas", *arguments])
        monkeypatch.delenv("COLUMNS", raising=False)
        thread = threading.Thread(target=call)
        thread.start()
        thread.join(_PATIENCE)
        out, err = capsys.readouterr()
        return Done(ended[0], out, err)

    return run_command
