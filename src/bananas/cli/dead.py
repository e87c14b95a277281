"""The commands for dead letters: dead list, and dead show."""

from __future__ import annotations

from typing import Optional

import typer

from . import dead_filters, options
from .queues import show_jobs
from .reading import job
from .running import Target

__all__ = ["dead", "list_", "show"]

dead: typer.Typer = typer.Typer(
    name="dead",
    help="List, requeue and delete dead letters: jobs that have failed for good.",
    no_args_is_help=True,
)


def list_(
    name: Optional[str] = dead_filters.NAME,
    error: Optional[str] = dead_filters.ERROR,
    regex: bool = dead_filters.REGEX,
    older_than: Optional[str] = dead_filters.OLDER_THAN,
    route: Optional[str] = dead_filters.ROUTE,
    limit: Optional[int] = options.LISTED,
    every: bool = options.LISTED_ALL,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """List the dead letters, oldest first.

    With --quiet, print only their ids. With several filters, a job must match all of them. Without
    a filter, ids without a document are listed, too.

    Example: bananas dead list --limit 20

    Example: bananas dead list --name resize_image --error "connection refused" --all --json
    """
    filters = dead_filters.arguments_of(name, error, regex, older_than, route)
    show_jobs(
        Target(redis, key_prefix),
        lambda client, most: client.dead_letters.jobs(**filters, limit=most),
        options.most_listed(limit, every),
        none="no dead letter matches" if filters else "there are no dead letters",
        as_json=as_json,
        quiet=quiet,
    )


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
