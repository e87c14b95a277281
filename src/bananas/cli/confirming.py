"""Asks before something is done that can't be undone."""

from __future__ import annotations

import sys

import typer

from .exit_status import ERROR, INTERRUPTED, USAGE, end

__all__ = ["agreed", "confirm", "confirm_named", "refuse_unasked"]


def refuse_unasked(question: str, *, yes: bool) -> None:
    """End the command where a question was not answered with ``--yes``, and nobody can be asked."""
    if not yes and not sys.stdin.isatty():
        end(USAGE, f"{question} stdin is not a terminal, so nobody can answer: pass --yes")


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless the answer was given with ``--yes``; end the command where it is no."""
    refuse_unasked(question, yes=yes)
    if yes:
        return
    if not agreed(question):
        end(ERROR, "nothing was done")


def agreed(question: str) -> bool:
    """Ask at a terminal, and return whether the answer is yes; Ctrl-C ends the command."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        typer.echo(err=True)
        end(INTERRUPTED, "interrupted; nothing was done")


def confirm_named(question: str, *, yes: bool) -> None:
    """Ask at a terminal; a script that names each job by its id has said what it wants."""
    if sys.stdin.isatty():
        confirm(question, yes=yes)
