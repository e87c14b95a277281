"""What the state machine of waits has others do."""

from __future__ import annotations

from typing import Any, Protocol, Sequence

from .. import exceptions as exc
from ..models import JobResult
from .registry import AwaitedJob, Wait

__all__ = ["Effects"]


class Effects(Protocol):
    """Carries out what the state machine decides.

    A method must not wait, nor raise. It may cause an event at once.
    """

    def subscribe(self, job_id: str) -> None:
        """Want the notifications of a job; ``confirmed`` follows, after every reconnect too."""

    def unsubscribe(self, job_id: str) -> None:
        """Want them no longer."""

    def read_results(self, jobs: Sequence[AwaitedJob]) -> None:
        """Read results; ``results_read`` or ``read_failed`` follows."""

    def read_documents(
        self, jobs: Sequence[AwaitedJob], asked: Sequence[bool], *, whole: bool
    ) -> None:
        """Read documents, then results; ``documents_read`` or ``read_failed`` follows.

        Args:
            jobs: The jobs.
            asked: For each of them, whether to ask first if a worker has taken it.
            whole: Whether to read more than the ends of documents.
        """

    def read_dead_letters(self, count: int) -> None:
        """Read the ids of the latest dead letters; ``dead_letters_read`` or nothing follows."""

    def resolve(self, wait: Wait, result: JobResult[Any]) -> None:
        """Give a caller what it waits for."""

    def fail(self, wait: Wait, error: exc.BananasError) -> None:
        """End a wait with an error."""

    def wake_at(self, when: float) -> None:
        """Call ``time`` at this time."""
