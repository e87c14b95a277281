"""The commands that empty the dead letters: dead requeue, and dead purge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, NamedTuple, Optional

import typer

from ..client import AsyncClient
from ..exceptions import BananasError
from ..operating import DeadLetterCounts
from . import dead_filters, options
from .confirming import confirm, refuse_unasked
from .dead_clearing_view import counts_table, progress_of
from .exit_status import USAGE, end, say
from .output import console, json_line
from .running import Target, run

__all__ = ["purge", "requeue_"]

_ALL = typer.Option(False, "--all", help="All dead letters.")
_LIMIT = typer.Option(None, "--limit", min=1, metavar="N", help="At most this many.")
_RATE = typer.Option(None, "--rate", metavar="N", help="At most this many a second.")
_DRY_RUN = typer.Option(False, "--dry-run", help="Only count them.")


class _Task(NamedTuple):
    """What is to be done, with the arguments of the client's method of that name."""

    verb: str
    done: str
    arguments: Dict[str, Any]


def requeue_(
    every: bool = _ALL,
    name: Optional[str] = dead_filters.NAME,
    error: Optional[str] = dead_filters.ERROR,
    regex: bool = dead_filters.REGEX,
    older_than: Optional[str] = dead_filters.OLDER_THAN,
    route: Optional[str] = dead_filters.ROUTE,
    routes: Optional[str] = options.ROUTES,
    limit: Optional[int] = _LIMIT,
    rate: Optional[float] = _RATE,
    dry_run: bool = _DRY_RUN,
    yes: bool = options.YES,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Queue dead letters again, oldest first, with zero attempts.

    It counts the jobs for each list and asks first, unless you pass --yes. You may interrupt it: no
    job is lost or queued twice. Run it again to go on.

    Example: bananas dead requeue --name resize_image --dry-run

    Example: bananas dead requeue --error "connection refused" --older-than 1h --rate 500 --yes
    """
    arguments = _which(every, name, error, regex, older_than, route)
    arguments.update(limit=limit, rate=rate, routes=options.check_routes(routes))
    task = _Task("requeue", "requeued", arguments)
    _clear(Target(redis, key_prefix), task, dry_run, yes=yes, as_json=as_json, quiet=quiet)


def purge(
    every: bool = _ALL,
    name: Optional[str] = dead_filters.NAME,
    error: Optional[str] = dead_filters.ERROR,
    regex: bool = dead_filters.REGEX,
    older_than: Optional[str] = dead_filters.OLDER_THAN,
    route: Optional[str] = dead_filters.ROUTE,
    limit: Optional[int] = _LIMIT,
    rate: Optional[float] = _RATE,
    dry_run: bool = _DRY_RUN,
    yes: bool = options.YES,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Delete dead letters with their documents and results, oldest first.

    It counts the jobs and asks first, unless you pass --yes. You may interrupt it. Run it again to
    go on.

    Example: bananas dead purge --older-than 3d --dry-run

    Example: bananas dead purge --all --yes --json
    """
    arguments = _which(every, name, error, regex, older_than, route)
    arguments.update(limit=limit, rate=rate)
    task = _Task("purge", "deleted", arguments)
    _clear(Target(redis, key_prefix), task, dry_run, yes=yes, as_json=as_json, quiet=quiet)


def _which(
    every: bool,
    name: Optional[str],
    error: Optional[str],
    regex: bool,
    older_than: Optional[str],
    route: Optional[str],
) -> Dict[str, Any]:
    """Return the arguments that say which dead letters are meant: all must be said."""
    found = dead_filters.arguments_of(name, error, regex, older_than, route)
    if every == bool(found):
        choice = "--all, or one or more of --name, --error, --older-than and --route"
        end(USAGE, f"choose the dead letters: pass {choice}" + (", not both" if every else ""))
    return found or {"all": True}


def _clear(
    target: Target, task: _Task, dry_run: bool, *, yes: bool, as_json: bool, quiet: bool
) -> None:
    """Count, ask, and do it, as far as each is wanted."""
    question = f"{task.verb.capitalize()} dead letters?"
    refuse_unasked(question, yes=yes or dry_run)

    def show(counts: DeadLetterCounts) -> None:
        if as_json:
            json_line(counts.to_dict())
        elif quiet:
            typer.echo(str(counts.done))
        else:
            console().print(counts_table(counts, task.done))

    if dry_run or not yes:
        preview = _carry_out(target, task, show, dry_run=True, quiet=quiet or as_json)
        if dry_run:
            show(preview)
            return
        if not preview.done:
            show(replace(preview, dry_run=False))
            return
        console(stderr=True).print(counts_table(preview, task.done))
        letters = "1 dead letter" if preview.done == 1 else f"{preview.done} dead letters"
        confirm(f"{task.verb.capitalize()} {letters}?", yes=False)
    show(_carry_out(target, task, show, dry_run=False, quiet=quiet or as_json))


def _carry_out(
    target: Target, task: _Task, show: Any, *, dry_run: bool, quiet: bool
) -> DeadLetterCounts:
    """Do it, or count; say what was done where it does not come to an end."""
    so_far = DeadLetterCounts(dry_run=dry_run)

    async def work(client: AsyncClient) -> DeadLetterCounts:
        nonlocal so_far
        total = (await client.queue.depths()).dead
        what = "counting" if dry_run else task.done
        with progress_of(what, total, task.arguments["limit"], quiet=quiet) as update:

            def progress(counts: DeadLetterCounts) -> None:
                nonlocal so_far
                so_far = counts
                update(counts)

            method = getattr(client.dead_letters, task.verb)
            found: DeadLetterCounts = await method(
                **task.arguments, dry_run=dry_run, progress=progress
            )
            return found

    async def reported(client: AsyncClient) -> DeadLetterCounts:
        try:
            return await work(client)
        except (BananasError, ValueError):
            if so_far.done and not dry_run:
                show(so_far)
                say(f"{task.done} before the error: {so_far.done}; to go on, run it again")
            raise

    def interrupted() -> str:
        if dry_run:
            return "interrupted; nothing was done"
        show(so_far)
        return _how_to_go_on(task, so_far.done)

    return run(target, reported, interrupted=interrupted)


def _how_to_go_on(task: _Task, done: int) -> str:
    limit = task.arguments["limit"]
    rest = "" if limit is None else f" with --limit {max(0, limit - done)}"
    return f"interrupted; {task.done}: {done}, perhaps more; to go on, run it again{rest}"
