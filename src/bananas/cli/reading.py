"""Commands that read what is stored of one job: job, and result."""

from __future__ import annotations

import json
from typing import Any, Dict, Optional, Tuple

import typer

from .. import exceptions as exc
from ..client import AsyncClient
from ..location import JobPlace, Location
from ..models import Job, JobResult
from . import options
from .exit_status import NOT_FOUND, ask_why, end
from .job_outcomes import result_facts, show_outcome, status_of_result
from .output import console, facts, json_line, json_text, moment_text
from .running import Target, run

__all__ = ["job", "result"]


def job(
    job_id: str = options.JOB_ID,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Print where a job is, its document, and its stored result.

    With --quiet, print only the place. The exit status is 5 if there is no such job.

    Example: bananas job 4f0c1f9e-53b5-4d2a-9a7e-0d3c9a1f2b6d
    """

    async def work(
        client: AsyncClient,
    ) -> Tuple[Location, Optional[Job], Optional[JobResult[Any]]]:
        location = await client.locate(job_id)
        return location, *(await _document_and_result(client, job_id))

    location, document, stored = run(Target(redis, key_prefix), work)
    if as_json:
        json_line(_job_facts(job_id, location, document, stored))
    elif quiet:
        typer.echo(location.place.value)
    elif location.place is not JobPlace.MISSING:
        _show_job(job_id, location, document, stored)
    if location.place is JobPlace.MISSING:
        end(
            NOT_FOUND,
            f"there is no job {job_id}: it was never submitted here, expired, or was evicted",
        )


async def _document_and_result(
    client: AsyncClient, job_id: str
) -> Tuple[Optional[Job], Optional[JobResult[Any]]]:
    documents = await client.get_jobs([job_id], return_exceptions=True)
    results = await client.get_results([job_id], return_exceptions=True)
    document, stored = documents[0], results[0]
    return (
        None if isinstance(document, exc.BananasError) else document,
        None if isinstance(stored, exc.BananasError) else stored,
    )


def _job_facts(
    job_id: str, location: Location, document: Optional[Job], stored: Optional[JobResult[Any]]
) -> Dict[str, Any]:
    due = location.due
    return {
        "job_id": job_id,
        "place": location.place.value,
        "attempts": location.attempts,
        "last_error": location.last_error,
        "due": None if due is None else moment_text(due),
        "document": None if document is None else json.loads(document.to_json()),
        "result": None if stored is None else result_facts(stored),
    }


def _show_job(
    job_id: str, location: Location, document: Optional[Job], stored: Optional[JobResult[Any]]
) -> None:
    console().print(facts([("job", job_id), ("place", location.place.value)]))
    if document is not None:
        console().print(
            facts([
                ("name", document.name),
                ("priority", document.priority),
                ("route", document.routing_key),
                ("status", document.status),
                ("created at", document.created_at),
                ("updated at", document.updated_at),
                ("due", location.due),
                ("attempts", f"{document.attempts} of {document.max_retries} failed"),
                ("last error", document.error),
                ("description", document.description),
                ("payload", json_text(json.loads(document.to_json()).get("payload"))),
            ])
        )  # fmt: skip
    if stored is not None:
        typer.echo("\nstored result")
        show_outcome(stored, as_json=False, quiet=False)


def result(
    job_id: str = options.JOB_ID,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Print the stored result of a job without waiting.

    With --quiet, print only the data from the handler. The exit status is 3 after a failure (a
    retry may follow), and 5 if no result is stored.

    Example: bananas result 4f0c1f9e-53b5-4d2a-9a7e-0d3c9a1f2b6d --json
    """

    async def work(client: AsyncClient) -> Optional[JobResult[Any]]:
        return await client.get_result(job_id)

    found = run(Target(redis, key_prefix), work)
    if found is None:
        end(NOT_FOUND, f"no result of job {job_id} is stored{ask_why(job_id)}")
    show_outcome(found, as_json=as_json, quiet=quiet)
    raise typer.Exit(status_of_result(found))
