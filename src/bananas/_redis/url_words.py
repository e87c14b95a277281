"""What the parts of a URL share: the error that refuses one, and what may be shown of it."""

from __future__ import annotations

import re
import unicodedata

__all__ = [
    "ENCODE",
    "MANY_HOSTS",
    "UNFILLED",
    "UNIX",
    "Refused",
    "describe",
    "is_invisible",
    "placeholder",
]

ENCODE = "encode ':', '@' and '/' in a password as %3A, %40 and %2F"
MANY_HOSTS = "names several hosts, or sentinels: give those to from_sentinel(...)"
UNFILLED = "(an unfilled placeholder?)"
UNIX = "a Unix socket is written unix:///run/redis.sock?db=0"

#: Text that a template should have replaced; none of these forms is a likely password.
_PLACEHOLDER = re.compile(
    r"\$?\{\{[^{}]*\}\}|\$?\{[^{}]*\}|\$\([^()]*\)|<[^<>]*>|%[A-Za-z_]\w*%|\$[A-Z][A-Z0-9_]{2,}"
)


class Refused(Exception):
    """A part of a URL is wrong; the text follows the argument's name, and holds no secret."""


def placeholder(text: str) -> str:
    """Return the unfilled placeholder in some text, or an empty string."""
    found = _PLACEHOLDER.search(text)
    return found.group()[:60] if found else ""


def is_invisible(char: str) -> bool:
    """Whether a character shows nothing: a control or format character, or a blank."""
    category = unicodedata.category(char)
    return category in ("Cc", "Cf", "Cn", "Co", "Cs") or category[0] == "Z"


def describe(char: str) -> str:
    """Name a character that can't be shown."""
    if char in "\r\n":
        return "a line break"
    if char in " \t":
        return "a blank"
    if ord(char) < 32 or ord(char) == 127:
        return "a control character"
    return f"an invisible character (U+{ord(char):04X})"
