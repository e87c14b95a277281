"""ECHO behind commands whose replies do not tell what they answer."""

from __future__ import annotations

from .._redis import Command, Reply, ReplyError
from .transaction import is_passing

__all__ = ["Marker"]


class Marker:
    """A number that the server repeats: then no reply was slipped in before it."""

    __slots__ = ("_number",)

    def __init__(self) -> None:
        self._number = 0

    def next(self) -> Command:
        """Return the command of the next marker."""
        self._number += 1
        return (b"ECHO", b"%d" % self._number)

    def is_reply(self, reply: Reply) -> bool:
        """Whether a reply is the one to the last marker.

        Where ECHO may not be used an error comes in its place; so it does where the server refuses
        every command for a while.
        """
        if isinstance(reply, ReplyError):
            return reply.code == "NOPERM" or "unknown command" in reply.text or is_passing(reply)
        return bool(reply == b"%d" % self._number)
