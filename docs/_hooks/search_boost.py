"""Has searches find how-to pages before the pages that list names."""

from __future__ import annotations

from typing import Any

_BOOSTS = (
    ("how-to/", 4.0),
    ("tutorial", 3.0),
    ("cookbook/", 2.0),
    ("coming-from/", 1.5),
    ("reference/api", 0.02),
    ("changelog", 0.1),
)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Give a page the weight of its section, unless it has one of its own."""
    for start, boost in _BOOSTS:
        if page.file.src_uri.startswith(start):
            page.meta.setdefault("search", {}).setdefault("boost", boost)
    return markdown
