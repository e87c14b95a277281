"""Runs the command line in this process, and says how it ended."""

from __future__ import annotations

import io
import sys
import threading
from typing import Any, Callable, List, NamedTuple, Optional

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


class _Terminal(io.StringIO):
    """Where somebody types; a Ctrl-C among it (``\\x03``) interrupts whoever reads."""

    def isatty(self) -> bool:
        return True

    def readline(self, size: Optional[int] = -1) -> str:  # type: ignore[override]
        line = super().readline()
        if line.startswith("\x03"):
            raise KeyboardInterrupt
        return line


@pytest.fixture
def bananas_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bananas:
    """Runs the command line in this process, in a thread, since it runs an event loop.

    It reads ``stdin``, or what is ``typed`` at a terminal.
    """

    def run_command(*arguments: str, stdin: str = "", typed: Optional[str] = None) -> Done:
        ended: List[Any] = []

        def call() -> None:
            try:
                cli.main()
            except BaseException as end:
                ended.append(end.code if isinstance(end, SystemExit) else end)

        source = io.StringIO(stdin) if typed is None else _Terminal(typed)
        monkeypatch.setattr(sys, "stdin", source)
        monkeypatch.setattr(sys, "argv", ["bananas", *arguments])
        monkeypatch.delenv("COLUMNS", raising=False)
        thread = threading.Thread(target=call)
        thread.start()
        thread.join(_PATIENCE)
        out, err = capsys.readouterr()
        return Done(ended[0], out, err)

    return run_command
