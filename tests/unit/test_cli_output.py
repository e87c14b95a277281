"""What commands print fits the terminal."""

from __future__ import annotations

import io
from typing import List

import pytest
from rich.console import Console

from bananas.cli.output import listing

_ID = "5f0c1c0e-8f3b-4c61-9d0e-2f1f6f0f7a11"
_COLUMNS = ["id", "name", "priority", "failed attempts", "error"]
_ROW = [_ID, "send_invoice", "normal", "3 of 3", "refused by mail.example.com:25 three times"]


def _printed(width: int, columns: List[str], row: List[str]) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(listing(columns, [row, row], width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_a_listing_never_cuts_a_word(width: int) -> None:
    """Each id, name and word is whole in each width, so it can be copied."""
    printed = _printed(width, _COLUMNS, _ROW)
    for word in " ".join([*_COLUMNS, *_ROW]).split():
        assert word in printed
    assert max(map(len, printed.splitlines())) <= width


def test_a_listing_is_a_table_where_it_fits() -> None:
    """A row has one line in a terminal that is wide enough."""
    assert [_ID in line for line in _printed(140, _COLUMNS, _ROW).splitlines()].count(True) == 2
    assert "─" in _printed(60, ["id", "name"], ["1", "send_invoice"])
    assert "─" not in _printed(60, _COLUMNS, _ROW)
