"""The command that shows the queue at work: demo."""

from __future__ import annotations

from typing import Optional, Sequence

import typer

from .._missing_extras import remedy
from .demo import run_demo
from .demo_jobs import Progress
from .demo_story import nobody_works, stopped
from .demo_view import View
from .exit_status import ERROR, end
from .output import console
from .running import Target, run_or_end

__all__ = ["demo"]


def demo(
    redis: Optional[str] = typer.Option(
        None,
        "--redis",
        metavar="URL",
        help="Run on this Redis, not on one inside the process. The demo's keys start with "
        "[b]bananas:demo-[/b], touch no other job, and are deleted in the end.",
    ),
    no_worker: bool = typer.Option(
        False,
        "--no-worker",
        help="Leave the jobs to the Go workers of the Redis that [b]--redis[/b] names. They go to "
        "the queue itself, need a handler named [b]demo[/b], and leave two dead letters. Those "
        "that no worker takes are taken back.",
    ),
    timeout: float = typer.Option(
        15.0, "--timeout", min=0.0, metavar="SECONDS", help="Wait no longer than this."
    ),
) -> None:
    """Send jobs of every kind through the queue, and show what happens to each.

    Without options nothing but Python is needed: a small Redis and a worker run inside this
    process. The jobs have all three priorities; one is scheduled, one fails and succeeds on its
    retry, one always fails, and one has no handler.

    Ends with status 0 if every job ended as planned, 1 if not, 130 after Ctrl-C.

    Example: bananas demo
    """
    if no_worker and redis is None:
        raise typer.BadParameter("it needs --redis, to say where the workers are")
    with View(console(), embedded=redis is None, emulated=not no_worker) as view:

        async def work() -> Sequence[Progress]:
            try:
                return await run_demo(
                    redis,
                    worker=not no_worker,
                    timeout=timeout,
                    started=view.started,
                    show=view.show,
                )
            finally:
                view.close()

        try:
            rows = run_or_end(
                work(),
                target=Target(redis),
                interrupted=lambda: stopped(view.rows, worker=not no_worker),
            )
        except ImportError:
            end(
                ERROR,
                f"without --redis this needs the package fakeredis; {remedy('demo')}",
            )
    nobody = nobody_works(rows, timeout) if no_worker else None
    if nobody:
        end(ERROR, nobody)
    view.finish(rows)
    if any(row.problems for row in rows):
        raise typer.Exit(1)
