"""OperatingCalls: makes what carries out a client's operating calls, with the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional, Protocol

from .._pipeline import AutoPipeline
from .._waits import Waits
from .._wire import Keys
from ..operating import DeadLetterCounts
from .connection import OperatingConnection

if TYPE_CHECKING:
    from .changes import OperatingChanges
    from .doctor import Doctor
    from .reads import OperatingReads

__all__ = ["Clearing", "OperatingCalls"]


class Clearing(Protocol):
    """A requeue or purge of dead letters, page by page.

    Attributes:
        counts: What was done so far.
    """

    counts: DeadLetterCounts

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
        connection: Carries the commands.
        pipeline: Carries reads of one job.
        waits: Knows of each awaited job.
        keys: The names of everything.
        routing_key: The client's own route; None for the flat lists.
        failure_ttl: Seconds that the result of a job is kept that one of the calls ends.
    """

    def __init__(
        self,
        connection: OperatingConnection,
        pipeline: AutoPipeline,
        waits: Waits,
        keys: Keys,
        *,
        routing_key: Optional[str],
        failure_ttl: int,
    ) -> None:
        self._connection = connection
        self._pipeline = pipeline
        self._waits = waits
        self._keys = keys
        self._routing_key = routing_key
        self._failure_ttl = failure_ttl
        self._reads: Optional[OperatingReads] = None
        self._changes: Optional[OperatingChanges] = None
        self._doctor: Optional[Doctor] = None
        #: The client's life, which a listing must not outlive.
        self.life: object = None

    @property
    def reads(self) -> OperatingReads:
        """What inspects and explains."""
        if self._reads is None:
            from .reads import OperatingReads

            self._reads = OperatingReads(
                self._connection,
                self._pipeline,
                self._waits,
                self._keys,
                routing_key=self._routing_key,
            )
            self._reads.life = self.life
        return self._reads

    @property
    def changes(self) -> OperatingChanges:
        """What changes jobs."""
        if self._changes is None:
            from .changes import OperatingChanges

            self._changes = OperatingChanges(
                self._connection,
                self._keys,
                routing_key=self._routing_key,
                failure_ttl=self._failure_ttl,
            )
        return self._changes

    @property
    def doctor(self) -> Doctor:
        """What audits the queue."""
        if self._doctor is None:
            from .doctor import Doctor

            self._doctor = Doctor(
                self._connection,
                self._keys,
                routing_key=self._routing_key,
                failure_ttl=self._failure_ttl,
            )
        return self._doctor
