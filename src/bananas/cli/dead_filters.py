"""The options that say which dead letters a command means."""

from __future__ import annotations

import re
from typing import Any, Dict, Optional

import typer

from .arguments import span_of

__all__ = ["ERROR", "NAME", "OLDER_THAN", "REGEX", "ROUTE", "arguments_of"]

NAME: Any = typer.Option(None, "--name", metavar="N", help="Only those of this handler.")
ERROR: Any = typer.Option(
    None, "--error", metavar="TEXT", help="Only those whose error contains TEXT."
)
REGEX: Any = typer.Option(False, "--regex", help="TEXT is a Python regular expression.")
OLDER_THAN: Any = typer.Option(
    None, "--older-than", metavar="TIME", help="Only those that failed longer ago: 90s, 5m, 3d."
)
ROUTE: Any = typer.Option(
    None, "--route", metavar="R", help="Only those with this route in their document; '' for none."
)


def arguments_of(
    name: Optional[str],
    error: Optional[str],
    regex: bool,
    older_than: Optional[str],
    route: Optional[str],
) -> Dict[str, Any]:
    """Return the client's arguments for what was said; none where nothing was."""
    found: Dict[str, Any] = {}
    if name is not None:
        found["name"] = name
    if error is not None:
        found["error"] = error
    if older_than is not None:
        found["older_than"] = span_of(older_than, "--older-than")
    if route is not None:
        found["routing_key"] = route or None
    if regex:
        if error is None:
            raise typer.BadParameter("--regex needs --error")
        try:
            found["error"] = re.compile(error)
        except re.error as trouble:
            raise typer.BadParameter(
                f"--error is not a valid regular expression: {trouble}"
            ) from None
    return found
