"""Shows dead letters that are counted, requeued or deleted."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Iterator, List, Optional, Protocol, Tuple

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ..operating import DeadLetterCounts
from .output import console, facts

__all__ = ["Counts", "counts_table", "progress_of"]


class Counts(Protocol):
    """What any work on many jobs counts."""

    @property
    def done(self) -> int:
        """How many were done."""
        ...

    @property
    def looked_at(self) -> int:
        """How many were looked at."""
        ...


def counts_table(counts: DeadLetterCounts, done: str) -> Table:
    """Return how many went where, and how many stay for which reason.

    Args:
        counts: The counts.
        done: The word for what was done to them.
    """
    verb = f"would be {done}" if counts.dry_run else done
    rows: List[Tuple[str, Any]] = [(verb, counts.done)]
    rows += [(f"  to {name}", count) for name, count in sorted(counts.targets.items())]
    rows += [
        ("left: not selected", counts.other or None),
        ("left: without a document", counts.expired or None),
        ("left: unreadable", counts.unreadable or None),
        ("left: of jobs that have not failed", counts.stale or None),
    ]
    return facts(rows)


@contextmanager
def progress_of(
    what: str, total: int, limit: Optional[int], *, quiet: bool
) -> Iterator[Callable[[Counts], None]]:
    """Show a bar on stderr while the body runs, where that is a terminal.

    Args:
        what: What is done.
        total: How many jobs there are.
        limit: After how many it ends; None is all.
        quiet: Whether nothing is to be shown.

    Yields:
        What is to be called with the counts so far.
    """
    shown = console(stderr=True)
    if quiet or not shown.is_terminal or shown.is_dumb_terminal:
        yield lambda counts: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=shown, transient=True) as progress:
        end = total if limit is None else min(limit, total)
        shown_task = progress.add_task(f"{what} 0", total=end)

        def update(counts: Counts) -> None:
            completed = counts.looked_at if limit is None else counts.done
            progress.update(
                shown_task, completed=min(completed, end), description=f"{what} {counts.done}"
            )

        yield update
