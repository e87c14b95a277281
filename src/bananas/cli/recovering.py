"""The command that recovers the jobs of killed workers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, List, NamedTuple, Optional, Tuple

import typer
from rich.table import Table

from ..client import AsyncClient
from ..exceptions import BananasError
from ..repairs import RecoveryCounts
from . import options
from .arguments import span_of
from .confirming import confirm
from .dead_clearing_view import progress_of
from .exit_status import say
from .output import console, facts, json_line
from .running import Target, run

__all__ = ["recover"]

_IDLE_FOR = typer.Option(
    ...,
    "--idle-for",
    metavar="TIME",
    help="How long a job must have been among the taken jobs: 90s, 1h, 1d. Choose longer than any "
    "job runs.",
    show_default=False,
)
_LIMIT = typer.Option(None, "--limit", min=1, metavar="N", help="Recover at most this many.")
_DRY_RUN = typer.Option(False, "--dry-run", help="Only count, and note nothing.")


class _Task(NamedTuple):
    """What is to be done, and how it is shown."""

    target: Target
    idle_for: timedelta
    routes: Optional[str]
    as_json: bool
    quiet: bool


def recover(
    idle_for: str = _IDLE_FOR,
    routes: Optional[str] = options.ROUTES,
    limit: Optional[int] = _LIMIT,
    dry_run: bool = _DRY_RUN,
    yes: bool = options.YES,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Queue the jobs of killed workers again.

    Run it twice: the first run notes which jobs workers have taken. A later run recovers the jobs
    that are still there, unchanged, after --idle-for. A job without attempts left becomes a dead
    letter. It counts the jobs and asks first, unless you pass --yes. If a slow worker still runs a
    recovered job, the job runs twice. You may interrupt it: no job is lost. Run it again to go on.

    Example: bananas recover --idle-for 1h

    Example: bananas recover --idle-for 6h --yes --json
    """
    span, chosen = span_of(idle_for, "--idle-for"), options.check_routes(routes)
    task = _Task(Target(redis, key_prefix), span, chosen, as_json, quiet)
    if dry_run or not yes:
        preview = _carry_out(task, limit, dry_run=True)
        if dry_run:
            _show(task, preview)
            return
        if preview.done:
            console(stderr=True).print(_table(preview))
            jobs = "1 job" if preview.done == 1 else f"{preview.done} jobs"
            confirm(f"Recover {jobs}?", yes=False)
        # What has come of age meanwhile was not asked about.
        limit = preview.done
    _show(task, _carry_out(task, limit, dry_run=False))


def _show(task: _Task, counts: RecoveryCounts) -> None:
    if task.as_json:
        json_line(counts.to_dict())
    elif task.quiet:
        typer.echo(str(counts.done))
    else:
        console().print(_table(counts))


def _table(counts: RecoveryCounts) -> Table:
    rows: List[Tuple[str, Any]] = [
        ("would be recovered" if counts.dry_run else "recovered", counts.done),
        *((f"  to {name}", count) for name, count in sorted(counts.targets.items())),
        ("  only removed: ended, scheduled or gone", counts.removed or None),
        ("left: noted for the first time", counts.noted or None),
        ("left: not taken for long enough", counts.waiting or None),
        ("left: changed in the meantime", counts.changed or None),
        ("left: unreadable", counts.unreadable or None),
        ("left: beyond the limit", counts.left or None),
        ("run it again at", None if counts.dry_run else counts.next_at),
    ]
    return facts(rows)


def _carry_out(task: _Task, limit: Optional[int], *, dry_run: bool) -> RecoveryCounts:
    """Do it, or count; say what was done where it does not come to an end."""
    so_far = RecoveryCounts(dry_run=dry_run)

    async def work(client: AsyncClient) -> RecoveryCounts:
        try:
            return await counted(client)
        except (BananasError, ValueError):
            if so_far.done and not dry_run:
                _show(task, so_far)
                say(f"recovered before the error: {so_far.done}; to go on, run it again")
            raise

    async def counted(client: AsyncClient) -> RecoveryCounts:
        total = (await client.queue.depths()).processing
        what = "counting" if dry_run else "recovered"
        with progress_of(what, total, None, quiet=task.quiet or task.as_json) as update:

            def progress(counts: RecoveryCounts) -> None:
                nonlocal so_far
                so_far = counts
                update(counts)

            return await client.recover(
                task.idle_for,
                limit=limit,
                routes=task.routes,  # type: ignore[arg-type]
                dry_run=dry_run,
                progress=progress,
            )

    def interrupted() -> str:
        if dry_run:
            return "interrupted; nothing was done"
        _show(task, so_far)
        done = so_far.done
        return f"interrupted; recovered: {done}, perhaps more; to go on, run it again"

    return run(task.target, work, interrupted=interrupted)
