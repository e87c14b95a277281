"""Runs the command line on a terminal of its own, and interrupts it."""

from __future__ import annotations

import os
import select
import subprocess
import time
from typing import Callable

from tests.behaviour.command_line import Done
from tests.behaviour.programs import ROOT, environment, python

__all__ = ["at_a_terminal"]

# A bound for a test that hangs, not an expectation.
_PATIENCE = 120


def at_a_terminal(
    *arguments: str, until: str, then: int, when: Callable[[], object] = lambda: True
) -> Done:
    """Run a command on a terminal, and send it a signal once something is shown.

    What it shows has to change until ``when()`` is true too.
    """
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        python("-m", "bananas", *arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(TERM="xterm-256color", COLUMNS="60", LINES="50",
                        BANANAS_REDIS_URL=os.environ["BANANAS_REDIS_URL"]),
        cwd=str(ROOT),
    )  # fmt: skip
    os.close(theirs)
    said = b""
    deadline = time.monotonic() + _PATIENCE
    try:
        while True:
            ready, _, _ = select.select([ours], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, said
            try:
                data = os.read(ours, 65536)
            except OSError:  # its other end is closed
                break
            if not data:
                break
            said += data
            if then and until in said.decode(errors="replace") and when():
                process.send_signal(then)
                then = 0
        return Done(process.wait(_PATIENCE), said.decode(errors="replace"), "")
    finally:
        process.kill()
        process.wait(_PATIENCE)
        os.close(ours)
