"""Says how many there are of something, in words."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, one: str, many: str) -> str:
    """Return the number, with the words for one or for any other number."""
    return f"{number} {one if number == 1 else many}"
