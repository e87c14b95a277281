"""What takes back, on a blocking connection, what a refused job left there."""

from __future__ import annotations

from typing import List, Sequence

from .._pipeline import Outcomes, is_passing
from .._redis import Command, LinkLost, Reply, ReplyError

__all__ = ["check_undone", "undoing"]

_MARKER = b"bananas"


def undoing(outcomes: Outcomes) -> List[Command]:
    """Return the commands that take back what a refused job left."""
    commands: List[Command] = [(b"DISCARD",)] if outcomes.in_transaction else []
    return [*commands, *outcomes.undo, (b"ECHO", _MARKER), (b"HELLO", 2)]


def check_undone(replies: Sequence[Reply], outcomes: Outcomes) -> None:
    """Make sure that it was done, and that there was no unexpected reply.

    An error does not tell which command it answers.

    Raises:
        LinkLost: There was one, or not all is undone.
    """
    *undone, echo, hello = replies
    if not _is_in_order(echo, hello):
        raise LinkLost("it has an unexpected reply")
    if outcomes.undo and any(map(is_passing, undone)):
        raise LinkLost("what was refused could not be undone yet")


def _is_in_order(echo: Reply, hello: Reply) -> bool:
    """Whether two replies are those to ECHO and to HELLO, which is answered in every state."""
    if isinstance(echo, ReplyError):
        if echo.code != "NOPERM" and not is_passing(echo):
            return False
    elif echo != _MARKER:
        return False
    if isinstance(hello, ReplyError):
        return hello.code in ("NOPERM", "ERR")
    return isinstance(hello, list) and hello[:1] == [b"server"]
