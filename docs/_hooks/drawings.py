"""Lets wide diagrams and plots scroll on a phone, where they would be too small to read."""

from __future__ import annotations

import re
from typing import Any

_WIDE = re.compile(
    r'<pre class="mermaid"><code>sequenceDiagram.*?</pre>'
    r'|<p>(?:<img [^>]*#only-(?:light|dark)"[^>]*>\s*)+</p>',
    re.DOTALL,
)


def on_page_content(html: str, **_: Any) -> str:
    """Put a box around each."""
    return _WIDE.sub(r'<div class="site-wide">\g<0></div>', html)
