"""Decides what is read for the waits, and how each of them ends; has no I/O and no clock."""

from __future__ import annotations

import functools
from collections import deque
from typing import Deque, List, Optional, Sequence, Tuple

from .. import exceptions as exc
from .._redis import Reply
from .._stored_jobs import document_of
from . import wait_errors
from .dead_letters import DEAD_LETTERS_PER_LOOK, DeadLetterLooks
from .effects import Effects
from .pacing import TICK, Pacing
from .registry import AwaitedJob, Look, Registry, State, Wait
from .wait_endings import Endings

__all__ = ["StateMachine"]

_JOBS_PER_READ = 500


class StateMachine:
    """The state machine of all waits: events in, effects out.

    Each method but ``__len__`` is an event. Where time counts, *now* comes with it.

    Args:
        effects: Carries out what is decided here.
        safety_interval: Seconds between two periodic reads of one result, where they are few.
    """

    def __init__(self, effects: Effects, *, safety_interval: float) -> None:
        self._effects = effects
        self._registry = Registry()
        self._pacing = Pacing(safety_interval)
        self._results_due: Deque[AwaitedJob] = deque()
        self._is_reading_results = False
        self._is_awake = False
        self._dead_letters = DeadLetterLooks()
        self.endings = Endings(effects, self._registry, self._pacing)

    def __len__(self) -> int:
        return len(self._registry)

    # -- callers ---------------------------------------------------------------------------------

    def registered(self, wait: Wait, now: float) -> None:
        """Take a wait in; nothing that is stored from now on is missed."""
        job = self._registry.add(wait)
        if not self._is_awake:
            self._is_awake = True
            self._effects.wake_at(now + TICK)
        if len(job.waits) == 1:
            self._pacing.add(wait.job_id, now)
            self._effects.subscribe(wait.job_id)
        elif job.is_confirmed:
            self._want([job], Look.RESULT)

    def hurried(self, job_ids: Sequence[str]) -> None:
        """Look at jobs at once: somebody waits for them only for a short while."""
        self._want(self._awaited(job_ids), Look.DOCUMENT)

    def left(self, wait: Wait) -> None:
        """Let a wait go whose caller has gone."""
        self.endings.end(wait)

    def refused(self, error: exc.ConnectionError) -> None:
        """End all waits: there will be no connection."""
        self.endings.fail_all(functools.partial(wait_errors.refused, error))

    def closed(self) -> None:
        """End all waits: the client is closed."""
        self.endings.fail_all(wait_errors.closed_during_wait)

    # -- notifications ---------------------------------------------------------------------------

    def confirmed(self, job_ids: Sequence[str]) -> None:
        """Read results: from now on nothing that is published of these jobs can be missed."""
        jobs = self._awaited(job_ids)
        for job in jobs:
            job.is_confirmed = True
        self._want(jobs, Look.RESULT)

    def notified(self, job_ids: Sequence[str]) -> None:
        """Read results that may have been stored."""
        jobs = self._awaited(job_ids)
        for job in jobs:
            for wait in job.waits:
                if wait.on_news is not None:
                    wait.on_news()
        self._want(jobs, Look.RESULT)

    def lost(self) -> None:
        """Note that what is published now may be missed."""
        for job in self._registry:
            job.is_confirmed = False
            if job.state is State.LISTENING:
                job.state = State.SUBSCRIBING

    # -- time ------------------------------------------------------------------------------------

    def time(self, now: float) -> None:
        """Look at the jobs whose turn it is."""
        self._is_awake = len(self._registry) > 0
        if not self._is_awake:
            return
        self._effects.wake_at(now + TICK)
        if self._dead_letters.is_time():
            self._effects.read_dead_letters(DEAD_LETTERS_PER_LOOK)
        self._want(self._awaited(self._pacing.take_due(now)), Look.PERIODIC)

    # -- replies ---------------------------------------------------------------------------------

    def results_read(self, jobs: Sequence[AwaitedJob], replies: Sequence[Reply]) -> None:
        """End the waits that a result alone decides; look at the documents of other failures."""
        self._is_reading_results = False
        undecided: List[AwaitedJob] = []
        for job, reply in zip(jobs, replies):
            if reply and self.endings.needs_document(job, reply):
                job.next_look = Look.DOCUMENT
            if self._end_look(job):
                undecided.append(job)
        self._begin_looks(undecided)

    def documents_read(
        self,
        jobs: Sequence[AwaitedJob],
        replies: Sequence[Tuple[Optional[bool], Reply, Reply]],
        now: float,
        *,
        whole: bool,
    ) -> None:
        """End the waits that documents and results decide.

        Args:
            jobs: The jobs.
            replies: For each job whether it is taken (None where that is not known), the document
                or its end, and the result.
            now: The time.
            whole: Whether the documents were read whole.
        """
        long: List[AwaitedJob] = []
        undecided: List[AwaitedJob] = []
        for job, (taken, text, stored) in zip(jobs, replies):
            if job.state is State.ENDED:
                continue
            document = document_of(job.job_id, text, whole=whole)
            if document is None and (stored or job.long_end != text):
                job.long_end = text
                long.append(job)
                continue
            if document is not None:
                self.endings.conclude(job, document, stored, taken, now)
            if self._end_look(job):
                undecided.append(job)
        self._begin_looks(undecided)
        if long:
            self._read_documents(long, whole=True)

    def dead_letters_read(self, job_ids: Sequence[str]) -> None:
        """Look at the awaited ones among the latest dead letters, if there is a new one."""
        if self._dead_letters.has_new(job_ids):
            self._want(self._awaited(job_ids), Look.PERIODIC)

    def read_failed(
        self, jobs: Sequence[AwaitedJob], error: BaseException, *, results: bool
    ) -> None:
        """End all waits if there is no use in reading; else the periodic looks will do it again.

        Args:
            jobs: What was to be read.
            error: Why it was not.
            results: Whether results alone were to be read.
        """
        if results:
            self._is_reading_results = False
        if isinstance(error, exc.ConnectionError) and error.permanent:
            self.refused(error)
        for job in jobs:
            job.long_end = None  # it may have been about to be read whole
        self._begin_looks([job for job in jobs if self._end_look(job)])

    # -- what to read ----------------------------------------------------------------------------

    def _awaited(self, job_ids: Sequence[str]) -> List[AwaitedJob]:
        found = map(self._registry.get, job_ids)
        return [job for job in found if job is not None]

    def _want(self, jobs: Sequence[AwaitedJob], look: Look) -> None:
        """Look at jobs; once more, at those whose look has not ended. A job may be named twice."""
        free: List[AwaitedJob] = []
        for job in jobs:
            job.next_look = look.joined_with(job.next_look)
            if job.state is not State.LOOKING:
                job.state = State.LOOKING
                free.append(job)
        self._begin_looks(free)

    def _begin_looks(self, jobs: Sequence[AwaitedJob]) -> None:
        """Begin the next looks."""
        for job in jobs:
            job.state = State.LOOKING
            job.look, job.next_look = job.next_look, None
        # All states are set before the first read, which may fail at once and begin other looks.
        documents = [job for job in jobs if job.look is not Look.RESULT]
        self._results_due.extend(job for job in jobs if job.look is Look.RESULT)
        for start in range(0, len(documents), _JOBS_PER_READ):
            self._read_documents(documents[start : start + _JOBS_PER_READ], whole=False)
        self._read_results()

    def _read_results(self) -> None:
        """Read results that are due; the others after that, so that submits need not wait long."""
        if self._is_reading_results:
            return
        jobs: List[AwaitedJob] = []
        while self._results_due and len(jobs) < _JOBS_PER_READ:
            job = self._results_due.popleft()
            if job.state is not State.ENDED:
                jobs.append(job)
        if jobs:
            self._is_reading_results = True
            self._effects.read_results(jobs)

    def _read_documents(self, jobs: List[AwaitedJob], *, whole: bool) -> None:
        for job in jobs:
            for wait in job.waits:
                wait.asked = True
        self._effects.read_documents(jobs, [job.mark is not None for job in jobs], whole=whole)

    def _end_look(self, job: AwaitedJob) -> bool:
        """End a look; true if there has to be another one at once."""
        if job.state is State.ENDED:
            return False
        job.state = job.resting_state
        if job.state is State.GRACE:
            self._pacing.add_grace(job.job_id, job.since)
        return job.next_look is not None
