"""Prints how jobs ended, and says which exit status that is."""

from __future__ import annotations

from typing import Any, Dict

import typer

from ..models import JobResult
from .exit_status import JOB_FAILED
from .output import console, facts, json_line, json_text, moment_text

__all__ = ["result_facts", "show_outcome", "status_of_result"]


def status_of_result(result: JobResult[Any]) -> int:
    """Return 0 after a success, 3 after a failure."""
    return 0 if result.is_success else JOB_FAILED


def result_facts(result: JobResult[Any]) -> Dict[str, Any]:
    """Return a result as the JSON object that is printed for it."""
    completed = result.completed_at
    return {
        "job_id": result.job_id,
        "status": result.status.value,
        "result": result.result,
        "has_data": result.has_data,
        "error": result.error,
        "completed_at": None if completed is None else moment_text(completed),
        "duration_ms": result.duration_ms,
    }


def show_outcome(
    result: JobResult[Any], *, as_json: bool, quiet: bool, data_only: bool = False
) -> None:
    """Print a result: its object, nothing, what the handler returned, or all for people."""
    if as_json:
        json_line(result_facts(result))
    elif data_only or quiet:
        if result.has_data and result.is_success:
            typer.echo(json_text(result.result))
    else:
        console().print(
            facts([
                ("job", result.job_id),
                ("status", result.status.value),
                ("result", json_text(result.result) if result.has_data else None),
                ("error", result.error),
                ("completed at", result.completed_at),
                ("duration", f"{result.duration_ms} ms"),
            ])
        )  # fmt: skip
