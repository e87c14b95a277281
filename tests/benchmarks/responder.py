"""Plays the worker's part in a process of its own: stores results on request, or for every job."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List

from tests.support import Child, RawClient
from tests.support.framing import encode_command

__all__ = ["ROOT", "ask", "asked", "responder", "stored"]

#: Where ``python -m tests...`` finds the modules.
ROOT = Path(__file__).resolve().parents[2]

_CONTROL, _STORED, _JOBS = "control", "stored", "bananas:queue:high"


@contextmanager
def responder(port: int) -> Iterator[None]:
    """Run the process, and end it."""
    command = [sys.executable, "-m", __name__, str(port)]
    with Child(command, cwd=ROOT) as child:
        child.expect("ready")
        yield


def commands(job_id: str) -> bytes:
    """What stores a result; its value is the time at which it was ready to be sent, in ns."""
    key = f"bananas:result:{job_id}"
    announced = encode_command("EXPIRE", key, 3600) + encode_command(
        "PUBLISH", f"bananas:result:notify:{job_id}", "ready"
    )
    fields = ("status", "completed", "completed_at", "2025-01-15T10:30:05Z", "duration_ms", "1")
    return encode_command("HSET", key, *fields, "result", time.perf_counter_ns()) + announced


def store(link: RawClient, ids: List[str]) -> None:
    """Store a result for each id."""
    for start in range(0, len(ids), 100):
        some = ids[start : start + 100]
        link.socket.sendall(b"".join(map(commands, some)))
        for _ in range(3 * len(some)):
            link.receive()


def serve(port: int) -> None:
    """Store what the control list names (one message, many ids), and every job of ``high``.

    The bytes are made by hand: what a worker's client costs is no part of a wait.
    """
    with RawClient(port) as link:
        link.socket.settimeout(None)
        link.command("PING")
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            key, value = link.command("BLPOP", _CONTROL, _JOBS, 0)
            store(link, value.decode().split())
            if key.decode() == _CONTROL:
                link.command("LPUSH", _STORED, time.perf_counter_ns())


def ask(link: RawClient, ids: List[str]) -> None:
    """Have results stored; ``asked`` says whether that was taken, and waits for nothing else."""
    link.send("LPUSH", _CONTROL, " ".join(ids))


def asked(link: RawClient) -> None:
    """Make sure that a request was taken.

    Raises:
        RespError: Redis refused it; nothing will be stored.
    """
    link.receive()


def stored(link: RawClient) -> int:
    """Return when one request had been carried out, in nanoseconds."""
    reply = link.command("BLPOP", _STORED, 60)
    assert reply is not None, "the responder does not answer"
    return int(reply[1])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
