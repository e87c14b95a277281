"""Runs the programs of this directory, each in a process of its own."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.support import Child

__all__ = ["ROOT", "Program"]

#: The root of the source tree.
ROOT = Path(__file__).resolve().parents[2]
_PATIENCE = 240.0

# Warnings are errors in the programs too, but for one: from CPython 3.12 on, a fork in a process
# with threads warns of locks that the child may inherit. To fork there is what some of them are
# about; 3.15 raises the warning in the parent, after the fork.
_FORKS_MAY_WARN = "ignore:This process:DeprecationWarning"


class Program(Child):
    """A running program, killed at the end of a ``with`` block if it has not ended.

    Args:
        name: A module of ``programs``.
        arguments: What it is started with.
    """

    def __init__(self, name: str, *arguments: str) -> None:
        command = [sys.executable, "-W", "error", "-W", _FORKS_MAY_WARN, "-X", "faulthandler"]
        module = f"tests.faults.programs.{name}"
        super().__init__([*command, "-m", module, *arguments], cwd=ROOT)

    def end_well(self, within: float = _PATIENCE) -> float:
        """Check that it ends with status 0 and without a word on standard error.

        Returns:
            How long it took from now on, in seconds.
        """
        start = time.monotonic()
        status = self.end(within)
        taken = time.monotonic() - start
        assert (status, self.errors) == (0, ""), self.output + self.errors
        return taken
