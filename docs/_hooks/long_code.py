"""Says where code in a text or a table may break its lines, so that it fits its page.

Long code in a table breaks at spaces and between chained calls. Code in a text breaks at spaces and
not after a hyphen, as in ``python -m nox``.
"""

from __future__ import annotations

import re
from typing import Any, Match

_BLOCK = re.compile(r"(<pre\b.*?</pre>)", re.DOTALL)
_CELL = re.compile(r"(<td\b.*?</td>)", re.DOTALL)
_CODE = re.compile(r"<code>([^<]*)</code>")
_BREAK = re.compile(r" |(?<=\))(?=\.)")
_SHORT = 24
#: A word of so many characters fits on a phone.
_NARROW = 32


def on_page_content(html: str, **_: Any) -> str:
    """Mark the words of code; the style sheet keeps each of them on one line."""
    parts = _BLOCK.split(html)
    parts[::2] = ["".join(map(_marked, _CELL.split(part))) for part in parts[::2]]
    return "".join(parts)


def _marked(part: str) -> str:
    return _CODE.sub(_in_a_cell if part.startswith("<td") else _in_a_text, part)


def _in_a_cell(code: Match[str]) -> str:
    if len(code[1]) <= _SHORT or not _BREAK.search(code[1]):
        return code[0]
    return _words(code[1])


def _in_a_text(code: Match[str]) -> str:
    if "-" not in code[1] or max(map(len, code[1].split(" "))) > _NARROW:
        return code[0]
    return _words(code[1])


def _words(code: str) -> str:
    words = _BREAK.sub(lambda found: f"</span>{found[0] or '<wbr>'}<span>", code)
    return f'<code class="words"><span>{words}</span></code>'
