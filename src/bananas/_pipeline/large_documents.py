"""Chooses a second connection for large documents, so that they hold up no other request."""

from __future__ import annotations

from typing import Callable, Sequence

from .connection_owner import ConnectionOwner
from .transaction import Entry

__all__ = ["LARGE", "LargeDocuments"]

#: A document of more bytes is sent on the second connection: no server's limit on values can be
#: lower. Behind a reply of more bytes nothing is read that need not be.
LARGE = 1 << 20


class LargeDocuments:
    """The connection of all requests, and a second one, made when a large document needs it.

    The second one takes one request at a time. So neither a slow upload nor the server's limit on
    values reaches another request.

    Args:
        new_owner: Makes the owner of another connection, with these arguments.

    Attributes:
        main: The owner of the connection of all requests.
        owners: That one, and the other one if there is one.
    """

    def __init__(self, new_owner: Callable[..., ConnectionOwner]) -> None:
        self._new_owner = new_owner
        self._is_closed = False
        self.main = new_owner(on_progress=self._on_progress)
        self.owners = [self.main]

    def for_call(self, size: int = 0, *, writes: bool = False) -> ConnectionOwner:
        """Return the connection for a call; a read does not wait behind a long reply.

        Args:
            size: Bytes to be written, where they are many.
            writes: Whether it writes.
        """
        if size > LARGE or (self._is_held_up and not writes):
            return self._second()
        return self.main

    def for_submit(self, entries: Sequence[Entry], *, idempotent: bool) -> ConnectionOwner:
        """Return the connection for a submit.

        Args:
            entries: The jobs. One with a large document comes alone.
            idempotent: Whether they may have been sent before. The connection that has sent one
                of them is the only one that can make sure that it is not applied later.
        """
        is_large = len(entries) == 1 and len(entries[0].document) > LARGE
        owner = self._second() if is_large else self.main
        if idempotent and len(self.owners) > 1:
            job_ids = {entry.job_id for entry in entries}
            others = (other for other in self.owners if other is not owner)
            return next((other for other in others if other.may_yet_queue(job_ids)), owner)
        return owner

    def _second(self) -> ConnectionOwner:
        if len(self.owners) == 1 and not self._is_closed:
            self.owners.append(self._new_owner(most_requests=1))
        return self.owners[-1]

    @property
    def _is_held_up(self) -> bool:
        """Whether a long reply is on its way, behind which all else would have to wait."""
        return self.main.received > LARGE

    def _on_progress(self) -> None:
        """Have those reads sent on the second connection that would wait behind a long reply."""
        if self._is_held_up:
            for call in self.main.machine.pending.take_reads():
                self._second().ask(call)

    def let_go(self) -> None:
        """Begin to close: nothing new is taken, and what is under way fails."""
        self._is_closed = True
        for owner in self.owners:
            owner.let_go()
