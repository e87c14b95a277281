"""Every promise that the documentation makes has its limits and its tests."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Set, Tuple

import pytest

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "explanation" / "guarantees.md"
# A file of Markdown that is read on a git host too: there the tests are folded as on the site.
_CARD = re.compile(
    r'^### (?P<title>.+)\n\n<div class="site-card" markdown>\n\n'
    r"(?P<promise>(?:\S.*\n)+)\n"
    r"(?P<limits>(?:\S.*\n)+)\n"
    r"<details markdown>\n<summary>Tests \((?P<count>\d+)\)</summary>\n\n"
    r"(?P<tests>(?:- `[\w/]+\.py::\w+`\n)+)\n"
    r"</details>\n</div>\n",
    re.MULTILINE,
)


class Card(NamedTuple):
    """A promise, what limits it, and its tests: file and function of each."""

    title: str
    promise: str
    limits: str
    count: int
    tests: List[Tuple[str, str]]


def _text(block: str) -> str:
    return " ".join(block.split())


def _cards(page: str) -> List[Card]:
    return [
        Card(
            found["title"],
            _text(found["promise"]),
            _text(found["limits"]),
            int(found["count"]),
            re.findall(r"`([\w/]+\.py)::(\w+)`", found["tests"]),
        )
        for found in _CARD.finditer(page)
    ]


def _functions(path: Path) -> Set[str]:
    """Return the names of the tests in a file, without importing it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_")
    }


TEXT = PAGE.read_text(encoding="utf-8")
CARDS = _cards(TEXT)
NAMED: Dict[str, Set[str]] = {}
for _card in CARDS:
    for _file, _function in _card.tests:
        NAMED.setdefault(_file, set()).add(_function)


def test_every_promise_is_a_card() -> None:
    """Each heading of the third level has a promise, limits and folded tests, in this form."""
    headings = re.findall(r"^### (.+)$", TEXT, re.MULTILINE)
    assert headings
    assert [card.title for card in CARDS] == headings
    assert "\n|" not in TEXT


@pytest.mark.parametrize("card", CARDS, ids=[card.title for card in CARDS])
def test_a_promise_has_limits_and_tests(card: Card) -> None:
    """Each card is a promise, what limits it, and as many tests as it says."""
    assert card.promise.endswith(".")
    assert card.limits.startswith("**Limits.** ")
    assert card.limits.endswith(".")
    assert card.count == len(card.tests)


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
