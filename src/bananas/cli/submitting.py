"""Commands that submit a job: submit, and call, which waits for the result."""

from __future__ import annotations

import asyncio
import uuid
from typing import List, NoReturn, Optional, Tuple

import typer

from .. import exceptions as exc
from ..client import AsyncClient
from ..models import JobPriority, JobResult
from . import options
from .arguments import due_at, payload_of, timeout_of
from .changing import SAID
from .exit_status import say
from .job_outcomes import show_outcome, status_of_result
from .output import json_line
from .running import Target, run
from .waiting_view import waiting

__all__ = ["call", "submit"]

_NAME = typer.Argument(
    ..., metavar="NAME", help="The name of the handler that runs the job.", show_default=False
)
_PRIORITY = typer.Option(
    "normal", "--priority", metavar="WORD", help="high, normal or low.",
    autocompletion=options.words(*(priority.value for priority in JobPriority)),
)  # fmt: skip
_DESCRIPTION = typer.Option("", "--description", metavar="TEXT", help="Any text, for people.")
_MAX_RETRIES = typer.Option(3, "--max-retries", min=0, metavar="N", help="The number of attempts.")
_ON_TIMEOUT = typer.Option(
    "leave",
    "--on-timeout",
    metavar="WORD",
    autocompletion=options.words("leave", "cancel"),
    help="At the time-out or at Ctrl-C: [b]leave[/b] the job, or [b]cancel[/b] it if no worker "
    "has taken it.",
)
_ID = typer.Option(
    None, "--id", metavar="ID", help="Your own id. A job that exists is not queued again."
)


def priority_of(word: str) -> JobPriority:
    """Return a priority from its word."""
    if word not in list(JobPriority):
        raise typer.BadParameter("--priority must be high, normal or low")
    return JobPriority(word)


def submit(
    name: str = _NAME,
    payload: str = options.PAYLOAD,
    priority: str = _PRIORITY,
    at: Optional[str] = options.AT,
    after: Optional[str] = options.IN,
    route: Optional[str] = options.ROUTE,
    job_id: Optional[str] = _ID,
    description: str = _DESCRIPTION,
    max_retries: int = _MAX_RETRIES,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Submit a job, and print its id.

    Example: bananas submit resize_image '{"width": 640}' --priority high

    Example: bananas submit report @report.json --in 2h --id report-2030-01
    """
    due, value, level = due_at(at, after), payload_of(payload), priority_of(priority)

    async def work(client: AsyncClient) -> Tuple[str, bool]:
        try:
            if due is None:
                return await client.submit_job(
                    name, value, level, description, job_id=job_id, max_retries=max_retries,
                    if_exists="raise",
                ), False  # fmt: skip
            return await client.submit_job_scheduled(
                name, value, level, due, description, job_id=job_id, max_retries=max_retries,
                if_exists="raise",
            ), False  # fmt: skip
        except exc.JobExistsError:
            return str(job_id), True

    said = "interrupted; the job was queued once or not at all"
    found, existed = run(Target(redis, key_prefix, route), work, interrupted=lambda: said)
    if as_json:
        json_line({"job_id": found, "existed": existed})
    else:
        typer.echo(found if quiet else _said(found, existed))


def _said(job_id: str, existed: bool) -> str:
    if existed:
        return f"{job_id} exists already and was not queued again"
    return f"submitted {job_id}"


def call(
    name: str = _NAME,
    payload: str = options.PAYLOAD,
    priority: str = _PRIORITY,
    timeout: str = options.TIMEOUT,
    on_timeout: str = _ON_TIMEOUT,
    route: Optional[str] = options.ROUTE,
    job_id: Optional[str] = _ID,
    description: str = _DESCRIPTION,
    max_retries: int = _MAX_RETRIES,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Submit a job, wait until it has ended, and print the data from its handler.

    The exit status is 3 if the job failed, and 4 if it has not ended in time. Then the job goes on,
    unless you pass --on-timeout cancel.

    Example: bananas call resize_image '{"width": 640}' --timeout 1m

    Example: bananas call report @report.json --timeout 10m --on-timeout cancel
    """
    limit, value, level = timeout_of(timeout), payload_of(payload), priority_of(priority)
    cancels = on_timeout == "cancel"
    if on_timeout not in ("leave", "cancel"):
        raise typer.BadParameter("--on-timeout must be leave or cancel")
    chosen = str(uuid.uuid4()) if job_id is None else job_id
    outcome: List[str] = []

    async def work(client: AsyncClient) -> JobResult[object]:
        with waiting(f"waiting for {chosen}", quiet=quiet or as_json):
            try:
                return await client.submit_and_wait(
                    name, value, level, limit, description, job_id=chosen,
                    max_retries=max_retries, on_timeout="cancel" if cancels else "leave",
                )  # fmt: skip
            except asyncio.CancelledError:
                if cancels:  # the client is closed next, and does not wait for its own
                    outcome.append(str(await client.cancel(chosen)))
                raise

    def interrupted() -> str:
        goes_on = f"if the job was queued, it goes on; wait for it with: bananas wait {chosen}"
        return f"interrupted; {f'job {chosen}: {SAID[outcome[0]]}' if outcome else goes_on}"

    _end(run(Target(redis, key_prefix, route), work, interrupted=interrupted), as_json, quiet)


def _end(result: JobResult[object], as_json: bool, quiet: bool) -> NoReturn:
    """Print what a handler returned, or why it failed, and end the command."""
    show_outcome(result, as_json=as_json, quiet=quiet, data_only=True)
    if result.is_failed:
        say(f"job {result.job_id} failed: {result.error}")
    raise typer.Exit(status_of_result(result))
