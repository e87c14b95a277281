"""Calls the handler of a job, wherever it is to run, and tells what came of it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Callable, Coroutine, Optional

from .._daemon_thread import run_in_daemon_thread
from .._wire import without_surrogates
from ..models import Job
from ._go_json import encode
from .scripts import ScriptedFailure

__all__ = ["Ended", "Panic", "call", "call_here", "call_in_this_loop"]

_THREAD = "bananas handler"


class Panic(Exception):
    """Raise this in a handler to simulate a panic in Go: no result is stored."""


@dataclass(frozen=True)
class Ended:
    """What a handler has come to.

    Attributes:
        value: What it returned.
        error: What the failed attempt records; None after a success.
        panicked: Whether it ends as a panicking Go handler does.
        raised: What it raised, unless that was meant.
    """

    value: Any = None
    error: Optional[str] = None
    panicked: bool = False
    raised: Optional[BaseException] = None


async def call(handler: Callable[[Job], Any], job: Job) -> Ended:
    """Call an async handler on this event loop, and a plain one in a thread of its own."""
    try:
        if inspect.iscoroutinefunction(handler):
            value = await handler(job)
        else:
            value = await run_in_daemon_thread(lambda: _called(handler, job), _THREAD)
            if inspect.isawaitable(value):
                value = await value
        return _returned(value)
    except Exception as error:
        return _raised(error)


def call_here(
    handler: Callable[[Job], Any], job: Job, run_async: Callable[[Coroutine[Any, Any, Any]], Any]
) -> Ended:
    """Call a handler in this thread; what it awaits is run by ``run_async``."""
    try:
        value = handler(job)
        if inspect.isawaitable(value):
            value = run_async(_awaited(value))
        return _returned(value)
    except Exception as error:
        return _raised(error)


async def call_in_this_loop(handler: Callable[[Job], Any], job: Job) -> Ended:
    """Call a handler in this thread, whose event loop is running."""
    try:
        value = handler(job)
        if inspect.isawaitable(value):
            value = await value
        return _returned(value)
    except Exception as error:
        return _raised(error)


async def _awaited(value: Any) -> Any:
    return await value


def _called(handler: Callable[[Job], Any], job: Job) -> Any:
    """Call a plain handler; what it raises (SystemExit, say) must not reach the event loop."""
    try:
        return handler(job)
    except BaseException as error:
        return _raised(error)


def _returned(value: Any) -> Ended:
    if isinstance(value, Ended):
        return value
    if value is not None:
        encode(value)
    return Ended(value=value)


def _raised(error: BaseException) -> Ended:
    text = without_surrogates(str(error))
    raised = None if isinstance(error, (Panic, ScriptedFailure)) else error
    if isinstance(error, Exception) and not isinstance(error, Panic):
        return Ended(error=text, raised=raised)
    return Ended(error=f"panic: {text or type(error).__name__}", panicked=True, raised=raised)
