"""Handles one event after the other, also those that come while one is being handled."""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Deque, Tuple

__all__ = ["EventQueue"]


class EventQueue:
    """Events that wait until the one before them has been handled.

    Attributes:
        is_busy: Whether an event is being handled.
    """

    __slots__ = ("_waiting", "is_busy")

    def __init__(self) -> None:
        self.is_busy = False
        self._waiting: Deque[Tuple[Callable[..., None], Tuple[Any, ...]]] = deque()

    def handle(self, handler: Callable[..., None], *args: Any) -> None:
        """Handle an event now, or once those before it are handled."""
        if self.is_busy:
            self._waiting.append((handler, args))
            return
        self.is_busy = True
        try:
            handler(*args)
            while self._waiting:
                handler, args = self._waiting.popleft()
                handler(*args)
        finally:
            self.is_busy = False
