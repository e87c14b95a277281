"""One attempt at a job, carried out in the steps in which a Go worker carries it out."""

from __future__ import annotations

import enum
import inspect
import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Awaitable, Callable, List, Optional, Tuple, Union

from .._daemon_thread import run_in_daemon_thread
from .._json import without_surrogates
from .._keys import Keys
from .._redis import Command
from ..models import Job, JobResult, JobStatus
from ._documents import Document, stub
from ._go_json import encode
from ._wire import Wire
from .clock import Clock

__all__ = ["Attempt", "Handler", "Panic", "Step"]

#: What runs a job: called with it, plain (then in a thread) or async; it returns a JSON value, or
#: None for no data, and raises what the failed attempt records.
Handler = Callable[[Job], Union[Any, Awaitable[Any]]]

_DAY = 24 * 3600
_THREAD = "bananas handler"


class Panic(Exception):
    """Raised by a handler that crashes as a panicking Go handler does: no result is stored."""


class Step(enum.Enum):
    """What has just been done for a job; Redis sees a failure or a success in this order."""

    RAN = "the handler has returned or raised; Redis knows nothing yet"
    STORED = "the result is stored"
    PUBLISHED = "the result is announced"
    RECORDED = "the document is rewritten, and the id is where it belongs"


@dataclass(frozen=True)
class Rules:
    """What all attempts of one worker share."""

    keys: Keys
    clock: Clock
    success_ttl: int
    failure_ttl: int


@dataclass(frozen=True)
class _Outcome:
    value: Any = None
    error: Optional[str] = None
    panicked: bool = False


class Attempt:
    """A job that a worker has taken.

    ``finish()`` carries it out. A test that wants to look in between iterates with ``async for``,
    which does one step at a time and says which; what is never finished stays in ``processing``,
    as after a worker's death.

    Attributes:
        job_id: The id that was taken.
        job: The job as its document described it; None where that is missing or unreadable.
        error: What went wrong, once it has run; None after a success.
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
        """Do all that is left, in the pipelines of a Go worker."""
        if self._todo is None:
            await self._run()
        todo, self._todo = self._todo or [], []
        of_the_result = [commands for step, commands in todo if step is not Step.RECORDED]
        of_the_job = [commands for step, commands in todo if step is Step.RECORDED]
        for pipeline in (of_the_result, of_the_job):
            if pipeline:
                await self._wire.call(*itertools.chain(*pipeline))

    async def _run(self) -> None:
        assert self.job is not None
        started = self._rules.clock.now()
        handler = self._handler_of(self.job.name)
        if handler is None:
            reason = f"no handler registered for job: {self.job.name}"
            outcome = _Outcome(error=reason, panicked=True)
        else:
            outcome = await _outcome(handler, self.job)
        self.error = outcome.error
        self._todo = self._consequences(outcome, started, self._rules.clock.now())

    # -- what follows, decided without I/O -------------------------------------------------------

    def _consequences(
        self, outcome: _Outcome, started: datetime, ended: datetime
    ) -> List[Tuple[Step, List[Command]]]:
        recorded = self._fail(outcome.error, ended) if outcome.error is not None else None
        todo = [(Step.RECORDED, recorded or self._complete(ended))]
        if outcome.panicked:
            return todo
        fields, ttl = self._result(outcome, started, ended)
        key = self._rules.keys.result(self.job_id)
        channel = self._rules.keys.channel(self.job_id)
        stored: List[Command] = [("HSET", key, *fields), ("EXPIRE", key, ttl)]
        return [(Step.STORED, stored), (Step.PUBLISHED, [("PUBLISH", channel, "ready")]), *todo]

    def _result(
        self, outcome: _Outcome, started: datetime, ended: datetime
    ) -> Tuple[List[str], int]:
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
        if attempts < self.job.max_retries:
            due = _later(now, attempts)
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


async def _outcome(handler: Handler, job: Job) -> _Outcome:
    """Run a handler to its end."""
    try:
        if inspect.iscoroutinefunction(handler):
            value = await handler(job)
        else:
            value = await run_in_daemon_thread(lambda: _called(handler, job), _THREAD)
            if inspect.isawaitable(value):
                value = await value
        if value is not None and not isinstance(value, _Outcome):
            encode(value)
    except Exception as error:
        value = _failure(error)
    return value if isinstance(value, _Outcome) else _Outcome(value=value)


def _called(handler: Handler, job: Job) -> Any:
    """Call a plain handler; what it raises (SystemExit, say) must not reach the event loop."""
    try:
        return handler(job)
    except BaseException as error:
        return _failure(error)


def _failure(error: BaseException) -> _Outcome:
    text = without_surrogates(str(error))
    if isinstance(error, Exception) and not isinstance(error, Panic):
        return _Outcome(error=text)
    return _Outcome(error=f"panic: {text or type(error).__name__}", panicked=True)


def _later(now: datetime, attempts: int) -> datetime:
    """Return when the next attempt is due: twice as long after each failure."""
    try:
        return now + timedelta(seconds=2 ** min(attempts, 40))
    except OverflowError:
        return datetime.max.replace(tzinfo=now.tzinfo)
