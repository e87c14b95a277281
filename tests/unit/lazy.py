"""A lazy proxy, as Django's translated strings are."""

from __future__ import annotations

from typing import Any

__all__ = ["Lazy"]


class Lazy:
    """Says of itself that it is its target, and is not."""

    def __init__(self, target: Any) -> None:
        self._target = target

    @property
    def __class__(self) -> Any:
        return type(self._target)

    @__class__.setter
    def __class__(self, value: Any) -> None: ...
