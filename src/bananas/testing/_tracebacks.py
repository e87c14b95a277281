"""Ends the traceback of an error of ours at the line of the test, or of the tested code."""

from __future__ import annotations

from types import TracebackType
from typing import Optional

from ..exceptions import BananasError
from .strictness import UnknownJobError

__all__ = ["end_at_the_callers_line"]

# What lies between a caller and where an error of ours is raised.
_BETWEEN = {"anyio", "asyncio", "bananas", "concurrent", "redis", "threading"}


def end_at_the_callers_line(error: Optional[BaseException]) -> None:
    """Cut off the frames below the caller's, of an error of ours and of those that led to it."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, (BananasError, UnknownJobError)):
            last = _last_of_the_caller(error.__traceback__)
            if last is not None:
                last.tb_next = None
        error = error.__cause__ or error.__context__


def _last_of_the_caller(traceback: Optional[TracebackType]) -> Optional[TracebackType]:
    last = None
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if module.split(".", maxsplit=1)[0] not in _BETWEEN:
            last = traceback
        traceback = traceback.tb_next
    return last
