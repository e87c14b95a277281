"""The command that prints what belongs in a bug report: version."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import Dict, Optional

from .. import __version__
from . import options
from .output import console, facts, json_line

__all__ = ["version"]

_PACKAGES = (
    "redis", "hiredis", "anyio", "typer", "click", "rich", "fakeredis", "orjson", "pydantic",
)  # fmt: skip


def version(as_json: bool = options.JSON, quiet: bool = options.QUIET) -> None:
    """Print the versions for a bug report.

    With --quiet, print only the version of bananas.

    Example: bananas version --json
    """
    if quiet:
        print(__version__)
        return
    found: Dict[str, Optional[str]] = {
        "bananas": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "executable": sys.executable,
        **{package: _version_of(package) for package in _PACKAGES},
    }
    if as_json:
        json_line(found)
    else:
        console().print(facts((name, value or "not installed") for name, value in found.items()))


def _version_of(package: str) -> Optional[str]:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
