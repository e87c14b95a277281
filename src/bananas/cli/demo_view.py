"""Shows the demo: a live table on a terminal, plain lines elsewhere, and the outcomes at last."""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone
from types import TracebackType
from typing import Dict, Optional, Sequence, Type

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .demo_jobs import Progress

__all__ = ["View", "outcomes", "summary"]

_STYLES = {
    "completed": "green",
    "failed": "red",
    "taken": "cyan",
    "retrying": "yellow",
    "scheduled": "blue",
    "unknown": "bold red",
}


class View:
    """What the jobs are doing, until all have ended.

    Args:
        console: Where to show it.
        embedded: Whether Redis runs inside this process.
        emulated: Whether the worker does.
    """

    def __init__(self, console: Console, *, embedded: bool, emulated: bool) -> None:
        self._console = console
        self._embedded = embedded
        self._emulated = emulated
        self._live: Optional[Live] = None
        self._said: Dict[str, str] = {}
        self._start: Optional[float] = None

    def __enter__(self) -> View:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def started(self, url: str) -> None:
        """Say where the jobs are sent, and who runs them."""
        where = url.partition("?")[0]
        if "@" in where:  # who we are there is nobody's business
            where = f"{url.partition('://')[0]}://{where.rpartition('@')[2]}"
        embedded = " (inside this process)" if self._embedded else ""
        worker = "emulated, in this process" if self._emulated else "yours; it needs a handler demo"
        self._console.print(Text(f"Redis:  {where}{embedded}\nworker: {worker}\n"), soft_wrap=True)

    def show(self, rows: Sequence[Progress]) -> None:
        """Show where each job is; in plain lines, only what has changed."""
        if self._start is None:
            self._start = time.monotonic()
            if self._console.is_terminal and not self._console.is_dumb_terminal:
                self._live = Live(console=self._console, auto_refresh=False, transient=True)
                self._live.start()
            else:
                self._console.print(f"{0:6.2f} s  {len(rows)} jobs submitted")
        if self._live is not None:
            self._live.update(_progress(rows), refresh=True)
        else:
            self._print_changes(rows, time.monotonic() - self._start)

    def close(self) -> None:
        """Take the live table off the terminal."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _print_changes(self, rows: Sequence[Progress], at: float) -> None:
        for row in rows:
            state = _state(row)
            if state and self._said.get(row.job.job_id) != state:
                self._said[row.job.job_id] = state
                line = f"{at:6.2f} s  {row.job.title:<17}  {state}{_countdown(row)}"
                self._console.print(Text(line), soft_wrap=True)


def _state(row: Progress) -> str:
    """Say what is happening to a job; nothing while that is not known."""
    document = row.document
    if row.ended_at is not None:
        return _outcome(row)
    if document is None:
        return ""
    if row.where == "retrying":
        return f'retrying after "{document.error}"'
    if row.where == "taken":
        return f"running, attempt {document.attempts + 1}"
    if row.where == "queued":
        return f"queued, priority {document.priority}"
    return row.where


def _countdown(row: Progress) -> str:
    """Say how long it is until a job is due, if it is to be."""
    due = None if row.document is None else row.document.scheduled_for
    if due is None or row.where not in ("scheduled", "retrying"):
        return ""
    return f", due in {max(0.0, (due - datetime.now(timezone.utc)).total_seconds()):.1f} s"


def _outcome(row: Progress) -> str:
    if row.result is None:
        return "no outcome"
    if row.result.is_failed:
        return f"failed: {row.result.error}"
    return f"completed: {json.dumps(row.result.result)}" if row.result.has_data else "completed"


def _style(row: Progress) -> str:
    return _STYLES.get(row.where, "dim")


def _progress(rows: Sequence[Progress]) -> Table:
    table = Table(box=box.ROUNDED)
    table.add_column("job", min_width=17)
    table.add_column("what happens to it", min_width=52, overflow="fold")
    for row in rows:
        table.add_row(row.job.title, Text(_state(row) + _countdown(row), style=_style(row)))
    return table


def outcomes(rows: Sequence[Progress]) -> Table:
    """Return the table of how the jobs ended, and whether they had to end so."""
    table = Table(box=box.ROUNDED)
    table.add_column("job", min_width=17)
    table.add_column("outcome", overflow="fold")
    table.add_column("attempts", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("expected", no_wrap=True)
    for row in rows:
        table.add_row(
            row.job.title,
            Text(_outcome(row), style=_style(row)),
            str(row.attempts),
            f"{row.seconds:.2f} s",
            Text("no", style="bold red") if row.problems else Text("yes"),
        )
    return table


def summary(rows: Sequence[Progress]) -> Text:
    """Return the last lines: what was not as it had to be, and the sum of it all."""
    text = Text()
    for row in rows:
        for problem in row.problems:
            text.append(f"{row.job.title}: {problem}\n", style="red")
    expected = sum(not row.problems for row in rows)
    seconds = max((row.seconds for row in rows), default=0.0)
    return text.append(
        f"{expected} of {len(rows)} jobs ended as expected, in {seconds:.1f} s",
        style="bold green" if expected == len(rows) else "bold red",
    )
