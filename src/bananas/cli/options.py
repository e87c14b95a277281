"""The options and arguments that many commands share."""

from __future__ import annotations

from typing import Any, Callable, List, Optional

import typer

__all__ = [
    "AT",
    "IN",
    "JOB_ID",
    "JOB_IDS",
    "JSON",
    "KEY_PREFIX",
    "LISTED",
    "LISTED_ALL",
    "PAYLOAD",
    "QUIET",
    "REDIS",
    "ROUTE",
    "ROUTES",
    "TIMEOUT",
    "YES",
    "check_routes",
    "most_listed",
    "words",
]


def words(*choices: str) -> Callable[[str], List[str]]:
    """Return what completes one of some words in a shell."""

    def complete(incomplete: str) -> List[str]:
        return [word for word in choices if word.startswith(incomplete)]

    return complete


REDIS: Any = typer.Option(
    None,
    "--redis",
    metavar="URL",
    help="The address of Redis. Default: [b]BANANAS_REDIS_URL[/b], or else localhost:6379.",
)
KEY_PREFIX: Any = typer.Option(
    "bananas:", "--key-prefix", metavar="TEXT", help="The beginning of every key."
)
JSON: Any = typer.Option(False, "--json", help="Print one JSON object a line, for programs.")
QUIET: Any = typer.Option(False, "--quiet", "-q", help="Print only what a script needs.")
YES: Any = typer.Option(False, "--yes", "-y", help="Do not ask first.")
ROUTE: Any = typer.Option(
    None, "--route", metavar="KEY", help="The routing key. Default: the flat lists."
)
ROUTES: Any = typer.Option(
    None,
    "--routes",
    metavar="WORD",
    autocompletion=words("flat", "document"),
    help="Where jobs go: [b]flat[/b] for the flat lists, [b]document[/b] for the route in the "
    "document. Required if a document names a route.",
)
TIMEOUT: Any = typer.Option(
    "30", "--timeout", metavar="TIME", help="The limit: seconds, 90s, 5m, 1h30m, or none."
)
PAYLOAD: Any = typer.Argument(
    "null",
    metavar="PAYLOAD",
    help="The payload: JSON text, [b]@FILE[/b], or [b]-[/b] for stdin.",
)
AT: Any = typer.Option(
    None,
    "--at",
    metavar="TIME",
    help="When the job is due: 2030-01-31T12:00:00Z, or '2030-01-31 12:00 Europe/Berlin'.",
)
IN: Any = typer.Option(
    None, "--in", metavar="TIME", help="How long until the job is due: seconds, 90s, 5m, 3d."
)
LISTED: Any = typer.Option(
    None, "--limit", min=1, metavar="N", help="At most this many; 100 without [b]--all[/b]."
)
LISTED_ALL: Any = typer.Option(False, "--all", help="All jobs.")
JOB_ID: Any = typer.Argument(..., metavar="ID", help="The id of the job.", show_default=False)
JOB_IDS: Any = typer.Argument(..., metavar="ID", help="The ids of the jobs.", show_default=False)


def check_routes(word: Optional[str]) -> Optional[str]:
    """Return the value of ``--routes``, which is a word or none."""
    if word not in (None, "flat", "document"):
        raise typer.BadParameter("--routes must be flat or document")
    return word


def most_listed(limit: Optional[int], every: bool) -> Optional[int]:
    """Return how many jobs are listed at most; None is all."""
    return 100 if limit is None and not every else limit
