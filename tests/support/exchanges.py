"""Which request a reply on a connection answers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Deque, Generic, Optional, Sequence, TypeVar

__all__ = ["Exchanges"]

T = TypeVar("T")

_CONFIRMED = frozenset(
    [b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE", b"UNSUBSCRIBE", b"PUNSUBSCRIBE", b"SUNSUBSCRIBE"]
)
_MESSAGES = frozenset([b"MESSAGE", b"PMESSAGE", b"SMESSAGE"])


@dataclass
class _Exchange(Generic[T]):
    name: bytes
    left: Optional[int]
    tag: Optional[T]
    answered: bool = False


class Exchanges(Generic[T]):
    """The requests of one connection that wait for a reply, each with a tag.

    `CLIENT REPLY OFF` and `MONITOR` break the pairing and are not supported.
    """

    def __init__(self) -> None:
        self._waiting: Deque[_Exchange[T]] = deque()
        self._subscriber = False

    def __len__(self) -> int:
        return len(self._waiting)

    def asked(self, words: Sequence[bytes], tag: Optional[T] = None) -> None:
        """Note a request that goes to the server."""
        name = words[0].upper()
        left: Optional[int] = 1
        if name in _CONFIRMED:
            # One confirmation a channel; without channels, as many as are subscribed.
            self._subscriber = True
            left = len(words) - 1 or None
        self._waiting.append(_Exchange(name, left, tag))

    def answered(self, frame: bytes) -> Optional[T]:
        """Return the tag of the request that `frame` is the first reply to."""
        kind = self._kind(frame)
        if kind in _MESSAGES or (frame.startswith(b">") and kind not in _CONFIRMED):
            return None
        while self._waiting:
            exchange = self._waiting[0]
            if exchange.left is None and exchange.answered and kind != exchange.name:
                self._waiting.popleft()
                continue
            return self._count(exchange, refused=frame.startswith(b"-"))
        return None

    def _count(self, exchange: _Exchange[T], refused: bool) -> Optional[T]:
        first, exchange.answered = not exchange.answered, True
        if exchange.left is not None:
            exchange.left -= 1
        if exchange.left == 0 or refused:
            self._waiting.popleft()
        return exchange.tag if first else None

    def _kind(self, frame: bytes) -> bytes:
        if not self._subscriber or not frame.startswith((b"*", b">")):
            return b""
        words = frame.split(b"\r\n", 3)
        return words[2].upper() if len(words) > 2 else b""  # an array may be empty
