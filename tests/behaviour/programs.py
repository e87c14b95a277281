"""Runs Python programs as a user does, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

__all__ = ["ROOT", "environment", "python", "run"]

ROOT = Path(__file__).resolve().parents[2]

# A bound for a test that hangs, not an expectation.
_PATIENCE = 300
# What a user may have set, and what a build machine may have.
_UNSET = ("BANANAS_REDIS_URL", "COLUMNS", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE")


def environment(**variables: str) -> Dict[str, str]:
    """Return this process's environment, without what would change a program's output."""
    found = {name: value for name, value in os.environ.items() if name not in _UNSET}
    return {**found, "PYTHONIOENCODING": "utf-8", **variables}


def python(*arguments: str) -> List[str]:
    """Return the command line of a Python that reports what was left open."""
    return [sys.executable, "-W", "default::ResourceWarning", *arguments]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with some arguments to its end, in the environment with some more variables."""
    return subprocess.run(
        python(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=_PATIENCE,
        env=environment(**variables),
        cwd=str(ROOT),
    )
