"""What the demo says in words: each step of a job, its end, and what was not as planned."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Optional, Sequence, Tuple

from .demo_jobs import Progress

__all__ = ["CODE", "ended", "next_step", "nobody_works", "step", "stopped", "waiting"]

# A line of the story has 60 columns: the time, the job's title, and this.
_WIDTH = 35
_LONGEST_PATH = len(".venv/bin/python")
_GOOD, _WAITING, _RUNNING, _RETRYING, _BAD = "green", "blue", "cyan", "yellow", "bold red"

#: What a program has to do that wants one of these jobs done.
CODE = """\
async with AsyncClient() as client:
    payload = {"seconds": 0.4, "failures": 0}
    job_id = await client.submit_job("demo", payload)
    result = await client.wait_for_result(job_id)
    print(result.get_result())  # {'attempt': 1}
"""


def next_step() -> str:
    """Say where a reader goes from here, with the Python that runs the demo."""
    python = Path(sys.executable)
    name = "python"
    if Path.cwd() in python.parents and shutil.which(name) != str(python):
        path = str(python.relative_to(Path.cwd()))
        name = path if len(path) <= _LONGEST_PATH else name
    return f"Next, in the clone: {name} examples/hello_async.py\nThen: docs/tutorial.md"


def step(row: Progress) -> Tuple[str, str]:
    """Say what is happening to a job, and in which style; nothing while that is not known."""
    document = row.document
    if row.ended_at is not None:
        return _end(row)
    if document is None or row.where in ("submitted", "completed", "failed", "dead"):
        return "", ""
    if row.where == "scheduled":
        # Its score is rounded up to a whole second, and the scheduler looks once a second.
        return "waits; may be 2 s late, never early", _WAITING
    if row.where == "queued":
        return "queued, waits for a free worker", _WAITING
    if row.where == "taken":
        attempt = document.attempts + 1
        return ("a worker runs it" if attempt == 1 else f"attempt {attempt} runs"), _RUNNING
    if row.where == "retrying":
        # The score of a retry is in whole seconds, rounded down.
        return _fit(f"failed: {document.error}", f"; retry in about {_pause(row)} s"), _RETRYING
    return row.where, _BAD


def _end(row: Progress) -> Tuple[str, str]:
    result = row.result
    if result is None:
        return "no result", _BAD
    if result.status is not row.job.ends:
        return _fit(f"{result.status}, not as planned"), _BAD
    if result.is_failed:
        return f"failed as planned: {row.job.failed}", _GOOD
    if not result.has_data:
        return "done, without data", _GOOD
    return _fit(f"done, returned {json.dumps(result.result)}"), _GOOD


def _pause(row: Progress) -> int:
    assert row.document is not None
    return 1 << max(1, min(row.document.attempts, 30))


def _fit(text: str, end: str = "") -> str:
    """Return the first line of a text, and an end, in the width that there is."""
    line = (text.splitlines() or [""])[0]
    room = _WIDTH - len(end)
    return (line if len(line) <= room else line[: room - 3] + "...") + end


def waiting(rows: Sequence[Progress]) -> str:
    """Say how many jobs have ended, and how long it is until the next one is due."""
    now = datetime.now(timezone.utc)
    dues = [
        row.document.scheduled_for
        for row in rows
        if row.where in ("scheduled", "retrying") and row.document is not None
    ]
    left = [(due - now).total_seconds() for due in dues if due is not None and due > now]
    text = f"{ended(rows)} of {len(rows)} jobs have ended"
    return f"{text}, the next one is due in {min(left):.1f} s" if left else text


def ended(rows: Sequence[Progress]) -> int:
    """Return how many jobs have ended, whether well or not."""
    return sum(row.result is not None for row in rows)


def nobody_works(rows: Sequence[Progress], timeout: float) -> Optional[str]:
    """Say that no worker took a job; None if one did, or where that is not known."""
    if not all(row.waits_for_a_worker for row in rows):
        return None
    return (
        f"no worker took a job in {timeout:g} s: is a Go worker running there? {_taken_back(rows)}"
    )


def stopped(rows: Sequence[Progress], *, worker: bool) -> str:
    """Say after Ctrl-C what had ended, and what becomes of the other jobs."""
    if not rows:
        return "stopped before the jobs were submitted"
    text = f"stopped; {ended(rows)} of {len(rows)} jobs had ended"
    return text if worker or ended(rows) == len(rows) else f"{text}; {_taken_back(rows)}"


def _taken_back(rows: Sequence[Progress]) -> str:
    back = sum(row.taken_back for row in rows)
    left = len(rows) - ended(rows) - back
    return (
        f"{back} {'job was' if back == 1 else 'jobs were'} deleted, "
        f"{left} {'is' if left == 1 else 'are'} left in the queue"
    )
