"""Lets long code in tables break its lines at spaces and between chained calls, to fit its page."""

from __future__ import annotations

import re
from typing import Any, Match

_CELL = re.compile(r"<td\b.*?</td>", re.DOTALL)
_CODE = re.compile(r"<code>([^<]*)</code>")
_BREAK = re.compile(r" |(?<=\))(?=\.)")
_SHORT = 24


def on_page_content(html: str, **_: Any) -> str:
    """Mark the words of long code in cells; the style sheet keeps each of them on one line."""
    return _CELL.sub(lambda cell: _CODE.sub(_words, cell[0]), html)


def _words(code: Match[str]) -> str:
    if len(code[1]) <= _SHORT or not _BREAK.search(code[1]):
        return code[0]
    words = _BREAK.sub(lambda found: f"</span>{found[0] or '<wbr>'}<span>", code[1])
    return f'<code class="words"><span>{words}</span></code>'
