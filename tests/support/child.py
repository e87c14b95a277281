"""A child process, each wait for which has a limit."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Callable, List, Mapping, Optional, Sequence, Type, TypeVar

from .watch import Watch

__all__ = ["Child"]

# It ends a hang, and expects nothing of a slow machine.
_PATIENCE_S = 240.0
_DYING_S = 10.0

C = TypeVar("C", bound="Child")


class Child:
    """A running process that is talked to in lines, killed at the end of a ``with`` block.

    Where a limit is over, or a line is not the expected one, the child is made to abort, with which
    a Python that runs under ``-X faulthandler`` shows the stack of each thread, and the error has
    all that it wrote.

    Args:
        command: What to run.
        cwd: Where to run it.
        env: Its environment; None is that of this process.
    """

    def __init__(
        self, command: Sequence[str], *, cwd: Path, env: Optional[Mapping[str, str]] = None
    ) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=str(cwd),
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        self._watch = Watch()
        self._output = _Stream(self.process.stdout, self._watch)
        self._errors = _Stream(self.process.stderr, self._watch)
        self._taken = 0

    @property
    def output(self) -> str:
        """What it wrote so far to its standard output."""
        return "".join(self._output.lines)

    @property
    def errors(self) -> str:
        """What it wrote so far to its standard error."""
        return "".join(self._errors.lines)

    def line(self, within: float = _PATIENCE_S) -> str:
        """Return the next line that it prints, its newline included; empty once it prints no more.

        Raises:
            AssertionError: It neither prints one nor ends within so many seconds.
        """
        self._wait(lambda: self._more or self._output.ended, within, "for a line")
        if not self._more:
            return ""
        line = self._output.lines[self._taken]
        self._taken += 1
        return line

    def expect(self, line: str, within: float = _PATIENCE_S) -> None:
        """Check what it prints next."""
        found = self.line(within)
        if found == line + "\n":
            return
        if not found:
            self._reap()  # it is ending by itself
        raise AssertionError(self._abort(f"it printed {found!r} and not {line!r}"))

    def say(self, line: str) -> None:
        """Give it a line to read."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self, within: float = _PATIENCE_S) -> int:
        """Return the status that it ends with, once all that it wrote has been read.

        Raises:
            AssertionError: It does not end within so many seconds, or a child of its own goes on.
        """
        assert self.process.stdin is not None
        self.process.stdin.close()
        deadline = time.monotonic() + within
        self._wait(lambda: self._output.ended and self._errors.ended, within, "for its end")
        try:
            return self.process.wait(max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise AssertionError(self._abort(f"waited {within} s for its end")) from None

    @property
    def _more(self) -> bool:
        return self._taken < len(self._output.lines)

    def _wait(self, condition: Callable[[], bool], within: float, what: str) -> None:
        try:
            self._watch.wait(condition, within, what)
        except TimeoutError:
            raise AssertionError(self._abort(f"waited {within} s in vain {what}")) from None

    def _abort(self, reason: str) -> str:
        status = self.process.poll()
        reason += " while it ran" if status is None else f"; it had ended with status {status}"
        if status is None:
            self.process.send_signal(getattr(signal, "SIGABRT", signal.SIGTERM))
        self._reap()
        return self._report(reason)

    def _report(self, reason: str) -> str:
        return (
            f"{self.process.args}: {reason}\n"
            f"standard output:\n{self.output}\nstandard error:\n{self.errors}"
        )

    def _reap(self) -> None:
        try:
            self.process.wait(_DYING_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(_DYING_S)
        for stream in (self._output, self._errors):
            stream.close(_DYING_S)

    def __enter__(self: C) -> C:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it ended before it read the last line
        self._reap()


class _Stream:
    """Reads lines on a thread of its own, since no pipe can be read with a limit everywhere."""

    def __init__(self, file: Optional[IO[str]], watch: Watch) -> None:
        assert file is not None
        self.lines: List[str] = []
        self.ended = False
        self._file = file
        self._watch = watch
        self._thread = threading.Thread(target=self._read, name="child's output", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._file:
            self.lines.append(line)
            self._watch.changed()
        self.ended = True
        self._watch.changed()

    def close(self, within: float) -> None:
        """Give the pipe back, unless somebody else still holds its other end."""
        self._thread.join(within)
        if self.ended:
            self._file.close()
