"""Commands that submit a job: submit, and call, which waits for the result."""

from __future__ import annotations

from typing import List, Optional

import typer

from ..client import AsyncClient
from ..models import JobPriority, JobResult
from . import options
from .arguments import due_at, payload_of, timeout_of
from .outcomes import show_outcome, status_of_result
from .output import json_line
from .running import Target, run
from .statuses import say
from .waiting_view import waiting

__all__ = ["call", "submit"]

_NAME = typer.Argument(..., help="The name of the handler that runs it.", show_default=False)
_PRIORITY = typer.Option("normal", "--priority", metavar="WORD", help="high, normal or low.")
_DESCRIPTION = typer.Option("", "--description", metavar="TEXT", help="Free text, for people.")
_MAX_RETRIES = typer.Option(
    3, "--max-retries", min=0, metavar="N", help="Attempts after which a failure is final."
)
_ID = typer.Option(
    None, "--id", metavar="ID", help="An id of your choice: a job that exists is not queued again."
)


def priority_of(word: str) -> JobPriority:
    """Return a priority from its word."""
    if word not in list(JobPriority):
        raise typer.BadParameter("--priority is high, normal or low")
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

    async def work(client: AsyncClient) -> str:
        if due is None:
            return await client.submit_job(
                name, value, level, description, job_id=job_id, max_retries=max_retries
            )
        return await client.submit_job_scheduled(
            name, value, level, due, description, job_id=job_id, max_retries=max_retries
        )

    said = "interrupted; the job may be queued, once"
    found = run(Target(redis, key_prefix, route), work, interrupted=lambda: said)
    if as_json:
        json_line({"job_id": found})
    else:
        typer.echo(found if quiet else f"submitted {found}")


def call(
    name: str = _NAME,
    payload: str = options.PAYLOAD,
    priority: str = _PRIORITY,
    timeout: str = options.TIMEOUT,
    route: Optional[str] = options.ROUTE,
    job_id: Optional[str] = _ID,
    description: str = _DESCRIPTION,
    max_retries: int = _MAX_RETRIES,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Submit a job, wait until it has ended, and print what its handler returned.

    Ends with status 3 if the job failed, 4 if it has not ended in time; it goes on then.

    Example: bananas call resize_image '{"width": 640}' --timeout 1m
    """
    limit, value, level = timeout_of(timeout), payload_of(payload), priority_of(priority)
    submitted: List[str] = []

    async def work(client: AsyncClient) -> JobResult[object]:
        found = await client.submit_job(
            name, value, level, description, job_id=job_id, max_retries=max_retries
        )
        submitted.append(found)
        with waiting(f"waiting for {found}", quiet=quiet or as_json):
            return await client.wait_for_result(found, limit)

    def interrupted() -> str:
        if not submitted:
            return "interrupted; the job may be queued, once"
        return f"interrupted; the job goes on. Wait for it with: bananas wait {submitted[0]}"

    result = run(Target(redis, key_prefix, route), work, interrupted=interrupted)
    show_outcome(result, as_json=as_json, quiet=quiet, data_only=True)
    if result.is_failed:
        say(f"job {result.job_id} failed: {result.error}")
    raise typer.Exit(status_of_result(result))
