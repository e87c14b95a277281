"""Commands that look at the whole queue: queues, and jobs."""

from __future__ import annotations

import asyncio
from typing import Any, AsyncIterator, Callable, List, Optional

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..client import AsyncClient
from ..location import JobPlace
from ..models import JobPriority
from ..operating import JobEntry, QueueDepths
from . import options
from .arguments import span_of
from .exit_status import say
from .output import console, json_line, listing, moment_text, table
from .running import Target, run

__all__ = ["jobs", "queues", "show_jobs"]

_BATCH = 500
_PLACES = ("queued", "scheduled", "retrying", "taken", "dead")
_ROUTES = typer.Option([], "--route", metavar="KEY", help="Also count this route; may be repeated.")
_DISCOVER = typer.Option(
    False, "--discover", help="Also look for other routes. It goes through all keys of Redis."
)
_WATCH = typer.Option(False, "--watch", help="Repeat until Ctrl-C.")
_EVERY = typer.Option("1", "--every", metavar="TIME", help="How often, with [b]--watch[/b].")
_PLACE = typer.Argument(
    ..., metavar="PLACE", help="queued, scheduled, retrying, taken or dead.", show_default=False,
    autocompletion=options.words(*_PLACES),
)  # fmt: skip
_PRIORITY = typer.Option(
    None, "--priority", metavar="WORD", help="Of queued jobs, only those of this priority.",
    autocompletion=options.words(*(priority.value for priority in JobPriority)),
)  # fmt: skip


def queues(
    routes: List[str] = _ROUTES,
    discover: bool = _DISCOVER,
    watch: bool = _WATCH,
    every: str = _EVERY,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Count the jobs in each place.

    With --quiet, print only the number of jobs that wait for a worker.

    Example: bananas queues --watch
    """
    pause = max(0.1, span_of(every, "--every").total_seconds())

    def show(depths: QueueDepths) -> None:
        if as_json:
            json_line(depths.to_dict())
        elif quiet:
            typer.echo(str(depths.total_queued))
        else:
            console().print(_depths_table(depths))

    async def work(client: AsyncClient) -> None:
        shown = console()
        if not watch or as_json or quiet or not shown.is_terminal:
            while True:
                show(await client.queue.depths(routes, discover=discover))
                if not watch:
                    return
                await asyncio.sleep(pause)
        with Live(console=shown, auto_refresh=False) as live:
            while True:
                depths = await client.queue.depths(routes, discover=discover)
                live.update(_depths_table(depths), refresh=True)
                await asyncio.sleep(pause)

    run(Target(redis, key_prefix), work)


def _depths_table(depths: QueueDepths) -> Group:
    named = any(route is not None for route in depths.queued)
    columns = [*(["route"] if named else []), *(priority.value for priority in JobPriority)]
    rows: List[List[Any]] = []
    for route, counts in depths.queued.items():
        first = [route or "(flat lists)"] if named else []
        rows.append([*first, *(counts[priority] for priority in JobPriority)])
    queued: Table = table(columns, rows)
    queued.title = "queued"
    late = f", {depths.overdue} of them overdue" if depths.overdue else ""
    due = "" if depths.next_due is None else f", the next due at {moment_text(depths.next_due)}"
    return Group(
        queued,
        Text(f"scheduled  {depths.scheduled}{late}{due}", style="yellow" if late else ""),
        Text(f"taken      {depths.processing}"),
        Text(f"dead       {depths.dead}", style="red" if depths.dead else ""),
    )


def jobs(
    place: str = _PLACE,
    limit: Optional[int] = options.LISTED,
    every: bool = options.LISTED_ALL,
    priority: Optional[str] = _PRIORITY,
    route: Optional[str] = options.ROUTE,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """List the jobs of a place.

    With --quiet, print only their ids. Queued and taken jobs are listed newest first, scheduled
    jobs by their time, and dead letters oldest first.

    Example: bananas jobs dead --limit 20

    Example: bananas jobs queued --all --json
    """
    if place not in _PLACES:
        raise typer.BadParameter("PLACE must be queued, scheduled, retrying, taken or dead")
    if priority is not None and priority not in list(JobPriority):
        raise typer.BadParameter("--priority must be high, normal or low")
    level = None if priority is None else JobPriority(priority)
    show_jobs(
        Target(redis, key_prefix, route),
        lambda client, most: client.queue.jobs(JobPlace(place), priority=level, limit=most),
        options.most_listed(limit, every),
        none=f"no job is {place}",
        as_json=as_json,
        quiet=quiet,
    )


def show_jobs(
    target: Target,
    listed: Callable[[AsyncClient, Optional[int]], AsyncIterator[JobEntry]],
    limit: Optional[int],
    *,
    none: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Print jobs, and on stderr whether there are more, or none."""
    shown = 0

    async def work(client: AsyncClient) -> bool:
        nonlocal shown
        batch: List[JobEntry] = []
        most = None if limit is None else limit + 1
        async for entry in listed(client, most):
            if shown == limit:
                _show_batch(batch)
                return True
            shown += 1
            if as_json:
                json_line(entry.to_dict())
            elif quiet:
                typer.echo(_id_text(entry))
            else:
                batch.append(entry)
                if len(batch) == _BATCH:
                    _show_batch(batch)
                    batch = []
        _show_batch(batch)
        return False

    more = run(target, work, interrupted=lambda: f"interrupted after {shown} jobs")
    if more and not quiet and not as_json:
        say(f"there are more than {limit}; pass --limit N or --all")
    elif not shown and not quiet and not as_json:
        say(none)


def _show_batch(entries: List[JobEntry]) -> None:
    if not entries:
        return
    rows: List[List[Any]] = []
    for entry in entries:
        job = entry.job
        if job is None:
            rows.append([_id_text(entry), "", "", "", "", entry.problem])
            continue
        attempts = f"{job.attempts} of {job.max_retries}"
        rows.append([_id_text(entry), job.name, job.priority.value, entry.due, attempts, job.error])
    columns = ["id", "name", "priority", "due", "failed attempts", "error"]
    kept = [at for at in range(len(columns)) if at < 2 or any(row[at] for row in rows)]
    shown = console()
    rows = [[row[at] for at in kept] for row in rows]
    shown.print(listing([columns[at] for at in kept], rows, shown.width))


def _id_text(entry: JobEntry) -> str:
    return entry.id.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
