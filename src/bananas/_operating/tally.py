"""Tally: how many ids were found of one kind, with some of them as examples."""

from __future__ import annotations

from typing import Any, Sequence, Tuple

from ..repairs import Finding, FindingKind
from .deployment import id_of

__all__ = ["Tally", "counted"]

_EXAMPLES = 10


class Tally:
    """Counts ids.

    Attributes:
        count: How many there are.
        examples: The first of them.
    """

    def __init__(self, members: Sequence[bytes] = ()) -> None:
        self.count = 0
        self.examples: Tuple[str, ...] = ()
        self.add(members)

    def add(self, members: Sequence[bytes]) -> None:
        """Count some more."""
        self.count += len(members)
        self.examples += tuple(map(id_of, members[: _EXAMPLES - len(self.examples)]))

    def finding(self, kind: FindingKind, message: str, advice: str, **more: Any) -> Finding:
        """Return a finding about these ids."""
        return Finding(kind, message, advice, self.count, examples=self.examples, **more)


def counted(number: int, one: str, many: str) -> str:
    """Return the number, with the words for one or for any other number."""
    return f"{number} {one if number == 1 else many}"
