"""WeakMembers: a set that its members leave once nobody refers to them, for many threads."""

from __future__ import annotations

import weakref
from typing import Any, List, Set

__all__ = ["WeakMembers"]


class WeakMembers:
    """Members that are told apart by identity.

    Each step on the set is one of the interpreter's, which neither another thread nor a signal
    handler can interrupt. ``weakref.WeakSet`` is written in Python: it can't be read in one thread
    while another one adds to it.
    """

    __slots__ = ("_references",)

    def __init__(self) -> None:
        self._references: Set[Any] = set()

    def add(self, member: object) -> None:
        """Take a member in, if it is none yet."""
        self._references.add(weakref.ref(member, self._references.discard))

    def discard(self, member: object) -> None:
        """Let go of a member, if it is one."""
        self._references.discard(weakref.ref(member))

    def all(self) -> List[Any]:
        """Return those that there are at this moment."""
        members = [reference() for reference in self._references.copy()]
        return [member for member in members if member is not None]

    def __len__(self) -> int:
        return len(self._references)
