"""What each peer's adapter is: its workloads by name, run in the peer's own environment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Coroutine, Dict, Iterator

__all__ = ["PORT", "URL", "peer_main", "run", "worker"]

PORT = int(os.environ.get("BENCHMARK_REDIS_PORT", "6379"))
URL = f"redis://127.0.0.1:{PORT}/0"

Workload = Callable[[int], float]


def peer_main(workloads: Dict[str, Workload]) -> None:
    """Print the figure of the workload that the command line names, or its names without one."""
    if len(sys.argv) == 1:
        print(json.dumps(list(workloads)))
    else:
        print(json.dumps(workloads[sys.argv[1]](int(sys.argv[2]))))


def run(workload: Callable[[int], Coroutine[Any, Any, float]]) -> Workload:
    """Make a blocking workload of one that is a coroutine."""
    return lambda count: asyncio.run(workload(count))


@contextlib.contextmanager
def worker(*command: str) -> Iterator[None]:
    """Run the peer's worker: a program beside this interpreter, and its arguments."""
    program = str(Path(sys.executable).parent / command[0])
    process = subprocess.Popen(
        [program, *command[1:]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
