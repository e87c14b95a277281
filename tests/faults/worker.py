"""What a worker writes on the wire when a job has ended."""

from __future__ import annotations

import json
import time
from typing import Any, Dict, Iterable, List

from tests.support import RawClient

__all__ = ["FIELDS", "channel", "document", "fail", "finish", "result_key", "store"]

#: A result as workers store it, but for its data.
FIELDS: Dict[str, str] = {
    "status": "completed",
    "completed_at": "2025-01-15T10:30:05Z",
    "duration_ms": "12",
}


def result_key(job_id: str) -> str:
    """Return where the result of a job is stored."""
    return f"bananas:result:{job_id}"


def channel(job_id: str) -> str:
    """Return where the storing of a job's result is announced."""
    return f"bananas:result:notify:{job_id}"


def document(job_id: str, **changes: Any) -> str:
    """Return the document of a job that waits for a worker, with some fields changed."""
    fields: Dict[str, Any] = {
        "id": job_id,
        "name": "work",
        "payload": None,
        "status": "pending",
        "priority": "normal",
        "created_at": "2025-01-15T10:30:00Z",
        "updated_at": "2025-01-15T10:30:00Z",
        "attempts": 0,
        "max_retries": 3,
    }
    fields.update(changes)
    return json.dumps(fields)


def finish(redis: RawClient, job_ids: Iterable[str], *, publish: bool = True) -> None:
    """Store for each job a success whose data are the job's own id, and say so."""
    store(redis, {job_id: dict(FIELDS, result=json.dumps(job_id)) for job_id in job_ids}, publish)


def fail(redis: RawClient, job_ids: Iterable[str]) -> None:
    """Store for each job a last failure that names the job, and say so."""
    failed = dict(FIELDS, status="failed")
    store(redis, {job_id: dict(failed, error=f"{job_id} failed") for job_id in job_ids})
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    _all(
        redis,
        [
            ("SET", f"bananas:job:{job_id}", document(job_id, status="failed", updated_at=now))
            for job_id in job_ids
        ],
    )


def store(redis: RawClient, results: Dict[str, Dict[str, str]], publish: bool = True) -> None:
    """Store results as they are given, and say so."""
    commands: List[Any] = []
    for job_id, fields in results.items():
        pairs = [part for pair in fields.items() for part in pair]
        commands.append(("HSET", result_key(job_id), *pairs))
        commands.append(("EXPIRE", result_key(job_id), 3600))
        if publish:
            commands.append(("PUBLISH", channel(job_id), "ready"))
    _all(redis, commands)


def _all(redis: RawClient, commands: List[Any]) -> None:
    for command in commands:
        redis.send(*command)
    for _ in commands:
        redis.receive()
