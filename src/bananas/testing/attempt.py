"""One attempt at a job, carried out in the steps in which a Go worker carries it out."""

from __future__ import annotations

import itertools
import logging
import traceback
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Callable, Collection, Coroutine, Dict, List, Optional, Tuple

from .._redis import Command
from .._wire import Keys, without_surrogates
from ..models import Job, JobResult, JobStatus
from ._calling import Ended, call, call_here, call_in_this_loop
from ._documents import Document, stub
from ._go_json import encode
from ._wire import Wire
from .clock import Clock
from .runs import Outcome, Run
from .scripts import Handler, Plan, plan_of
from .steps import Step
from .strictness import no_handler

__all__ = ["Attempt", "Rules"]

_logger = logging.getLogger("bananas.testing")

_DAY = 24 * 3600


@dataclass(frozen=True)
class Rules:
    """What all attempts of one worker share."""

    keys: Keys
    clock: Clock
    success_ttl: int
    failure_ttl: int
    strict: bool
    names: Collection[str]
    report: Callable[[Run], None]
    played: Dict[Tuple[object, str], int] = field(default_factory=dict)


class Attempt:
    """A job that a worker has taken.

    ``finish()`` runs it. To look at Redis between two steps, use ``async for``: it does one step at
    a time and returns its name. If you do not finish a job, it stays in ``processing``, as if the
    worker was killed.

    Attributes:
        job_id: The id that was taken.
        job: The job; None if its document is missing or unreadable.
        error: The error, after it has run; None after a success.
    """

    def __init__(
        self,
        job_id: str,
        data: Optional[bytes],
        handler_of: Callable[[str], Optional[Handler]],
        rules: Rules,
        wire: Wire,
    ) -> None:
        self.job_id = job_id
        self.job: Optional[Job] = None
        self.error: Optional[str] = None
        self._handler_of = handler_of
        self._rules = rules
        self._wire = wire
        self._document: Optional[Document] = None
        self._todo: Optional[List[Tuple[Step, List[Command]]]] = None
        self._retry_at: Optional[datetime] = None
        self._is_given_up = False
        try:
            if data is None:
                self.error = "Job data not found (corrupted reference)"
            else:
                self._document = Document(data)
                self.job = self._document.job
        except ValueError as error:
            self.error = f"Failed to unmarshal job: {error}"
        if self._document is None:
            self._todo = [(Step.RECORDED, self._bury(data))]
            self._report(Ended(error=self.error), Outcome.DEAD, rules.clock.now())

    def __repr__(self) -> str:
        return f"<Attempt at job {self.job_id}>"

    def __aiter__(self) -> Attempt:
        return self

    async def __anext__(self) -> Step:
        if self._todo is None:
            await self._run()
            return Step.RAN
        if not self._todo:
            raise StopAsyncIteration
        step, commands = self._todo[0]
        await self._wire.call(*commands)
        del self._todo[0]
        return step

    async def finish(self) -> None:
        """Do all remaining steps, in the same pipelines as a Go worker."""
        if self._todo is None:
            await self._run()
        todo, self._todo = self._todo or [], []
        of_the_result = [commands for step, commands in todo if step is not Step.RECORDED]
        of_the_job = [commands for step, commands in todo if step is Step.RECORDED]
        for pipeline in (of_the_result, of_the_job):
            if pipeline:
                await self._wire.call(*itertools.chain(*pipeline))

    async def _run(self) -> None:
        job, clock = self._job, self._rules.clock
        started, plan = clock.now(), self._plan()
        if plan.takes:
            await clock.sleep_until(started + plan.takes)
        self._end(started, plan, None if plan.call is None else await call(plan.call, job))

    def run_here(
        self,
        pass_time: Callable[[timedelta], None],
        run_async: Callable[[Coroutine[Any, Any, Any]], Any],
    ) -> None:
        """Run the handler in this thread, an async one by ``run_async``; Redis knows nothing yet.

        Args:
            pass_time: Called with how long a slow handler takes.
            run_async: Runs a coroutine and returns what it returns.
        """
        if self._todo is None:
            started, plan = self._rules.clock.now(), self._plan()
            pass_time(plan.takes)
            function = plan.call
            ended = None if function is None else call_here(function, self._job, run_async)
            self._end(started, plan, ended)

    async def run_in_this_loop(self, pass_time: Callable[[timedelta], None]) -> None:
        """Run the handler in this thread, an async one on its event loop."""
        if self._todo is None:
            started, plan = self._rules.clock.now(), self._plan()
            pass_time(plan.takes)
            function = plan.call
            ended = None if function is None else await call_in_this_loop(function, self._job)
            self._end(started, plan, ended)

    @property
    def _job(self) -> Job:
        assert self.job is not None, "what can't be read is not run"
        return self.job

    def _plan(self) -> Plan:
        handler = self._handler_of(self._job.name)
        if handler is not None:
            return plan_of(handler, self._job, self._rules.played)
        self._is_given_up = self._rules.strict
        return Plan(unhandled=True)

    def _end(self, started: datetime, plan: Plan, ended: Optional[Ended]) -> None:
        """Decide what follows from what the handler has come to."""
        name, now = self._job.name, self._rules.clock.now()
        if plan.unhandled:
            text = f"no handler registered for job: {name}"
            if self._is_given_up:
                text = no_handler(name, self._rules.names)
            ended = Ended(error=text, panicked=True)
        elif plan.panics and ended is not None:
            ended = Ended(error=f"panic: {ended.error}", panicked=True)
        if ended is None:
            self._todo = []
            self._report(Ended(error="the worker has crashed"), Outcome.LOST, started)
            return
        if ended.raised is not None:
            _log(self.job_id, name, ended.raised)
        self.error = ended.error
        todo = self._consequences(ended, started, now)
        if not plan.is_announced:
            todo = [(step, commands) for step, commands in todo if step is not Step.PUBLISHED]
        outcome = Outcome.SUCCEEDED if self.error is None else Outcome.DEAD
        if self._retry_at is not None:
            outcome = Outcome.RETRY
        if plan.dies:
            steps = [step for step, _ in todo]
            done = steps.index(plan.dies_after) + 1 if plan.dies_after in steps else 0
            if done < len(todo):
                todo, outcome, self._retry_at = todo[:done], Outcome.LOST, None
        self._todo = todo
        self._report(ended, outcome, started)

    def _report(self, ended: Ended, outcome: Outcome, started: datetime) -> None:
        run = Run(
            job_id=self.job_id,
            name="" if self.job is None else self.job.name,
            attempt=1 if self.job is None else self.job.attempts + 1,
            outcome=outcome,
            at=started,
            value=ended.value,
            error=ended.error or "",
            retry_at=self._retry_at,
            exception=ended.raised,
        )
        self._rules.report(run)

    # -- what follows, decided without I/O -------------------------------------------------------

    def _consequences(
        self, outcome: Ended, started: datetime, ended: datetime
    ) -> List[Tuple[Step, List[Command]]]:
        recorded = self._fail(outcome.error, ended) if outcome.error is not None else None
        todo = [(Step.RECORDED, recorded or self._complete(ended))]
        if outcome.panicked:
            if self._is_given_up:  # a wait looks at once, and finds the dead letter
                todo[0][1].append(self._announced())
            return todo
        fields, ttl = self._result(outcome, started, ended)
        key = self._rules.keys.result(self.job_id)
        stored: List[Command] = [("HSET", key, *fields), ("EXPIRE", key, ttl)]
        return [(Step.STORED, stored), (Step.PUBLISHED, [self._announced()]), *todo]

    def _announced(self) -> Command:
        return ("PUBLISH", self._rules.keys.channel(self.job_id), "ready")

    def _result(self, outcome: Ended, started: datetime, ended: datetime) -> Tuple[List[str], int]:
        failed = outcome.error is not None
        result: JobResult[Any] = JobResult(
            job_id=self.job_id,
            status=JobStatus.FAILED if failed else JobStatus.COMPLETED,
            error=outcome.error or "",
            completed_at=ended.replace(microsecond=0),
            duration_ms=max(0, (ended - started) // timedelta(milliseconds=1)),
        )
        fields = [text for pair in result.to_hash(ended).items() for text in pair]
        if outcome.value is not None:
            fields += ["result", encode(outcome.value)]
        return fields, self._rules.failure_ttl if failed else self._rules.success_ttl

    def _complete(self, now: datetime) -> List[Command]:
        document = self._changed("completed", now)
        return [self._released(), self._written(document, _DAY)]

    def _fail(self, error: str, now: datetime) -> List[Command]:
        assert self.job is not None
        assert self._document is not None
        keys, attempts = self._rules.keys, self.job.attempts + 1
        if attempts < self.job.max_retries and not self._is_given_up:
            due = self._retry_at = _later(now, attempts)
            self._document.schedule(due)
            text = self._changed("pending", now, attempts=attempts, error=error)
            when: Command = ("ZADD", keys.scheduled, int(due.timestamp()), self.job_id)
            return [self._written(text, None), when, self._released()]
        self._document.schedule(None)
        text = self._changed("failed", now, attempts=attempts, error=error)
        dead: Command = ("LPUSH", keys.dead, self.job_id)
        return [self._written(text, 7 * _DAY), dead, self._released()]

    def _bury(self, data: Optional[bytes]) -> List[Command]:
        assert self.error is not None
        text = stub(self.job_id, self.error, data)
        dead: Command = ("LPUSH", self._rules.keys.dead, self.job_id)
        return [self._written(text, 7 * _DAY), dead, self._released()]

    def _changed(self, status: str, now: datetime, **changes: Any) -> str:
        assert self._document is not None
        self._document.change(status, now, **changes)
        return self._document.to_json()

    def _written(self, text: str, ttl: Optional[int]) -> Command:
        command: Command = ("SET", self._rules.keys.job(self.job_id), text)
        return command if ttl is None else (*command, "EX", ttl)

    def _released(self) -> Command:
        return ("LREM", self._rules.keys.processing, 1, self.job_id)


def _log(job_id: str, name: str, error: BaseException) -> None:
    """Log what a handler has raised, with its traceback, in text that can be encoded."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__name__") == call.__module__:
        frames = frames.tb_next
    lines = traceback.format_exception(type(error), error, frames)
    text = without_surrogates("".join(lines).rstrip())
    facts = {"bananas_event": "handler_raised", "job_id": job_id, "job_name": name}
    _logger.error("job %s: its handler for %s has raised\n%s", job_id, name, text, extra=facts)


def _later(now: datetime, attempts: int) -> datetime:
    """Return when the next attempt is due: twice as long after each failure."""
    try:
        return now + timedelta(seconds=2 ** min(attempts, 40))
    except OverflowError:
        return datetime.max.replace(tzinfo=now.tzinfo)
