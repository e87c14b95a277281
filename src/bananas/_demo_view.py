"""Shows the demo: a live table on a terminal, plain lines elsewhere, and the outcomes at last."""

from __future__ import annotations

from datetime import datetime, timezone
from types import TracebackType
from typing import Dict, Optional, Sequence, Tuple, Type

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ._demo_jobs import Progress

__all__ = ["View", "outcomes", "summary"]

_STYLES = {
    "completed": "green",
    "failed": "red",
    "processing": "cyan",
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
        self._said: Dict[str, Tuple[str, int]] = {}
        self._start: Optional[datetime] = None

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
        now = datetime.now(timezone.utc)
        if self._start is None:
            self._start = now
            if self._console.is_terminal and not self._console.is_dumb_terminal:
                self._live = Live(console=self._console, auto_refresh=False, transient=True)
                self._live.start()
        if self._live is not None:
            self._live.update(_progress(rows, now), refresh=True)
        else:
            self._print_changes(rows, now, (now - self._start).total_seconds())

    def close(self) -> None:
        """Take the live table off the terminal."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _print_changes(self, rows: Sequence[Progress], now: datetime, at: float) -> None:
        for row in rows:
            said = (row.where, row.attempts)
            if self._said.get(row.job.job_id) != said:
                self._said[row.job.job_id] = said
                line = f"{at:6.2f} s  {row.job.title:<25}  {_state(row, now)}"
                self._console.print(Text(line), soft_wrap=True)


def _state(row: Progress, now: datetime) -> str:
    """Say what is happening to a job."""
    document = row.document
    if row.ended_at is not None:
        return _outcome(row)
    if document is None:
        return row.where
    due = document.scheduled_for
    left = "" if due is None else f"{max(0.0, (due - now).total_seconds()):.1f} s"
    if row.where == "scheduled" and left:
        return f"scheduled, due in {left}"
    if row.where == "retrying":
        again = f"again in {left}" if left else "queued again"
        return f'retrying after "{document.error}", {again}'
    if row.where == "processing":
        return f"running, attempt {document.attempts + 1}"
    if row.where == "queued":
        return f"queued, priority {document.priority}"
    return row.where


def _outcome(row: Progress) -> str:
    if row.result is None:
        return "no outcome"
    if row.result.is_failed():
        return f"failed: {row.result.error}"
    return f"completed: {row.result.result}" if row.result.has_data else "completed"


def _style(row: Progress) -> str:
    return _STYLES.get(row.where, "dim")


def _progress(rows: Sequence[Progress], now: datetime) -> Table:
    table = Table(box=box.ROUNDED)
    table.add_column("job", min_width=25)
    table.add_column("what happens to it", min_width=46, overflow="fold")
    for row in rows:
        table.add_row(row.job.title, Text(_state(row, now), style=_style(row)))
    return table


def outcomes(rows: Sequence[Progress]) -> Table:
    """Return the table of how the jobs ended, and whether they had to end so."""
    table = Table(box=box.ROUNDED)
    table.add_column("job", min_width=25)
    table.add_column("outcome", overflow="fold")
    table.add_column("attempts", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("expected", overflow="fold")
    for row in rows:
        problems = "; ".join(row.problems)
        table.add_row(
            row.job.title,
            Text(_outcome(row), style=_style(row)),
            str(row.attempts),
            f"{row.seconds:.2f} s",
            Text(f"no: {problems}", style="bold red") if problems else Text("yes"),
        )
    return table


def summary(rows: Sequence[Progress]) -> Text:
    """Return the last line."""
    expected = sum(not row.problems for row in rows)
    seconds = max((row.seconds for row in rows), default=0.0)
    good = expected == len(rows)
    return Text(
        f"{expected} of {len(rows)} jobs ended as expected, in {seconds:.1f} s",
        style="bold green" if good else "bold red",
    )
