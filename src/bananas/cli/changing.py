"""Commands that change single jobs: cancel, reschedule, requeue, delete."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Awaitable, Callable, Dict, List, Mapping, Optional, Union

import typer

from .. import exceptions as exc
from ..client import AsyncClient
from . import options
from .arguments import due_at
from .confirming import confirm, confirm_named
from .exit_status import ERROR, NOT_FOUND, say
from .output import json_line
from .running import Target, run

__all__ = ["SAID", "cancel", "delete", "requeue", "reschedule"]

_REASON = typer.Option("", "--reason", metavar="TEXT", help="A reason to store, for people.")
SAID = {
    "cancelled": "cancelled",
    "deleted": "deleted",
    "requeued": "requeued",
    "rescheduled": "rescheduled",
    "taken": "a worker has taken it; nothing was done",
    "finished": "it has ended already",
    "missing": "there is no such job",
    "due": "it is due, but no scheduler moves it to its list; nothing was done: start the "
    "scheduler and try again",
    "unfinished": "it has not ended; cancel it first",
}
_DONE = ("cancelled", "deleted", "requeued", "rescheduled")


def cancel(
    job_ids: List[str] = options.JOB_IDS,
    reason: str = _REASON,
    yes: bool = options.YES,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Remove jobs from the queue before they run.

    Prints the outcome for each: cancelled, taken, finished, missing or due. The exit status is 1 if
    a job was not cancelled, and 5 if one is missing. On a terminal it asks first, unless you pass
    --yes.

    Example: bananas cancel 4f0c1f9e-53b5-4d2a-9a7e-0d3c9a1f2b6d --reason "wrong size"
    """
    confirm_named(f"Cancel {_jobs(job_ids)}? This can't be undone.", yes=yes)

    async def one(client: AsyncClient, job_id: str) -> str:
        return str(await client.cancel(job_id, reason=reason))

    _each(Target(redis, key_prefix), job_ids, one, "cancel", as_json=as_json, quiet=quiet)


def reschedule(
    job_ids: List[str] = options.JOB_IDS,
    at: Optional[str] = options.AT,
    after: Optional[str] = options.IN,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Change the time of waiting jobs.

    Prints the outcome for each: rescheduled, taken, finished, missing or due.

    Example: bananas reschedule 4f0c1f9e-53b5-4d2a-9a7e-0d3c9a1f2b6d --in 2h
    """
    found = due_at(at, after)
    if found is None:
        raise typer.BadParameter("pass the new time with --at or --in")
    due: Union[datetime, timedelta] = found

    async def one(client: AsyncClient, job_id: str) -> str:
        return str(await client.reschedule(job_id, due))

    _each(Target(redis, key_prefix), job_ids, one, "reschedule", as_json=as_json, quiet=quiet)


def requeue(
    job_ids: List[str] = options.JOB_IDS,
    routes: Optional[str] = options.ROUTES,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Queue dead letters again, with zero attempts.

    Prints the outcome for each: requeued or missing. For many jobs, use "bananas dead requeue".

    Example: bananas requeue 4f0c1f9e-53b5-4d2a-9a7e-0d3c9a1f2b6d
    """
    chosen = options.check_routes(routes)
    why: Dict[str, str] = {}

    async def one(client: AsyncClient, job_id: str) -> str:
        try:
            await client.requeue(job_id, routes=chosen)  # type: ignore[arg-type]
        except exc.JobNotFoundError as error:
            why[job_id] = str(error)
            return "missing"
        return "requeued"

    _each(Target(redis, key_prefix), job_ids, one, "requeue", as_json=as_json, quiet=quiet, why=why)


def delete(
    job_ids: List[str] = options.JOB_IDS,
    yes: bool = options.YES,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Delete jobs that have ended, with their results and dead letters.

    Prints the outcome for each: deleted, unfinished or missing. It asks first, unless you pass
    --yes.

    Example: bananas delete 4f0c1f9e-53b5-4d2a-9a7e-0d3c9a1f2b6d --yes
    """
    confirm(f"Delete {_jobs(job_ids)} with all data? This can't be undone.", yes=yes)

    async def one(client: AsyncClient, job_id: str) -> str:
        return str(await client.delete(job_id))

    _each(Target(redis, key_prefix), job_ids, one, "delete", as_json=as_json, quiet=quiet)


def _jobs(job_ids: List[str]) -> str:
    return f"job {job_ids[0]}" if len(job_ids) == 1 else f"{len(job_ids)} jobs"


def _each(
    target: Target,
    job_ids: List[str],
    one: Callable[[AsyncClient, str], Awaitable[str]],
    command: str,
    *,
    as_json: bool,
    quiet: bool,
    why: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Do it to each job in turn, and print what became of it, or why nothing did, at once."""
    ids = list(dict.fromkeys(job_ids))
    outcomes: Dict[str, str] = {}

    async def work(client: AsyncClient) -> None:
        for job_id in ids:
            outcome = outcomes[job_id] = await one(client, job_id)
            if as_json:
                json_line({"job_id": job_id, "outcome": outcome})
            elif outcome not in _DONE:
                say(why.get(job_id) or f"job {job_id}: {SAID[outcome]}")
            elif not quiet:
                typer.echo(f"{job_id} {outcome}")

    def interrupted() -> str:
        left = [job_id for job_id in ids if job_id not in outcomes]
        return (
            f"interrupted; {len(outcomes)} of {len(ids)} jobs are done, and perhaps {left[0]}; "
            f"to go on, run the same bananas {command} again"
            if left
            else "interrupted; all jobs are done"
        )

    run(target, work, interrupted=interrupted)
    found = set(outcomes.values())
    if "missing" in found:
        raise typer.Exit(NOT_FOUND)
    raise typer.Exit(ERROR if found - set(_DONE) else 0)
