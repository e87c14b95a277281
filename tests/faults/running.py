"""Runs the programs of this directory, each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Optional, Type

__all__ = ["ROOT", "Program"]

#: The root of the source tree.
ROOT = Path(__file__).resolve().parents[2]
_PATIENCE = 60.0

# Warnings are errors in the programs too, but for one: from CPython 3.12 on, a fork in a process
# with threads warns of locks that the child may inherit. To fork there is what some of them are
# about; 3.15 raises the warning in the parent, after the fork.
_FORKS_MAY_WARN = "ignore:This process:DeprecationWarning"


class Program:
    """A running program, killed at the end of a ``with`` block if it has not ended.

    Args:
        name: A module of ``programs``.
        arguments: What it is started with.
    """

    def __init__(self, name: str, *arguments: str) -> None:
        command = [sys.executable, "-W", "error", "-W", _FORKS_MAY_WARN]
        command += ["-m", f"tests.faults.programs.{name}"]
        self.process = subprocess.Popen(
            [*command, *arguments],
            cwd=str(ROOT),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            start_new_session=True,
        )

    def line(self) -> str:
        """Return the next line that it prints; empty once it prints no more, or for too long."""
        assert self.process.stdout is not None
        limit = threading.Timer(_PATIENCE, self._kill)
        limit.start()
        try:
            return self.process.stdout.readline().rstrip("\n")
        finally:
            limit.cancel()

    def expect(self, line: str) -> None:
        """Check what it prints next."""
        found = self.line()
        assert found == line, f"{found!r}; standard error:\n{self._errors() if not found else ''}"

    def say(self, line: str) -> None:
        """Give it a line to read."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self, within: float = _PATIENCE) -> float:
        """Check that it ends with status 0 and without a word on standard error.

        Returns:
            How long it took from now on, in seconds.
        """
        start = time.monotonic()
        output, errors = self.process.communicate(timeout=within)
        assert (self.process.returncode, errors) == (0, ""), output + errors
        return time.monotonic() - start

    def _kill(self) -> None:
        """End it and what it has forked, which holds its pipes too."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)

    def _errors(self) -> str:
        self._kill()
        return self.process.communicate(timeout=_PATIENCE)[1]

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._kill()
        self.process.communicate(timeout=_PATIENCE)
