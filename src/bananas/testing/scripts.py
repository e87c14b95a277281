"""Scripted handlers, such as ``fail(times=2)``, in place of functions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Awaitable, Callable, Dict, Optional, Tuple, Union

from .._argument_checks import check_integer, check_seconds
from .._types import Seconds
from ..models import Job
from .steps import Step

__all__ = [
    "Handler",
    "Plan",
    "Script",
    "ScriptedFailure",
    "crash_worker",
    "fail",
    "lose_notification",
    "panic",
    "plan_of",
    "slow",
    "succeed",
    "unhandled",
]


class ScriptedFailure(Exception):
    """The error from ``fail()``. The test intends it, so it is not logged."""


@dataclass
class Plan:
    """What a script says about one attempt.

    Attributes:
        call: What runs the job in the end; None where nothing does.
        takes: How long it takes.
        panics: Whether it ends as a panicking Go handler does.
        unhandled: Whether the worker has no handler for it.
        is_announced: Whether the storing of the result is announced.
        dies: Whether the worker dies.
        dies_after: The last step that it does; None is none.
        played: How often each part of a script was played for each job, by this worker.
    """

    call: Optional[Callable[[Job], Any]] = None
    takes: timedelta = timedelta()
    panics: bool = False
    unhandled: bool = False
    is_announced: bool = True
    dies: bool = False
    dies_after: Optional[Step] = None
    played: Dict[Tuple[object, str], int] = field(default_factory=dict)


class Script:
    """A handler made by ``succeed()``, ``fail()`` and the others; give it to ``queue.handle``."""

    def __init__(self, name: str, play: Callable[[Job, Plan], Optional[Handler]]) -> None:
        self._name = name
        self._play = play

    def __repr__(self) -> str:
        return f"<bananas.testing.{self._name}>"


#: The handler of a job: a plain or async function that gets the ``Job``, or a script. It returns a
#: JSON value, or None for no data. If it raises, the attempt fails.
Handler = Union[Callable[[Job], Union[Any, Awaitable[Any]]], Script]


def plan_of(handler: Handler, job: Job, played: Dict[Tuple[object, str], int]) -> Plan:
    """Return what is to be done with a job."""
    plan = Plan(played=played)
    following: Optional[Handler] = handler
    while isinstance(following, Script):
        following = following._play(job, plan)
    if following is not None:
        plan.call = following
    return plan


def succeed(value: Any = None) -> Script:
    """Return a handler that succeeds.

    Args:
        value: The result; None stores no data.
    """
    return Script("succeed", lambda job, plan: lambda job: value)


def fail(
    error: Union[str, Exception] = "failed, as the test says",
    *,
    times: Optional[int] = None,
    then: Optional[Handler] = None,
) -> Script:
    """Return a handler that fails.

    Args:
        error: The error of the failed attempt: a text, or an exception to raise.
        times: How many attempts of each job fail; None is all of them.
        then: The handler for the next attempts; None succeeds without data.
    """

    def call(job: Job) -> Any:
        raise error if isinstance(error, Exception) else ScriptedFailure(error)

    return _at_first("fail", lambda job, plan: call, times, then)


def panic(
    error: str = "panicked, as the test says",
    *,
    times: Optional[int] = None,
    then: Optional[Handler] = None,
) -> Script:
    """Return a handler that panics: the attempt fails, and no result is stored.

    Args:
        error: The error of the failed attempt, after ``panic: ``.
        times: How many attempts of each job panic; None is all of them.
        then: The handler for the next attempts; None succeeds without data.
    """

    def play(job: Job, plan: Plan) -> Handler:
        plan.panics = True
        return call

    def call(job: Job) -> Any:
        raise ScriptedFailure(error)

    return _at_first("panic", play, times, then)


def unhandled(*, times: Optional[int] = None, then: Optional[Handler] = None) -> Script:
    """Return a handler that fails like a worker without a handler: no result is stored.

    Args:
        times: How many attempts of each job fail; None is all of them.
        then: The handler for the next attempts; None succeeds without data.
    """

    def play(job: Job, plan: Plan) -> None:
        plan.unhandled = True

    return _at_first("unhandled", play, times, then)


def slow(span: Seconds, then: Optional[Handler] = None) -> Script:
    """Return a slow handler.

    ``run_until_idle`` moves a ``ManualClock`` by this time and does not wait. A worker in the
    background waits until the queue's clock has moved by this time.

    Args:
        span: Seconds, or a timedelta.
        then: The handler that runs after this time; None succeeds without data.
    """
    seconds = check_seconds(span, "span")
    if seconds < 0:
        raise ValueError(f"span must be 0 or more, not {span!s}")

    def play(job: Job, plan: Plan) -> Handler:
        plan.takes += timedelta(seconds=seconds)
        return _or_succeed(then)

    return Script("slow", play)


def lose_notification(then: Optional[Handler] = None) -> Script:
    """Return a handler whose result is stored without a notification; a wait finds it later.

    Args:
        then: The handler that makes the result; None succeeds without data.
    """

    def play(job: Job, plan: Plan) -> Handler:
        plan.is_announced = False
        return _or_succeed(then)

    return Script("lose_notification", play)


def crash_worker(
    *,
    after: Optional[Step] = None,
    doing: Optional[Handler] = None,
    times: Optional[int] = None,
    then: Optional[Handler] = None,
) -> Script:
    """Return a handler that kills the worker: the job stays in ``processing``.

    The job does not run again by itself. The queue's worker goes on with other jobs, like a second
    worker.

    Args:
        after: The last step that the worker does before. None: it does not call the handler.
        doing: The handler that runs before; None succeeds without data.
        times: How many attempts of each job end in this way; None is all of them.
        then: The handler for the next attempts; None succeeds without data.
    """

    def play(job: Job, plan: Plan) -> Optional[Handler]:
        plan.dies, plan.dies_after = True, after
        return None if after is None else _or_succeed(doing)

    return _at_first("crash_worker", play, times, then)


def _or_succeed(handler: Optional[Handler]) -> Handler:
    return succeed() if handler is None else handler


def _at_first(
    name: str,
    play: Callable[[Job, Plan], Optional[Handler]],
    times: Optional[int],
    then: Optional[Handler],
) -> Script:
    """Return a script for the first attempts at each job, with another handler for the others."""
    if times is None:
        if then is not None:
            raise ValueError(f"{name}(then=...) needs times: without it, nothing follows")
        return Script(name, play)
    most = check_integer(times, "times", at_least=0)
    mark = object()

    def play_at_first(job: Job, plan: Plan) -> Optional[Handler]:
        played = plan.played.get((mark, job.id), 0)
        plan.played[mark, job.id] = played + 1
        return _or_succeed(then) if played >= most else play(job, plan)

    return Script(name, play_at_first)
