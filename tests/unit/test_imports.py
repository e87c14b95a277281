"""What importing the package brings along."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.unit.source_tree import ROOT

PROGRAM = "import bananas, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
#: redis-py itself imports opentelemetry where it is installed.
OPTIONAL = {
    "aiohttp", "attr", "click", "coverage", "django", "fakeredis", "fastapi", "flask",
    "hypothesis", "msgspec", "prometheus_client", "pydantic", "pytest", "rich", "starlette",
    "structlog", "typer", "unittest", "uvloop",
}  # fmt: skip


def imported(program: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after a program."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    output = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=environment, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return set(output.stdout.decode().split())


def test_nothing_optional_is_imported() -> None:
    """Importing the package imports no extra, no test helper, and nothing heavy."""
    found = imported(PROGRAM)
    assert "bananas" in found
    assert found & OPTIONAL == set()


def test_no_call_imports_orjson() -> None:
    """An interrupt of a call can't leave orjson half imported, which crashes when collected."""
    assert "orjson" in imported(PROGRAM)


def test_importing_starts_nothing() -> None:
    """Importing the package starts no thread and no event loop."""
    program = "import bananas, threading; print(threading.active_count())"
    assert imported(program) == {"1"}


def test_the_first_request_waits_for_no_import() -> None:
    """What anyio imports at its first use is there before the time of the first request begins."""
    program = (
        "import asyncio, bananas, sys\n"
        "client = bananas.AsyncClient()\n"
        "async def main(): client._pipeline.running_loop()\n"
        "asyncio.run(main()); print('anyio._backends._asyncio' in sys.modules)"
    )
    assert imported(program) == {"True"}
