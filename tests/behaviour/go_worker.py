"""What a Go worker writes into Redis, one step at a time."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

from tests.behaviour.broker import Broker

__all__ = ["GoWorker"]


class GoWorker:
    """Does to a submitted job what a worker does, at the moment a test wants it done.

    Args:
        broker: Where.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def take(self, queue: str = "queue:normal") -> Optional[str]:
        """Move the oldest id of a list to the processing list, and return it."""
        taken = self._broker.command("RPOPLPUSH", f"bananas:{queue}", "bananas:queue:processing")
        return None if taken is None else taken.decode()

    def store_success(self, job_id: str, result: Optional[str] = None, **more: Any) -> None:
        """Store a completed result, ``result`` being JSON text, and announce it."""
        fields = {} if result is None else {"result": result}
        self.store(job_id, "completed", 3600, fields, **more)

    def store_failure(self, job_id: str, error: str, **more: Any) -> None:
        """Store the failed result of an attempt, and announce it."""
        self.store(job_id, "failed", 86400, {"error": error}, **more)

    def store(
        self,
        job_id: str,
        status: str,
        ttl: int,
        fields: Any,
        *,
        publish: bool = True,
        at: Optional[datetime] = None,
    ) -> None:
        """Lay a result over what is there, as HSET does, and announce it."""
        moment = (at or datetime.now(timezone.utc)).replace(microsecond=0)
        fields = {
            "status": status,
            "completed_at": moment.isoformat().replace("+00:00", "Z"),
            "duration_ms": "12",
            **fields,
        }
        key = f"bananas:result:{job_id}"
        flat = [part for pair in fields.items() for part in pair]
        self._broker.command("HSET", key, *flat)
        self._broker.command("EXPIRE", key, ttl)
        if publish:
            self.publish(job_id)

    def publish(self, job_id: str, message: str = "ready") -> None:
        """Announce a result."""
        self._broker.command("PUBLISH", f"bananas:result:notify:{job_id}", message)

    def rewrite(self, job_id: str, **changes: Any) -> None:
        """Rewrite the document; None takes a field away."""
        document = {**self._broker.job(job_id), "updated_at": _now(), **changes}
        text = json.dumps({name: value for name, value in document.items() if value is not None})
        self._broker.command("SET", f"bananas:job:{job_id}", text)

    def complete(self, job_id: str) -> None:
        """Write into the document that the job has completed."""
        self.rewrite(job_id, status="completed")

    def fail_for_good(self, job_id: str, error: str = "boom") -> None:
        """Write a final failure into the document, and make a dead letter of the job."""
        attempts = self._broker.job(job_id)["attempts"] + 1
        self.rewrite(job_id, status="failed", attempts=attempts, error=error, scheduled_for=None)
        self._broker.command("LREM", "bananas:queue:processing", 1, job_id)
        self._broker.command("LPUSH", "bananas:queue:dead", job_id)

    def retry_later(self, job_id: str, error: str = "boom") -> None:
        """Write into the document that a retry is due in two seconds or more."""
        attempts = self._broker.job(job_id)["attempts"] + 1
        due = datetime.now(timezone.utc) + timedelta(seconds=2**attempts)
        self.rewrite(
            job_id,
            status="pending",
            attempts=attempts,
            error=error,
            scheduled_for=due.isoformat().replace("+00:00", "Z"),
        )
        self._broker.command("ZADD", "bananas:queue:scheduled", int(due.timestamp()), job_id)
        self._broker.command("LREM", "bananas:queue:processing", 1, job_id)

    def queue_again(self, job_id: str, queue: str = "queue:normal") -> None:
        """Do what the scheduler does with a retry that is due; ``updated_at`` stays."""
        updated_at = self._broker.job(job_id)["updated_at"]
        self.rewrite(job_id, scheduled_for=None, updated_at=updated_at)
        self._broker.command("ZREM", "bananas:queue:scheduled", job_id)
        self._broker.command("LPUSH", f"bananas:{queue}", job_id)

    def leave_stub(self, job_id: str, error: str = "failed to unmarshal job") -> None:
        """Do what a worker does with a document that is missing or that it can't read."""
        stub = json.dumps({"id": job_id, "error": error, "corrupted_data": "?"})
        self._broker.command("SET", f"bananas:job:{job_id}", stub, "EX", 604800)
        self._broker.command("LPUSH", "bananas:queue:dead", job_id)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
