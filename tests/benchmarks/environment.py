"""What a run was made with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from typing import Dict, Optional, Union

from tests.support import find_redis_server

__all__ = ["environment"]


def environment() -> Dict[str, Union[str, int, None]]:
    """Return the versions of all that takes part, and the number of CPUs."""
    server = subprocess.run(
        [find_redis_server(), "--version"], check=True, stdout=subprocess.PIPE
    ).stdout.decode()
    packages = {"redis-py": "redis", "hiredis": "hiredis", "anyio": "anyio", "orjson": "orjson"}
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: _version(package) for name, package in packages.items()},
        "redis-server": server.partition("v=")[2].partition(" ")[0],
        "cpus": os.cpu_count(),
        "system": platform.system(),
    }


def _version(package: str) -> Optional[str]:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
