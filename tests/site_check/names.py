"""Finds public names that no page of the API has a place for."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Iterator, List

__all__ = ["unlisted_names"]

_PACKAGE = Path(__file__).resolve().parent.parent.parent / "src" / "bananas"
_PLACE = re.compile(r'\bid="bananas\.[\w.]*?(\w+)"')


def unlisted_names(site: Path) -> Iterator[str]:
    """Give each name in an ``__all__`` of a public module that has no place on a page."""
    texts = [path.read_text(encoding="utf-8") for path in (site / "reference").rglob("*.html")]
    places = {name for text in texts for name in _PLACE.findall(text)} | {"__version__"}
    sources = [*_PACKAGE.glob("[!_]*.py"), *_PACKAGE.glob("[!_]*/__init__.py")]
    for source in sorted(sources):
        name = source.parent.name if source.name == "__init__.py" else source.stem
        if name != "cli":
            for one in sorted(set(_public(source)) - places):
                yield f"bananas.{name}.{one} has no place on a page of the API"


def _public(source: Path) -> List[str]:
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    return []
