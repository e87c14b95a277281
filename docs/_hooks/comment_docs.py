"""Reads the ``#:`` comments above an attribute as its text, for the pages of the API."""

from __future__ import annotations

import ast
from typing import Any, List, Union

import griffe


class CommentDocs(griffe.Extension):
    """Gives an attribute without a docstring the ``#:`` comment that stands above it."""

    def on_attribute_instance(
        self, *, node: Union[ast.AST, griffe.ObjectNode], attr: griffe.Attribute, **_: Any
    ) -> None:
        """Take the lines that begin with ``#:`` and end above the attribute."""
        if attr.docstring or not isinstance(node, ast.stmt):
            return
        found: List[str] = []
        lines = attr.lines_collection[attr.filepath]
        number = node.lineno - 2
        while number >= 0 and lines[number].strip().startswith("#:"):
            found.insert(0, lines[number].strip()[2:].strip())
            number -= 1
        if found:
            attr.docstring = griffe.Docstring("\n".join(found), parent=attr)
