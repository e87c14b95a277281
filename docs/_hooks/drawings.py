"""Shows the pictures that a page's scheme and width need, where a page names only one.

A plot has a file for light pages, which the page names, one for dark pages, and two for phones.
"""

from __future__ import annotations

import re
from typing import Any, Match

_PLOT = re.compile(r'<img ([^>]*)src="([^"]*)\.svg#only-light"([^>]*)>')
_NARROW = "(max-width: 44.984375em)"


def on_page_content(html: str, **_: Any) -> str:
    """Add what is missing."""
    return _PLOT.sub(_both_schemes, html)


def _both_schemes(plot: Match[str]) -> str:
    before, path, after = plot.groups()
    return "\n".join(
        f'<picture><source media="{_NARROW}" srcset="{path}_narrow{dark}.svg">'
        f'<img {before}src="{path}{dark}.svg#only-{scheme}"{after}></picture>'
        for scheme, dark in (("light", ""), ("dark", "_dark"))
    )
