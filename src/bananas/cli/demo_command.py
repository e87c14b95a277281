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
        help="Use this Redis; the worker still runs in this process. All keys start with "
        "[b]bananas:demo-[/b], and are deleted at the end.",
    ),
    no_worker: bool = typer.Option(
        False,
        "--no-worker",
        help="Let the Go workers of the Redis given by [b]--redis[/b] run the jobs. They need a "
        "handler named [b]demo[/b]. The jobs go to the real queue, and leave two dead letters. "
        "Queued jobs that no worker takes are deleted.",
    ),
    timeout: float = typer.Option(
        15.0, "--timeout", min=0.0, metavar="SECONDS", help="The limit for all jobs together."
    ),
) -> None:
    """Run seven jobs, and show what happens to each.

    Without options it needs only Python: a small Redis and a worker run inside this process. There
    is a job of each priority, one that is due in two seconds, one that fails and succeeds on its
    retry, one that always fails, and one without a handler.

    The exit status is 0 if every job ended as planned, 1 if not, and 130 after Ctrl-C.

    Example: bananas demo
    """
    if no_worker and redis is None:
        raise typer.BadParameter("--no-worker needs --redis, the Redis of the workers")
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
                f"without --redis, the demo needs the package fakeredis; {remedy('demo')}",
            )
    nobody = nobody_works(rows, timeout) if no_worker else None
    if nobody:
        end(ERROR, nobody)
    view.finish(rows)
    if any(row.problems for row in rows):
        raise typer.Exit(1)
