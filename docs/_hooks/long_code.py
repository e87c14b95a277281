"""Lets long code in tables break its lines at spaces, so that tables fit their page."""

from __future__ import annotations

import re
from typing import Any, Match

_CELL = re.compile(r"<td\b.*?</td>", re.DOTALL)
_CODE = re.compile(r"<code>([^<]*)</code>")
_SHORT = 24


def on_page_content(html: str, **_: Any) -> str:
    """Mark the words of long code in cells; the style sheet keeps each of them on one line."""
    return _CELL.sub(lambda cell: _CODE.sub(_words, cell[0]), html)


def _words(code: Match[str]) -> str:
    if " " not in code[1] or len(code[1]) <= _SHORT:
        return code[0]
    words = " ".join(f"<span>{word}</span>" for word in code[1].split(" "))
    return f'<code class="words">{words}</code>'
