"""Chooses other connections where large documents would hold up other requests."""

from __future__ import annotations

from typing import Callable, List, Sequence

from .connection_owner import ConnectionOwner
from .transaction import Entry

__all__ = ["LARGE", "LargeDocuments"]

#: A document of more bytes is sent on a connection of its own: no server's limit on values can be
#: lower.
LARGE = 1 << 20
# So many connections are there for all else. More are of use only while each has a long reply.
_MOST = 3


class LargeDocuments:
    """The connection of all requests, and others, made when a large document needs them.

    One is for uploads, and takes one request at a time. So neither a slow upload nor the server's
    limit on values reaches another request. Beside a slow download there is another connection for
    all that would have to wait behind it.

    Args:
        new_owner: Makes the owner of another connection, with these arguments.

    Attributes:
        main: The owner of the connection of all requests.
        owners: All owners.
    """

    def __init__(self, new_owner: Callable[..., ConnectionOwner]) -> None:
        self._new_owner = new_owner
        self._is_closed = False
        self.main = new_owner(on_progress=self._on_progress)
        self._for_all_else = [self.main]
        self._for_uploads: List[ConnectionOwner] = []

    @property
    def owners(self) -> Sequence[ConnectionOwner]:
        return [*self._for_all_else, *self._for_uploads]

    def for_call(self, size: int = 0, *, writes: bool = False) -> ConnectionOwner:
        """Return the connection for a call; a read does not wait behind a long reply.

        Args:
            size: Bytes to be written, where they are many.
            writes: Whether it writes. The connection that has sent it is the only one that can make
                sure that it is not applied after its repetition.
        """
        if size > LARGE:
            return self._for_an_upload()
        return self.main if writes else self.not_held_up()

    def for_submit(self, entries: Sequence[Entry], *, idempotent: bool) -> ConnectionOwner:
        """Return the connection for a submit.

        Args:
            entries: The jobs. One with a large document comes alone.
            idempotent: Whether they may have been sent before. The connection that has sent one
                of them is the only one that can make sure that it is not applied later.
        """
        is_large = len(entries) == 1 and len(entries[0].document) > LARGE
        owner = self._for_an_upload() if is_large else self.not_held_up()
        if idempotent and len(self.owners) > 1:
            job_ids = {entry.job_id for entry in entries}
            return next((one for one in self.owners if one.may_yet_queue(job_ids)), owner)
        return owner

    def not_held_up(self) -> ConnectionOwner:
        """Return a connection that nobody has to wait on behind a long reply."""
        for owner in self._for_all_else:
            if not owner.is_held_up:
                return owner
        if len(self._for_all_else) < _MOST and not self._is_closed:
            self._for_all_else.append(self._new_owner(on_progress=self._on_progress))
        return self._for_all_else[-1]

    def _for_an_upload(self) -> ConnectionOwner:
        if not self._for_uploads:
            if self._is_closed:
                return self.main
            self._for_uploads.append(self._new_owner(most_requests=1))
        return self._for_uploads[0]

    def _on_progress(self, owner: ConnectionOwner) -> None:
        """Have that sent on another connection which would wait behind a long reply."""
        if owner.is_held_up and not self._is_closed:
            for request in owner.take_waiting():
                self.not_held_up().ask(request)

    def let_go(self) -> None:
        """Begin to close: nothing new is taken, and what is under way fails."""
        self._is_closed = True
        for owner in self.owners:
            owner.let_go()
