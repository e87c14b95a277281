"""The application: its options and its commands."""

from __future__ import annotations

import inspect
import io
import sys
from typing import Any, Callable, Dict, Mapping

import typer

from .. import __version__
from .changing import cancel, delete, requeue, reschedule
from .dead import dead, list_, show
from .dead_clearing import purge, requeue_
from .demo_command import demo
from .doctoring import doctor
from .explaining import explain
from .flags import FlagCommand, FlagGroup
from .queues import jobs, queues
from .reading import job, result
from .recovering import recover
from .submitting import call, submit
from .versions import version
from .waiting import wait
from .watching import watch

__all__ = ["app", "with_defaults"]

app: typer.Typer = typer.Typer(
    cls=FlagGroup,
    name="bananas",
    help="Submit jobs to the Bananas task queue, follow them, and repair the queue.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    epilog="Exit status: 0 done, 1 error, 2 wrong command line, 3 job failed, 4 timed out, 5 not "
    "found, 130 Ctrl-C.",
    # A traceback with the values of variables in it would show passwords.
    pretty_exceptions_enable=False,
)

_JOBS = "Jobs"
_QUEUE = "The queue"
_TOOLS = "Tools"
_DEAD = "Dead letters"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bananas {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False,
        "--version",
        help="Print the version and exit.",
        callback=_print_version,
        is_eager=True,
    ),
) -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What a worker says may hold characters that this terminal can't show.
            stream.reconfigure(errors="replace")


def _paragraphs(text: str) -> str:
    """Return a text with one line for each paragraph: typer breaks lines itself."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _add(panel: str, *commands: Callable[..., Any], to: typer.Typer = app) -> None:
    for command in commands:
        text = _paragraphs(command.__doc__ or "").replace("[", "\\[")
        name = command.__name__.rstrip("_")
        to.command(name, cls=FlagCommand, help=text, rich_help_panel=panel)(command)


_add(_JOBS, submit, call, wait, watch, job, explain, result, cancel, reschedule, requeue, delete)
_add(_QUEUE, queues, jobs, recover, doctor)
_add(_TOOLS, demo, version)
app.add_typer(dead, cls=FlagGroup, rich_help_panel=_QUEUE)
_add(_DEAD, list_, show, requeue_, purge, to=dead)


def with_defaults(defaults: Mapping[str, str]) -> Dict[str, Any]:
    """Return what gives commands these defaults, by parameter, in place of their own."""
    found: Dict[str, Any] = {"dead": _defaults_of(dead, defaults)}
    found.update(_defaults_of(app, defaults))
    return found


def _defaults_of(group: typer.Typer, defaults: Mapping[str, str]) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for command in group.registered_commands:
        taken = inspect.signature(command.callback or dict).parameters
        mine = {name: value for name, value in defaults.items() if name in taken}
        if mine:  # a command may be called as an option of the application is
            found[str(command.name)] = mine
    return found
