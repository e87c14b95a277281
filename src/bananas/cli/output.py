"""What commands print: tables for people, one JSON object a line for programs."""

from __future__ import annotations

import json
import math
import os
import sys
from datetime import datetime
from typing import Any, Iterable, List, Mapping, Sequence

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

__all__ = [
    "STYLES",
    "console",
    "facts",
    "json_line",
    "json_text",
    "listing",
    "moment_text",
    "table",
]

_WIDTH_OF_FILES = 120

#: By the word for a place or an outcome.
STYLES = {
    "cancelled": "magenta",
    "completed": "green",
    "dead": "red",
    "failed": "red",
    "missing": "bold red",
    "retrying": "yellow",
    "scheduled": "blue",
    "taken": "cyan",
    "unreadable": "bold red",
}


def console(*, stderr: bool = False) -> Console:
    """Return the console for people; what is no terminal gets lines of a fixed width."""
    made = Console(highlight=False, stderr=stderr)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = _WIDTH_OF_FILES
    return made


def json_text(value: Any) -> str:
    """Return a value as one line of JSON, whatever numbers Go wrote into it."""
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)


def json_line(value: Mapping[str, Any]) -> None:
    """Print one object, and let a program that reads along have it at once."""
    typer.echo(json_text(value))
    sys.stdout.flush()


def _finite(value: Any) -> Any:
    """Replace numbers beyond a double, for which JSON text could be written only by hand."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, datetime):
        return moment_text(value)
    return value


def moment_text(moment: datetime) -> str:
    """Return a time as RFC 3339 has it, with a Z for UTC."""
    return moment.isoformat().replace("+00:00", "Z")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Return a table whose cells fold where the terminal is narrow, and whose titles do not."""
    made = Table(box=box.ROUNDED)
    for column in columns:
        made.add_column(column, overflow="fold", min_width=_longest_word(column))
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    return made


def listing(columns: Sequence[str], rows: Sequence[Sequence[Any]], width: int) -> RenderableType:
    """Return a table, or where it would cut a word, the names and values of each row.

    The last column may have several lines. An id that stands on two can't be copied.

    Args:
        columns: The names of the columns; a name in two words gets two lines in a table.
        rows: The values.
        width: How many columns the terminal has.
    """
    made = table([column.replace(" ", "\n") for column in columns], rows)
    for column in made.columns[:-1]:
        column.no_wrap = True
    least = 1
    for column in made.columns:
        texts = [str(column.header), *(str(cell) for cell in column.cells)]
        parts = [part for text in texts for part in _unbroken(text, column)]
        least += 3 + max(map(cell_len, parts), default=0)
    if least <= width:
        return made
    records = [facts(zip(columns, row)) for row in rows]
    return Group(*(part for record in records for part in (record, "")))


def _unbroken(text: str, column: Column) -> List[str]:
    """Return the parts of a cell that stand on one line."""
    return text.splitlines() if column.no_wrap else text.split()


def _longest_word(title: str) -> int:
    return max(map(len, title.split()))


def facts(pairs: Iterable[Sequence[Any]]) -> Table:
    """Return a table of names and values, without a frame; values that are empty are left out."""
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None and value != "":
            made.add_row(Text(name), _cell(value))
    return made


def _cell(value: Any) -> Text:
    if isinstance(value, datetime):
        return Text(moment_text(value))
    text = "" if value is None else str(value)
    return Text(text, style=STYLES.get(text, ""))
