"""Shows the demo: a line for each step of each job, which stays, and the code at last."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Dict, Optional, Sequence, Type

from rich.console import Console
from rich.live import Live
from rich.syntax import Syntax
from rich.text import Text

from .demo_jobs import Progress
from .demo_story import CODE, next_step, step, waiting

__all__ = ["View"]


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
        #: The jobs as they were last shown.
        self.rows: Sequence[Progress] = ()

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
        worker = "inside this process" if self._emulated else "yours, with a handler named demo"
        self._print(Text(f"Redis:  {where}{embedded}\nworker: {worker}\n"))

    def show(self, rows: Sequence[Progress]) -> None:
        """Print a line for each job that has made a step; a terminal has the sum below them."""
        if self._start is None:
            self._start = time.monotonic()
            self._print(Text(f" 0.0 s  {len(rows)} jobs submitted, in one round trip"))
            if self._console.is_terminal and not self._console.is_dumb_terminal:
                self._live = Live(console=self._console, auto_refresh=False, transient=True)
                self._live.start()
        self.rows = rows
        now = time.monotonic() - self._start
        steps = [(now if row.ended_at is None else row.seconds, row) for row in rows]
        for at, row in sorted(steps, key=lambda step: step[0]):
            self._print_step(row, at)
        if self._live is not None:
            self._live.update(Text(waiting(rows), style="dim"), refresh=True)

    def close(self) -> None:
        """Take the sum off the terminal; the lines stay."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def finish(self, rows: Sequence[Progress]) -> None:
        """Say whether all ended as planned, and if so which code does it, and what is next."""
        good = sum(not row.problems for row in rows)
        seconds = max((row.seconds for row in rows), default=0.0)
        sums = f"\n{good} of {len(rows)} jobs ended as planned, in {seconds:.1f} s"
        if good < len(rows):
            for row in rows:
                for problem in row.problems:
                    self._console.print(Text(f"{row.job.title}: {problem}", style="red"))
            self._print(Text(sums.strip(), style="bold red"))
            return
        self._print(Text(sums, style="bold green"))
        self._print(Text("\nThe code for one of them:\n"))
        code = Syntax(CODE, "python", theme="ansi_dark", background_color="default").highlight(CODE)
        for line in code.split("\n", allow_blank=False):
            self._print(Text("  ").append_text(line))
        self._print(Text(f"\n{next_step()}"))

    def _print_step(self, row: Progress, at: float) -> None:
        said, style = step(row)
        if said and self._said.get(row.job.job_id) != said:
            self._said[row.job.job_id] = said
            self._print(Text(f"{at:4.1f} s  {row.job.title:<15}  ").append(said, style=style))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)
