"""Plays the worker's part in a process of its own: stores results on request, or for every job."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, List

import redis

__all__ = ["ROOT", "ask", "responder", "stored"]

#: Where ``python -m tests...`` finds the modules.
ROOT = Path(__file__).resolve().parents[2]

_CONTROL, _STORED, _JOBS = "control", "stored", "bananas:queue:high"


@contextmanager
def responder(port: int) -> Iterator[None]:
    """Run the process, and end it."""
    command = [sys.executable, "-m", __name__, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=str(ROOT)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            process.terminate()


def store(client: Any, ids: List[str]) -> None:
    """Store a result for each id; its value is the time at which it was sent, in nanoseconds."""
    for start in range(0, len(ids), 100):
        pipeline = client.pipeline(transaction=False)
        for job_id in ids[start : start + 100]:
            key = f"bananas:result:{job_id}"
            fields = {
                "status": "completed",
                "completed_at": "2025-01-15T10:30:05Z",
                "duration_ms": "1",
                "result": str(time.perf_counter_ns()),
            }
            pipeline.hset(key, mapping=fields)
            pipeline.expire(key, 3600)
            pipeline.publish(f"bananas:result:notify:{job_id}", "ready")
        pipeline.execute()


def serve(port: int) -> None:
    """Store what the control list names (one message, many ids), and every job of ``high``."""
    client: Any = redis.Redis(port=port, protocol=2, socket_timeout=None)
    client.ping()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        key, value = client.blpop([_CONTROL, _JOBS], timeout=0)
        if key.decode() == _CONTROL:
            store(client, value.decode().split())
            client.lpush(_STORED, str(time.perf_counter_ns()))
        else:
            store(client, [value.decode()])


def ask(control: Any, ids: List[str]) -> None:
    """Have results stored."""
    control.lpush(_CONTROL, " ".join(ids))


def stored(control: Any) -> int:
    """Return when one request had been carried out, in nanoseconds."""
    reply = control.blpop([_STORED], timeout=60)
    assert reply is not None, "the responder does not answer"
    return int(reply[1])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
