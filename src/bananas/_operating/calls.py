"""OperatingCalls: makes what carries out a client's operating calls, with the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional, Protocol

from ..operating import DeadLetterCounts
from .deployment import Deployment

if TYPE_CHECKING:
    from .changes import OperatingChanges
    from .doctor import Doctor
    from .reads import OperatingReads

__all__ = ["Clearing", "OperatingCalls"]


class Clearing(Protocol):
    """A requeue or purge of dead letters, page by page."""

    @property
    def counts(self) -> DeadLetterCounts:
        """What was done so far."""
        ...

    async def run(
        self, progress: Optional[Callable[[DeadLetterCounts], None]] = None
    ) -> DeadLetterCounts:
        """Go through all pages; ``progress`` is called after each."""
        ...

    async def advance(self) -> bool:
        """Do one page; return whether there may be more."""
        ...


class OperatingCalls:
    """Has what inspects, explains and repairs the queue of one client, each made when first used.

    Most programs never make such a call; to import what carries them out would take about as long
    as to import all the rest of the package.

    Args:
        deployment: What they work on.
        life: The client's, which a listing must not outlive.

    Attributes:
        deployment: As given.
    """

    def __init__(self, deployment: Deployment, life: object) -> None:
        self.deployment = deployment
        self._life = life
        self._reads: Optional[OperatingReads] = None
        self._changes: Optional[OperatingChanges] = None
        self._doctor: Optional[Doctor] = None

    @property
    def reads(self) -> OperatingReads:
        """What inspects and explains."""
        if self._reads is None:
            from .reads import OperatingReads

            self._reads = OperatingReads(self.deployment, self._life)
        return self._reads

    @property
    def changes(self) -> OperatingChanges:
        """What changes jobs."""
        if self._changes is None:
            from .changes import OperatingChanges

            self._changes = OperatingChanges(self.deployment)
        return self._changes

    @property
    def doctor(self) -> Doctor:
        """What audits the queue."""
        if self._doctor is None:
            from .doctor import Doctor

            self._doctor = Doctor(self.deployment)
        return self._doctor
