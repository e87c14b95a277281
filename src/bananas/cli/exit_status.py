"""How a command ends: its exit status, and one line that says why."""

from __future__ import annotations

from typing import NoReturn

import typer

from .. import exceptions as exc

__all__ = [
    "ERROR",
    "INTERRUPTED",
    "JOB_FAILED",
    "NOT_FOUND",
    "TIMED_OUT",
    "USAGE",
    "ask_why",
    "end",
    "say",
    "status_of",
]

ERROR = 1
USAGE = 2
JOB_FAILED = 3
TIMED_OUT = 4
NOT_FOUND = 5
INTERRUPTED = 130


def say(message: str) -> None:
    """Write one line to stderr, after the program's name."""
    typer.echo(f"bananas: {message}", err=True)


def ask_why(job_id: str) -> str:
    """Return the end of a line about a job that has no result."""
    return f"; ask why with: bananas explain {job_id}"


def end(status: int, message: str) -> NoReturn:
    """End the command with a status and one line on stderr."""
    say(message)
    raise typer.Exit(status)


def status_of(error: Exception) -> int:
    """Return the exit status that an error of the package ends a command with."""
    if isinstance(error, exc.JobFailedError):
        return JOB_FAILED
    if isinstance(error, exc.TimeoutError):
        return TIMED_OUT
    if isinstance(error, (exc.JobNotFoundError, exc.ResultNotFoundError)):
        return NOT_FOUND
    return ERROR if isinstance(error, exc.BananasError) else USAGE
