"""Fork safety: a forked child leaves alone what it inherits, and never collects it."""

from __future__ import annotations

import os
from typing import List

__all__ = ["OwnProcess", "keep_forever"]

# Collecting an inherited loop or transport closes it, which takes the parent's sockets off the
# epoll that both processes share.
_inherited: List[object] = []


class OwnProcess:
    """The process in which something was made; a forked child of it is another one.

    It asks for the number each time: not every fork runs Python's hooks.

    Attributes:
        number: The number of the process.
    """

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = os.getpid()

    def is_current(self) -> bool:
        """Return whether it is the process that asks."""
        return self.number == os.getpid()

    def refuse_fork(self, where: str) -> None:
        """Refuse to go on where code of the caller has forked, and this is the child.

        Raises:
            RuntimeError: It is.
        """
        if not self.is_current():
            raise RuntimeError(
                f"the process was forked inside the {where}; make another call in the child"
            )


def keep_forever(inherited: object) -> None:
    """Keep what a forked child has inherited from ever being collected."""
    _inherited.append(inherited)
