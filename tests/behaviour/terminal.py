"""Runs the command line on a terminal of its own, and interrupts it."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import time
from types import TracebackType
from typing import Callable, List, NamedTuple, Optional, Sequence, Type

from tests.behaviour.command_line import Done
from tests.behaviour.programs import ROOT, environment, python

__all__ = ["Interrupted", "at_a_terminal", "interrupted_in_turn"]

# A bound for a test that hangs, not an expectation.
_PATIENCE = 120
_ENDED = re.compile(r"ended with (\d+)\r?\n")


class Interrupted(NamedTuple):
    """A command, and when Ctrl-C is pressed.

    Attributes:
        arguments: The command line.
        until: What it shows before.
        when: What must be true then.
    """

    arguments: Sequence[str]
    until: str
    when: Callable[[], object] = lambda: True


class _Terminal:
    """A terminal of 60 columns, on which a program runs."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = os.openpty()
        self.process = subprocess.Popen(
            python("-m", *arguments),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(TERM="xterm-256color", COLUMNS="60", LINES="50",
                            BANANAS_REDIS_URL=os.environ["BANANAS_REDIS_URL"]),
            cwd=str(ROOT),
        )  # fmt: skip
        os.close(theirs)
        self._said = b""
        self._deadline = time.monotonic() + _PATIENCE

    @property
    def said(self) -> str:
        """What the program has shown."""
        return self._said.decode(errors="replace")

    def read(self) -> bool:
        """Wait until it shows more; False at its end."""
        left = max(0.0, self._deadline - time.monotonic())
        ready, _, _ = select.select([self._ours], [], [], left)
        assert ready, self.said
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # its other end is closed
            return False
        self._said += data
        return bool(data)

    def __enter__(self) -> _Terminal:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.process.kill()
        self.process.wait(_PATIENCE)
        os.close(self._ours)


def at_a_terminal(
    *arguments: str, until: str, then: int, when: Callable[[], object] = lambda: True
) -> Done:
    """Run a command on a terminal, and send it a signal once something is shown.

    What it shows has to change until ``when()`` is true too.
    """
    with _Terminal("bananas", *arguments) as terminal:
        while terminal.read():
            if then and until in terminal.said and when():
                terminal.process.send_signal(then)
                then = 0
        return Done(terminal.process.wait(_PATIENCE), terminal.said, "")


def interrupted_in_turn(commands: Sequence[Interrupted]) -> List[Done]:
    """Run commands on one terminal, in one process, and press Ctrl-C in the middle of each."""
    lines = json.dumps([command.arguments for command in commands])
    found: List[Done] = []
    start = 0
    with _Terminal("tests.behaviour.commands_in_turn", lines) as terminal:
        for command in commands:
            pressed = False
            while _ENDED.search(terminal.said, start) is None:
                assert terminal.read(), terminal.said
                shown = terminal.said[start:]
                if not pressed and command.until in shown and command.when():
                    terminal.process.send_signal(signal.SIGINT)
                    pressed = True
            end = _ENDED.search(terminal.said, start)
            assert end is not None
            found.append(Done(int(end[1]), terminal.said[start : end.start()], ""))
            start = end.end()
    return found
