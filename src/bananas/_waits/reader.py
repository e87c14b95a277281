"""Carries the reads of waits out on the pipeline."""

from __future__ import annotations

import asyncio
import functools
from typing import Callable, List, Optional, Sequence

from .._pipeline import AutoPipeline
from .._redis import Command, Reply
from .._stored_jobs import read_document, read_end
from .._wire import Keys
from .core import WaitCore
from .lookup import is_listed, read_taken
from .registry import AwaitedJob

__all__ = ["Reader"]

_Then = Callable[[Optional[List[Reply]], Optional[BaseException]], None]


class Reader:
    """Reads results, documents and dead letters, and hands the replies to the state machine.

    Args:
        pipeline: Carries the commands.
        keys: The names of everything.
        core: Is told what was read.
    """

    def __init__(self, pipeline: AutoPipeline, keys: Keys, core: WaitCore) -> None:
        self._pipeline = pipeline
        self._keys = keys
        self._core = core

    def read_results(self, jobs: Sequence[AwaitedJob]) -> None:
        """Read results."""
        result = self._keys.result
        commands: List[Command] = [(b"HGETALL", result(job.job_id)) for job in jobs]
        self._start(commands, functools.partial(self._results_read, jobs))

    def _results_read(
        self,
        jobs: Sequence[AwaitedJob],
        replies: Optional[List[Reply]],
        error: Optional[BaseException],
    ) -> None:
        if replies is not None:
            self._core.results_read(jobs, replies)
        elif error is not None:
            self._core.read_failed(jobs, error, results=True)

    def read_documents(
        self, jobs: Sequence[AwaitedJob], asked: Sequence[bool], *, whole: bool
    ) -> None:
        """Read documents, or the ends of long ones, before results: ``judge`` says why."""
        keys = self._keys
        read = read_document if whole else read_end
        commands: List[Command] = []
        for job, is_asked in zip(jobs, asked):
            if is_asked:  # before the document: Go rewrites that before it lets go of the job
                commands.append(read_taken(keys, job.job_id))
            commands.append(read(keys, job.job_id))
            commands.append((b"HGETALL", keys.result(job.job_id)))
        self._start(commands, functools.partial(self._documents_read, jobs, asked, whole))

    def _documents_read(
        self,
        jobs: Sequence[AwaitedJob],
        asked: Sequence[bool],
        whole: bool,
        replies: Optional[List[Reply]],
        error: Optional[BaseException],
    ) -> None:
        if replies is not None:
            rest = iter(replies)
            each = [
                (is_listed(next(rest)) if is_asked else None, next(rest), next(rest))
                for is_asked in asked
            ]
            self._core.documents_read(jobs, each, asyncio.get_running_loop().time(), whole=whole)
        elif error is not None:
            self._core.read_failed(jobs, error, results=False)

    def read_dead_letters(self, count: int) -> None:
        """Read the ids of the latest dead letters."""
        command: Command = (b"LRANGE", self._keys.dead, 0, count - 1)
        self._start([command], self._dead_letters_read)

    def _dead_letters_read(
        self, replies: Optional[List[Reply]], error: Optional[BaseException]
    ) -> None:
        if replies is not None and isinstance(replies[0], list):
            self._core.dead_letters_read(
                [letter.decode("utf-8", "replace") for letter in replies[0]]
            )
        elif error is not None:
            self._core.read_failed([], error, results=False)

    def _start(self, commands: Sequence[Command], then: _Then) -> None:
        try:
            self._pipeline.start(commands, then)
        except Exception as error:  # lack of memory, say: the next look may succeed
            then(None, error)
        except BaseException as error:
            then(None, error)
            raise
