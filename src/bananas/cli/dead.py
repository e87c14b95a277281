"""The commands for dead letters: dead list, and dead show."""

from __future__ import annotations

from typing import Optional

import typer

from ..location import JobPlace
from . import options
from .queues import show_jobs
from .reading import job
from .running import Target

__all__ = ["dead", "list_", "show"]

_LIMIT = typer.Option(100, "--limit", min=1, metavar="N", help="No more jobs than this.")
_ALL = typer.Option(False, "--all", help="All jobs, however many.")

dead: typer.Typer = typer.Typer(
    name="dead", help="Dead letters: jobs that have failed for good.", no_args_is_help=True
)


def list_(
    limit: int = _LIMIT,
    every: bool = _ALL,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """List the dead letters, the oldest first; with --quiet, only their ids.

    Example: bananas dead list --limit 20
    """
    most = None if every else limit
    target = Target(redis, key_prefix)
    show_jobs(target, JobPlace.DEAD, None, most, as_json=as_json, quiet=quiet)


def show(
    job_id: str = options.JOB_ID,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Print a dead letter: its place, its document, and its stored result.

    Example: bananas dead show 4f0c1f9e-53b5-4d2a-9a7e-0d3c9a1f2b6d
    """
    job(job_id, redis, key_prefix, as_json, quiet)
