"""Shows on a terminal that a command waits."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Callable, Iterator

from .output import console

__all__ = ["waiting"]


@contextmanager
def waiting(what: str, *, quiet: bool) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Show a spinner on stderr while the body runs, where that is a terminal.

    Yields:
        What is to be called with whatever writes meanwhile: it does so without the spinner.
    """
    shown = console(stderr=True)
    if quiet or not shown.is_terminal or shown.is_dumb_terminal:
        yield lambda write: write()
        return
    with shown.status(what) as spinner:

        def aside(write: Callable[[], None]) -> None:
            spinner.stop()
            write()
            spinner.start()

        yield aside
