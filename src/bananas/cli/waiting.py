"""The command that waits for jobs: wait."""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, List, Optional

import typer

from .. import exceptions as exc
from ..client import AsCompleted, AsyncClient
from ..models import JobResult
from . import options
from .arguments import timeout_of
from .exit_status import JOB_FAILED, ask_why, say, status_of
from .job_outcomes import result_facts
from .output import json_line, json_text
from .running import Target, run
from .waiting_view import waiting

__all__ = ["wait"]

_ANY_ATTEMPT = typer.Option(
    False, "--any-attempt", help="Use the first stored result, even if a retry may follow."
)
_MUST_EXIST = typer.Option(
    False, "--must-exist", help="If a job does not exist, end at once with status 5."
)


def wait(
    job_ids: List[str] = options.JOB_IDS,
    timeout: str = options.TIMEOUT,
    any_attempt: bool = _ANY_ATTEMPT,
    must_exist: bool = _MUST_EXIST,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Wait until jobs have ended, and print one line for each.

    The exit status is 3 if a job failed, 4 if one has not ended in time, and 5 if a result is gone.
    With several jobs, it is the highest one.

    Example: bananas wait 4f0c1f9e-53b5-4d2a-9a7e-0d3c9a1f2b6d --timeout 5m
    """
    limit = timeout_of(timeout)
    ids = list(dict.fromkeys(job_ids))
    statuses: Dict[str, int] = {}

    def ended(result: JobResult[Any]) -> None:
        statuses[result.job_id] = JOB_FAILED if result.is_failed else 0
        if as_json:
            json_line(result_facts(result))
        elif not quiet:
            typer.echo(_line(result))

    async def work(client: AsyncClient) -> None:
        if must_exist:
            await _refuse_missing(client, ids)
        what = "1 job" if len(ids) == 1 else f"{len(ids)} jobs"
        with waiting(f"waiting for {what}", quiet=quiet or as_json) as aside:
            results = client.as_completed(ids, limit, wait_for_retries=not any_attempt)
            statuses.update(await _without_result(results, ended, aside))

    def interrupted() -> str:
        left = [job_id for job_id in ids if job_id not in statuses]
        return (
            f"interrupted; {len(ids) - len(left)} of {len(ids)} have ended; wait for the others "
            f"with: bananas wait {' '.join(left[:5])}{' ...' if left[5:] else ''}"
        )

    run(Target(redis, key_prefix), work, interrupted=interrupted)
    raise typer.Exit(max(statuses.values(), default=0))


async def _without_result(
    results: AsCompleted,
    ended: Callable[[JobResult[Any]], None],
    aside: Callable[[Callable[[], None]], None],
) -> Dict[str, int]:
    """Hand over each result, and return the statuses of the jobs that have none."""
    statuses: Dict[str, int] = {}
    async with results:
        while True:
            try:
                aside(functools.partial(ended, await results.__anext__()))
            except StopAsyncIteration:
                return statuses
            except (exc.TimeoutError, exc.ResultNotFoundError) as error:
                for job_id in error.job_ids:
                    statuses[job_id] = status_of(error)
                left = [job_id for job_id in error.job_ids if job_id not in str(error)]
                more = f"; not ended: {' '.join(left)}" if left else ""
                # A single job without a place: Redis did not answer, and would not now.
                if isinstance(error, exc.TimeoutError) and (left or error.whereabouts is not None):
                    more += ask_why(error.job_ids[0])
                aside(functools.partial(say, f"{error}{more}"))


async def _refuse_missing(client: AsyncClient, ids: List[str]) -> None:
    for job_id in ids:
        location = await client.locate(job_id)
        if location.place == "missing":
            raise exc.JobNotFoundError(f"there is no job {job_id}", job_id=job_id)


def _line(result: JobResult[Any]) -> str:
    if result.is_failed:
        return f"{result.job_id} failed: {result.error}"
    data = f": {json_text(result.result)}" if result.has_data else ""
    return f"{result.job_id} completed{data}"
