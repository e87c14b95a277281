"""Asks before something is done that can't be undone."""

from __future__ import annotations

import sys

import typer

from .statuses import USAGE, end

__all__ = ["confirm"]


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless the answer was given with ``--yes``; end the command where it is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        end(USAGE, f"{question} Nobody can be asked here: give --yes")
    typer.confirm(question, abort=True, err=True)
