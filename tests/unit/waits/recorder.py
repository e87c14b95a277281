"""A state machine of waits whose effects are recorded."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

from bananas import BananasError, JobResult
from bananas._waits.registry import AwaitedJob, State, Wait
from bananas._waits.state_machine import StateMachine
from tests.faults import worker

__all__ = ["SAFETY_INTERVAL", "Recorder", "document", "failed", "succeeded"]

SAFETY_INTERVAL = 5.0


def document(job_id: str = "a", **changes: Any) -> bytes:
    """Return the document of a job that waits for a worker, with some fields changed."""
    return worker.document(job_id, **changes).encode()


def _flat(**fields: str) -> List[bytes]:
    fields = {"completed_at": "2025-01-15T10:30:05Z", "duration_ms": "12", **fields}
    return [part.encode() for pair in fields.items() for part in pair]


def succeeded(value: str = "7") -> List[bytes]:
    """Return what is stored of a success."""
    return _flat(status="completed", result=value)


def failed(error: str = "boom", **fields: str) -> List[bytes]:
    """Return what is stored of a failed attempt."""
    return _flat(status="failed", error=error, **fields)


class Recorder:
    """Carries nothing out, and notes what it was told to do.

    Attributes:
        machine: The state machine.
        effects: The effects, in their order; those of the timer left out.
        reads: What is to be answered, the oldest first: a kind, and its arguments.
        outcomes: What became of waits.
        wake_at_time: What the timer is set to.
    """

    def __init__(self) -> None:
        self.effects: List[Tuple[str, object]] = []
        self.reads: List[Tuple[str, List[AwaitedJob], List[bool]]] = []
        self.outcomes: Dict[Wait, object] = {}
        self.wake_at_time: Optional[float] = None
        self.now = 100.0
        self.machine = StateMachine(self, safety_interval=SAFETY_INTERVAL)

    def subscribe(self, job_id: str) -> None:
        self.effects.append(("subscribe", job_id))

    def unsubscribe(self, job_id: str) -> None:
        self.effects.append(("unsubscribe", job_id))

    def read_results(self, jobs: Sequence[AwaitedJob]) -> None:
        self.effects.append(("results", [job.job_id for job in jobs]))
        self.reads.append(("results", list(jobs), []))

    def read_documents(
        self, jobs: Sequence[AwaitedJob], asked: Sequence[bool], *, whole: bool
    ) -> None:
        kind = "whole documents" if whole else "documents"
        self.effects.append((kind, [job.job_id for job in jobs]))
        self.reads.append((kind, list(jobs), list(asked)))

    def read_dead_letters(self, count: int) -> None:
        self.effects.append(("dead letters", count))

    def resolve(self, wait: Wait, result: JobResult[Any]) -> None:
        assert wait not in self.outcomes, "a wait ends once"
        self.outcomes[wait] = result

    def fail(self, wait: Wait, error: BananasError) -> None:
        assert wait not in self.outcomes, "a wait ends once"
        self.outcomes[wait] = error

    def wake_at(self, when: float) -> None:
        assert self.wake_at_time is None, "there is one timer"
        self.wake_at_time = when

    # -- what tests do ---------------------------------------------------------------------------

    def wait(self, job_id: str = "a", **options: bool) -> Wait:
        """Register a wait."""
        wait = Wait(job_id, **options)
        self.machine.registered(wait, self.now)
        return wait

    def listen(self, job_id: str = "a", **options: bool) -> Wait:
        """Register a wait, confirm its channel, and find no result yet."""
        wait = self.wait(job_id, **options)
        self.machine.confirmed([job_id])
        self.answer(None)
        return wait

    def answer(self, *replies: Any) -> None:
        """Answer the oldest read."""
        kind, jobs, _ = self.reads.pop(0)
        assert len(replies) == len(jobs)
        if kind == "results":
            self.machine.results_read(jobs, replies)
        else:
            whole = kind == "whole documents"
            self.machine.documents_read(jobs, replies, self.now, whole=whole)

    def refuse(self, error: BaseException) -> None:
        """Fail the oldest read."""
        kind, jobs, _ = self.reads.pop(0)
        self.machine.read_failed(jobs, error, results=kind == "results")

    def pass_time(self, seconds: float) -> None:
        """Let time pass, tick by tick."""
        until = self.now + seconds
        while self.wake_at_time is not None and self.wake_at_time <= until:
            self.now, self.wake_at_time = self.wake_at_time, None
            self.machine.time(self.now)
        self.now = until

    def take(self) -> List[Tuple[str, object]]:
        """Return the effects since the last call."""
        effects, self.effects = self.effects, []
        return effects

    def state(self, job_id: str = "a") -> State:
        """Return how far the wait for a job has come."""
        job = self.machine._registry.get(job_id)
        return State.ENDED if job is None else job.state
