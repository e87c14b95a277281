"""The command that follows a job: watch."""

from __future__ import annotations

from typing import List, Optional

import typer

from ..client import AsyncClient
from ..models import JobStatus
from ..operating import JobChange
from . import options
from .arguments import timeout_of
from .exit_status import JOB_FAILED, NOT_FOUND, say
from .output import json_line
from .running import Target, run

__all__ = ["watch"]

_TIMEOUT = typer.Option(
    "none", "--timeout", metavar="TIME", help="The limit: seconds, 90s, 5m, or none."
)


def watch(
    job_id: str = options.JOB_ID,
    timeout: str = _TIMEOUT,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Print each change of a job until it has ended.

    With --quiet, print only the kind of each change. The exit status is 3 if the job failed or was
    cancelled, 4 if it has not ended in time, and 5 if its result is gone.

    Example: bananas watch 4f0c1f9e-53b5-4d2a-9a7e-0d3c9a1f2b6d --timeout 5m
    """
    limit = timeout_of(timeout)
    seen: List[JobChange] = []

    async def work(client: AsyncClient) -> None:
        async with client.watch(job_id, limit) as changes:
            async for change in changes:
                seen.append(change)
                if change.kind == "missing" and not quiet and not as_json:
                    say(f"there is no job {job_id} yet; waiting until Ctrl-C or --timeout")
                elif as_json:
                    json_line(change.to_dict())
                else:
                    typer.echo(change.kind if quiet else str(change))

    again = f"interrupted; the job goes on; watch it with: bananas watch {job_id}"
    run(Target(redis, key_prefix), work, interrupted=lambda: again)
    result = seen[-1].result if seen else None
    if result is None:
        raise typer.Exit(NOT_FOUND)
    raise typer.Exit(JOB_FAILED if result.status is JobStatus.FAILED else 0)
