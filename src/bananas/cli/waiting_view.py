"""Shows on a terminal that a command waits."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

from .output import console

__all__ = ["waiting"]


@contextmanager
def waiting(what: str, *, quiet: bool) -> Iterator[None]:
    """Show a spinner on stderr while the body runs, where that is a terminal."""
    shown = console(stderr=True)
    if quiet or not shown.is_terminal or shown.is_dumb_terminal:
        yield
        return
    with shown.status(what):
        yield
