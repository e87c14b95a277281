"""What the pipeline's state machine has others do."""

from __future__ import annotations

from typing import List, Optional, Protocol

from .._redis import Command

__all__ = ["Effects"]


class Effects(Protocol):
    """Carries out what the state machine decides.

    A method must not wait. It may cause an event, which is queued while the state machine runs.
    """

    def connect(self) -> None:
        """Begin to make a connection; ``link_up`` or ``link_failed`` follows."""

    def send(self, commands: List[Command]) -> None:
        """Write commands; ``replies`` or ``link_lost`` follows."""

    def drop(self, reason: Optional[str]) -> None:
        """Drop the connection; no event follows.

        Args:
            reason: Why it can't be used any more; None where nothing is wrong with it.
        """

    def send_soon(self) -> None:
        """Call ``send_now`` when all who can run in this turn have had a chance to ask for more."""

    def wake_at(self, when: float) -> None:
        """Call ``time`` at this time; only the last call counts."""

    def unsent(self) -> int:
        """Return how many bytes are not written yet."""
        ...
