"""Makes dead letters, and says which there are."""

from __future__ import annotations

import json
from typing import Any, List

from tests.behaviour.broker import Broker

__all__ = ["D", "bury", "dead"]

D = "bananas:queue:dead"


def bury(broker: Broker, job_id: str, **members: Any) -> None:
    """Make a dead letter, newer than all others."""
    document = {
        "id": job_id, "name": "work", "payload": {"n": 1}, "status": "failed",
        "priority": "normal", "created_at": "2025-01-15T10:30:00Z",
        "updated_at": "2025-01-15T10:30:00Z", "attempts": 3, "max_retries": 3, "error": "boom",
        **members,
    }  # fmt: skip
    broker.command("SET", f"bananas:job:{job_id}", json.dumps(document), "EX", 1000)
    broker.command("HSET", f"bananas:result:{job_id}", "status", "failed")
    broker.command("LPUSH", D, job_id)


def dead(broker: Broker) -> List[str]:
    """Return the ids in the list of dead letters, the oldest first."""
    return [job_id.decode() for job_id in broker.command("LRANGE", D, 0, -1)][::-1]
