"""Nothing is too long to be read in one go."""

from __future__ import annotations

import ast
from typing import Dict, Iterator, Tuple, Union

import pytest

from tests.unit.source_tree import ROOT, modules

pytestmark = pytest.mark.one_python

MODULE, CLASS, FUNCTION = 400, 250, 40
#: The two facades, whose methods are one short line each, and what is generated.
FACADES = {"client", "sync", "_sync_parts"}
LONG_CLASSES = {"client.AsyncClient", "sync.Client"}
#: Generated; and a command, each of whose options has a text of several lines.
LONG_FUNCTIONS = {"sync.from_sentinel", "cli.demo_command.demo"}
SOURCES = modules()
Definition = Union[ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef]


def definitions(*kinds: type) -> Iterator[Tuple[str, int]]:
    """Yield each definition of these kinds, with the number of its lines without docstrings."""
    for name, tree in SOURCES.items():
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                yield f"{name}.{node.name}", lines_of(node)  # type: ignore[attr-defined]


def lines_of(node: Definition) -> int:
    """Return the number of lines of a definition, less those of all docstrings in it."""
    count = length(node)
    for inner in ast.walk(node):
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(inner, kinds) and ast.get_docstring(inner) is not None:
            count -= length(inner.body[0])
    return count


def length(node: ast.stmt) -> int:
    """Return the number of lines of a statement."""
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def test_modules() -> None:
    """A module has at most 400 lines."""
    found: Dict[str, int] = {}
    for path in ROOT.rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name] = len(path.read_text(encoding="utf-8").splitlines())
    long = {name: count for name, count in found.items() if count > MODULE}
    assert {name: count for name, count in long.items() if name not in FACADES} == {}


def test_classes() -> None:
    """A class has at most 250 lines without its docstrings."""
    long = {name: count for name, count in definitions(ast.ClassDef) if count > CLASS}
    assert {name: count for name, count in long.items() if name not in LONG_CLASSES} == {}


def test_functions() -> None:
    """A function has at most 40 lines without its docstring."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = {name: count for name, count in definitions(*kinds) if count > FUNCTION}
    assert {name: count for name, count in long.items() if name not in LONG_FUNCTIONS} == {}
