"""A model of Redis and of workers, as far as waits see them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Dict, List, Optional, Set

from tests.unit.waits.recorder import document

__all__ = ["Server", "Work"]

_THEN = datetime(2025, 1, 15, 10, 30, tzinfo=timezone.utc)
#: Retries are at least so many seconds apart.
_RETRY_S = 2.0


class Work:
    """A job on its way, and what will become of it.

    Attributes:
        attempts: How many attempts have been counted in its document.
        failures: How many attempts fail.
        end: What comes after them: "success", "no result" (a success of a worker that keeps none),
            "dead" (the last attempt fails) or "dead without a result" (nothing can run it).
        steps: What is left to be done, the next one first.
        is_over: Whether the last attempt has ended.
    """

    def __init__(self, server: Server, job_id: str, failures: int, end: str, size: int) -> None:
        self.server = server
        self.job_id = job_id
        self.attempts = 0
        self.failures = failures
        self.end = end
        self.is_over = False
        self.fields: Dict[str, Any] = {"max_retries": failures + 1, "payload": "x" * size}
        self.steps: List[Callable[[], None]] = [self._submit]
        self.ready_at = 0.0

    @property
    def can_go_on(self) -> bool:
        """Whether there is a step to take now."""
        return bool(self.steps) and self.server.now >= self.ready_at

    def go_on(self) -> None:
        """Take the next step; any time may pass before the one after it."""
        self.steps.pop(0)()

    def _write(self, **changes: Any) -> None:
        self.fields.update(changes)
        for name in [name for name, value in self.fields.items() if value is ...]:
            del self.fields[name]
        moment = _THEN + timedelta(seconds=self.server.now)
        self.fields["updated_at"] = moment.isoformat().replace("+00:00", "Z")
        self.server.documents[self.job_id] = document(self.job_id, **self.fields)

    def _submit(self) -> None:
        self._write(attempts=0)
        self.steps = [self._take]

    def _take(self) -> None:
        self.server.processing.add(self.job_id)
        if self.attempts < self.failures:
            self.steps = [self._store_failure, self._retry_later, self._let_go, self._queue_again]
        elif self.end == "success":
            self.steps = [self._store_success, self._complete, self._let_go, self._expire]
        elif self.end == "no result":
            self.steps = [self._complete, self._let_go, self._expire]
        elif self.end == "dead":
            self.steps = [self._store_failure, self._die, self._let_go, self._expire]
        else:
            self.steps = [self._die, self._let_go, self._expire]

    def _store(self, fields: Dict[str, str]) -> None:
        moment = (_THEN + timedelta(seconds=self.server.now)).replace(microsecond=0)
        fields["completed_at"] = moment.isoformat().replace("+00:00", "Z")
        self.server.results.setdefault(self.job_id, {}).update(fields)
        self.server.publish(self.job_id)

    def _store_failure(self) -> None:
        self.is_over = self.attempts == self.failures
        error = f"attempt {self.attempts}"
        self._store({"status": "failed", "error": error, "duration_ms": "1"})

    def _store_success(self) -> None:
        self.is_over = True
        self._store({"status": "completed", "result": f'"{self.job_id}"', "duration_ms": "1"})

    def _retry_later(self) -> None:
        due = _THEN + timedelta(seconds=self.server.now + _RETRY_S)
        text = due.isoformat().replace("+00:00", "Z")
        error = f"attempt {self.attempts}"
        self.attempts += 1
        self._write(attempts=self.attempts, error=error, scheduled_for=text)
        self.ready_at = self.server.now + _RETRY_S

    def _let_go(self) -> None:
        self.server.processing.discard(self.job_id)

    def _queue_again(self) -> None:
        self._write(scheduled_for=...)
        self.steps = [self._take]

    def _complete(self) -> None:
        self.is_over = True
        self._write(status="completed", attempts=self.attempts)

    def _die(self) -> None:
        self.is_over = True
        self._write(status="failed", attempts=self.attempts + 1, error="dead")
        self.server.dead.insert(0, self.job_id)

    def _expire(self) -> None:
        self.server.results.pop(self.job_id, None)
        self.steps = [self._expire_document]

    def _expire_document(self) -> None:
        self.server.documents.pop(self.job_id, None)


class Server:
    """What is stored, and who is told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.documents: Dict[str, bytes] = {}
        self.results: Dict[str, Dict[str, str]] = {}
        self.processing: Set[str] = set()
        self.dead: List[str] = []
        self.subscribed: Set[str] = set()
        self.published: List[str] = []

    def publish(self, job_id: str) -> None:
        """Tell who listens."""
        if job_id in self.subscribed:
            self.published.append(job_id)

    def result(self, job_id: str) -> List[bytes]:
        """Return the reply to HGETALL."""
        fields = self.results.get(job_id, {})
        return [part.encode() for pair in fields.items() for part in pair]

    def document(self, job_id: str, *, whole: bool) -> bytes:
        """Return the reply to GET or GETRANGE."""
        text = self.documents.get(job_id, b"")
        return text if whole else text[-4096:]

    def is_taken(self, job_id: str) -> Optional[bool]:
        """Return what LPOS tells."""
        return job_id in self.processing
