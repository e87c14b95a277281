"""Every promise that the documentation makes has its limits and its tests."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Dict, List, Set, Tuple

import pytest

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "explanation" / "guarantees.md"

Row = Tuple[str, str, str]


def _rows() -> List[Row]:
    """Return promise, limits and tests of each row."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [line.strip("|").split("|") for line in lines if line.startswith("| ")]
    rows = [tuple(cell.strip() for cell in row) for row in cells]
    return [(row[0], row[1], row[2]) for row in rows if row != ("promise", "limits", "tests")]


def _tests_of(cell: str) -> List[Tuple[str, str]]:
    return re.findall(r"`([\w/]+\.py)::(\w+)`", cell)


def _functions(path: Path) -> Set[str]:
    """Return the names of the tests in a file, without importing it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_")
    }


ROWS = _rows()
NAMED: Dict[str, Set[str]] = {}
for _, _, _cell in ROWS:
    for _file, _function in _tests_of(_cell):
        NAMED.setdefault(_file, set()).add(_function)


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:40] for row in ROWS])
def test_a_promise_has_limits_and_tests(row: Row) -> None:
    """Each row is a promise, what limits it, and at least one test."""
    promise, limits, tests = row
    assert promise.endswith(".")
    assert limits.endswith(".")
    found = _tests_of(tests)
    assert found
    assert tests == "<br>".join(f"`{file}::{function}`" for file, function in found)


@pytest.mark.parametrize("file", sorted(NAMED))
def test_the_tests_are_there(file: str) -> None:
    """Each test that a promise names exists."""
    assert (TESTS / file).is_file()
    assert NAMED[file] <= _functions(TESTS / file)


def test_every_file_of_faults_belongs_to_a_promise() -> None:
    """No fault is injected for the sake of nothing that is promised."""
    files = {f"faults/{path.name}" for path in (TESTS / "faults").glob("test_*.py")}
    assert files
    assert files <= set(NAMED)
