"""Marks the tables that are too wide for a phone, where the style sheet shows each row as a card.

The cells of such a table carry the heading of their column, which a card shows before the text.
"""

from __future__ import annotations

import html as escapes
import re
from typing import Any, List, Match

_TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
_ROW = re.compile(r"<tr>.*?</tr>", re.DOTALL)
_CELL = re.compile(r"<(t[hd])\b([^>]*)>(.*?)</\1>", re.DOTALL)
_CODE = re.compile(r"<code>(.*?)</code>", re.DOTALL)
#: How many characters the columns of a phone have room for, and a row before it gets too high.
_ROOM = 38
_LONG_ROW = 75
#: Pages with columns of the same kind, of which each needs its heading.
_COMPARING = "coming-from/"


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Mark each wide table."""
    compares = page.file.src_uri.startswith(_COMPARING)
    return _TABLE.sub(lambda table: _mark(table[0], compares), html)


def _mark(table: str, compares: bool) -> str:
    rows = [[cell[3] for cell in _CELL.finditer(row)] for row in _ROW.findall(table)]
    if not _is_wide(rows):
        return table
    labels = [_text(cell) for cell in rows[0]]
    if len(labels) == 2 and not compares:  # a name and what it means need no more words
        labels = ["", ""]
    elif not compares:
        labels[0] = ""
    marked = _ROW.sub(lambda row: _label(row[0], labels), table)
    # What is shown as blocks is still a table to a screen reader.
    for tag, role in (("thead", "rowgroup"), ("tbody", "rowgroup"), ("tr", "row")):
        marked = marked.replace(f"<{tag}>", f'<{tag} role="{role}">')
    return marked.replace("<table>", '<table data-stacked role="table">', 1)


def _is_wide(rows: List[List[str]]) -> bool:
    """Whether columns of words that are not cut are too wide, or narrow columns too high."""
    widths = [max(map(_longest_word, column)) + 2 for column in zip(*rows)]
    longest = max(sum(len(_text(cell)) for cell in row) for row in rows)
    return sum(widths) > _ROOM or (len(widths) > 2 and longest > _LONG_ROW)


def _longest_word(cell: str) -> int:
    whole = [len(_text(code)) for code in _CODE.findall(cell)]  # the longest are marked as words
    return max([*whole, *map(len, _text(_CODE.sub(" ", cell)).split()), 0])


def _text(cell: str) -> str:
    return escapes.unescape(re.sub("<[^>]*>", "", cell)).strip()


def _label(row: str, labels: List[str]) -> str:
    found = iter(labels)

    def labelled(cell: Match[str]) -> str:
        label = next(found, "")
        if cell[1] == "th":
            return f'<th role="columnheader"{cell[2]}>{cell[3]}</th>'
        return f'<td role="cell" data-label="{escapes.escape(label)}"{cell[2]}>{cell[3]}</td>'

    return _CELL.sub(labelled, row)
