"""Does the jobs of a local queue one by one, and moves its clock when nothing is due."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any, Callable, Coroutine, Iterator, Optional, Protocol, TypeVar

from .attempt import Attempt
from .scheduler import SchedulerEmulator
from .worker import WorkerEmulator

__all__ = ["Steps"]

T = TypeVar("T")


class Await(Protocol):
    """Runs a coroutine of the emulators, and waits for it."""

    def __call__(self, coroutine: Coroutine[Any, Any, T]) -> T: ...


class Steps:
    """The attempts that are due, in turn.

    Args:
        wait: Runs what the emulators do.
        worker: Takes the jobs.
        scheduler: Brings those that are due.
        move_to: Moves the clock.
        until: How far it may be moved; None is not at all.
        most: After how many attempts it is taken for a loop without end.
    """

    def __init__(
        self,
        wait: Await,
        worker: WorkerEmulator,
        scheduler: SchedulerEmulator,
        move_to: Callable[[datetime], None],
        until: Optional[datetime],
        most: int,
    ) -> None:
        self._wait = wait
        self._worker = worker
        self._scheduler = scheduler
        self._move_to = move_to
        self._until = until
        self._most = most

    def __iter__(self) -> Iterator[Attempt]:
        """Yield attempts whose handler the caller runs; each is finished when it comes back.

        Raises:
            RuntimeError: There is no end to them.
        """
        for done in itertools.count():
            attempt = self._next(is_over=done >= self._most)
            if attempt is None:
                return
            yield attempt
            self._wait(attempt.finish())

    def _next(self, *, is_over: bool) -> Optional[Attempt]:
        while True:
            self._wait(self._scheduler.move_due())
            if is_over and self._wait(self._worker.waiting()):
                raise RuntimeError(
                    f"the queue is not idle after {self._most} attempts: does a handler submit a "
                    "job each time it is called? Pass a higher limit if this is meant"
                )
            attempt = self._wait(self._worker.take())
            if attempt is not None or self._until is None:
                return attempt
            due = self._wait(self._scheduler.next_due())
            if due is None or due > self._until:
                return None
            self._move_to(due)
