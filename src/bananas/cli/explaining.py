"""The command that says why a job does not run: explain."""

from __future__ import annotations

from typing import Optional

import typer

from ..client import AsyncClient
from ..location import JobPlace
from ..operating import Explanation
from . import options
from .arguments import span_of
from .exit_status import NOT_FOUND
from .output import console, facts, json_line
from .running import Target, run
from .waiting_view import waiting

__all__ = ["explain"]

_WHERE = "--redis and --key-prefix"
_OBSERVE = typer.Option(
    "0",
    "--observe",
    metavar="TIME",
    show_default="check once",
    help="Also watch for this time whether the job's list moves and a scheduler runs: 6s or more.",
)


def explain(
    job_id: str = options.JOB_ID,
    observe: str = _OBSERVE,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Explain where a job is, why it does not run, and what to do.

    With --quiet, print only the situation, in one or two words. The exit status is 5 if there is
    no such job.

    Example: bananas explain 4f0c1f9e-53b5-4d2a-9a7e-0d3c9a1f2b6d --observe 10s
    """
    span = span_of(observe, "--observe")

    async def work(client: AsyncClient) -> Explanation:
        with waiting(f"watching for {observe}", quiet=quiet or as_json or not span):
            return await client.explain(job_id, span)

    found = run(Target(redis, key_prefix), work)
    if as_json:
        json_line(found.to_dict())
    elif quiet:
        typer.echo(found.situation)
    else:
        console().print(facts([
            ("job", found.job_id),
            ("place", found.place.value),
            *(("known", one) for one in found.known),
            ("missing", ", ".join(found.missing)),
            ("likely cause" if found.is_guess else "cause", found.cause),
            ("what to do", found.advice.replace("the database and key_prefix", _WHERE)),
        ]))  # fmt: skip
    if found.place is JobPlace.MISSING:
        raise typer.Exit(NOT_FOUND)
