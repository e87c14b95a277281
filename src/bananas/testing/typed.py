"""Handlers in Python for typed jobs: they take the payload and return the result."""

from __future__ import annotations

import inspect
from typing import Any, Awaitable, Callable, Tuple, TypeVar, Union

from .._argument_checks import check_name
from ..job_type import JobType
from ..models import Job
from .scripts import Handler, Script

__all__ = ["TypedHandler", "named_handler"]

P = TypeVar("P")
R = TypeVar("R")

#: The handler of a typed job: a plain (run in a thread) or async function that gets its payload.
TypedHandler = Callable[[P], Union[R, Awaitable[R]]]


def named_handler(
    name: Union[str, JobType[Any, Any]], handler: Union[Callable[[Any], Any], Script]
) -> Tuple[str, Handler]:
    """Return the name of the jobs that a handler runs, and the handler that takes such a job."""
    if not isinstance(name, JobType):
        return check_name(name), handler
    if isinstance(handler, Script):
        return name.name, handler
    job_type = name
    if inspect.iscoroutinefunction(handler):

        async def run_async(job: Job) -> Any:
            return job_type.dump_result(await handler(job_type.load_payload(job)))

        return job_type.name, run_async

    def run(job: Job) -> Any:
        value = handler(job_type.load_payload(job))
        awaits = inspect.isawaitable(value)
        return _dumped(job_type, value) if awaits else job_type.dump_result(value)

    return job_type.name, run


async def _dumped(job_type: JobType[Any, Any], value: Awaitable[Any]) -> Any:
    return job_type.dump_result(await value)
