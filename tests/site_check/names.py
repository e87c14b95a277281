"""Finds public names that no page of the API has a place for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterator

from tests.unit.source_tree import ROOT, listed_names

__all__ = ["unlisted_names"]

_PLACE = re.compile(r'\bid="bananas\.[\w.]*?(\w+)"')


def unlisted_names(site: Path) -> Iterator[str]:
    """Give each name in an ``__all__`` of a public module that has no place on a page."""
    texts = [path.read_text(encoding="utf-8") for path in (site / "reference").rglob("*.html")]
    places = {name for text in texts for name in _PLACE.findall(text)} | {"__version__"}
    sources = [*ROOT.glob("[!_]*.py"), *ROOT.glob("[!_]*/__init__.py")]
    for source in sorted(sources):
        name = source.parent.name if source.name == "__init__.py" else source.stem
        if name != "cli":
            for one in sorted(set(listed_names(source)) - places):
                yield f"bananas.{name}.{one} has no place on a page of the API"
