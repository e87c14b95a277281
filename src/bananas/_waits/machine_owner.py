"""Carries out what the state machine of waits decides: on the pipeline, the listener, one timer."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Callable, List, Optional, Sequence

from .. import exceptions as exc
from .._pipeline import AutoPipeline
from .._redis import Command, Reply
from .._timer import Timer
from .._wire import Keys
from ..models import JobResult
from .job_lookup import is_listed, read_job
from .listener import Listener
from .registry import AwaitedJob, Wait
from .state_machine import StateMachine

__all__ = ["MachineOwner"]


class MachineOwner:
    """The effects of the waits' state machine, and the clock of its events.

    Args:
        pipeline: Carries the reads.
        listen: Makes the listener of a state machine.
        keys: The names of results, documents and the dead letters.
        safety_interval: Seconds between two periodic reads of one result, where they are few.
    """

    def __init__(
        self,
        pipeline: AutoPipeline,
        listen: Callable[[StateMachine], Listener],
        keys: Keys,
        *,
        safety_interval: float,
    ) -> None:
        self._pipeline = pipeline
        self._keys = keys
        self.machine = StateMachine(self, safety_interval=safety_interval)
        self.listener = listen(self.machine)
        self.subscribe = self.listener.subscribe
        self.unsubscribe = self.listener.unsubscribe
        self._timer = Timer(self._on_time)

    def let_go(self) -> None:
        """Begin to close: all waits end, and so does the listener."""
        self._timer.cancel()
        self.machine.closed()
        self.listener.let_go()

    # -- callers, and the time -------------------------------------------------------------------

    def resolve(self, wait: Wait, result: JobResult[Any]) -> None:
        if not wait.event.done():
            wait.event.set_result(result)

    def fail(self, wait: Wait, error: exc.BananasError) -> None:
        if not wait.event.done():
            wait.event.set_exception(error)
            wait.event.exception()  # retrieved: the caller may have left an iterator for good

    def wake_at(self, when: float) -> None:
        self._timer.set(asyncio.get_running_loop(), when)

    def _on_time(self) -> None:
        # It sets the timer first, whatever goes wrong after that.
        self.machine.time(asyncio.get_running_loop().time())
        self.listener.keep_going()

    # -- reads -----------------------------------------------------------------------------------

    def read_results(self, jobs: Sequence[AwaitedJob]) -> None:
        """Read results."""
        result = self._keys.result
        commands: List[Command] = [(b"HGETALL", result(job.job_id)) for job in jobs]
        self._read(commands, partial(self.machine.results_read, jobs), jobs, results=True)

    def read_documents(
        self, jobs: Sequence[AwaitedJob], asked: Sequence[bool], *, whole: bool
    ) -> None:
        """Read documents, or the ends of long ones, and results."""
        commands: List[Command] = []
        for job, is_asked in zip(jobs, asked):
            taken = 0 if is_asked else None
            commands.extend(read_job(self._keys, job.job_id, whole=whole, taken=taken))

        def read(replies: List[Reply]) -> None:
            rest = iter(replies)
            each = [
                (is_listed(next(rest)) if is_asked else None, next(rest), next(rest))
                for is_asked in asked
            ]
            self.machine.documents_read(jobs, each, asyncio.get_running_loop().time(), whole=whole)

        self._read(commands, read, jobs)

    def read_dead_letters(self, count: int) -> None:
        """Read the ids of the latest dead letters."""

        def read(replies: List[Reply]) -> None:
            if isinstance(replies[0], list):
                ids = [letter.decode("utf-8", "replace") for letter in replies[0]]
                self.machine.dead_letters_read(ids)

        self._read([(b"LRANGE", self._keys.dead, 0, count - 1)], read, ())

    def _read(
        self,
        commands: Sequence[Command],
        read: Callable[[List[Reply]], None],
        jobs: Sequence[AwaitedJob],
        *,
        results: bool = False,
    ) -> None:
        def then(replies: Optional[List[Reply]], error: Optional[BaseException]) -> None:
            if replies is not None:
                try:
                    read(replies)
                except BaseException as defect:  # else their looks would never end
                    self.machine.read_failed(jobs, defect, results=results)
                    raise
            elif error is not None:
                self.machine.read_failed(jobs, error, results=results)

        try:
            self._pipeline.start(commands, then)
        except Exception as error:  # lack of memory, say: the next look may succeed
            then(None, error)
        except BaseException as error:
            then(None, error)
            raise
