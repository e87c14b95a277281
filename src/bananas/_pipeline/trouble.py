"""Why nothing can be carried out for now, and whose time is over meanwhile."""

from __future__ import annotations

from typing import Optional

from .. import exceptions as exc
from .._redis import ReplyError
from .batch import Batch
from .pending import PendingRequests
from .schedule import NEVER

__all__ = ["Trouble"]


class Trouble:
    """Why there is no connection, or why the server refuses everybody.

    Args:
        connect_timeout: For how many seconds a request that was never sent waits for a connection.
        no_connection: What to say where it has waited for so long, and no attempt has failed.

    Attributes:
        refusal: Why the server refuses everybody, if it does.
    """

    __slots__ = ("_connect_timeout", "_failure", "_no_connection", "_patient_until", "refusal")

    def __init__(self, connect_timeout: float, no_connection: exc.ConnectionError) -> None:
        self._connect_timeout = connect_timeout
        self._no_connection = no_connection
        self._patient_until = -NEVER
        self._failure: Optional[exc.ConnectionError] = None
        self.refusal: Optional[ReplyError] = None

    def connected(self) -> None:
        """There is a connection."""
        self._failure = None

    def failed(self, failure: exc.ConnectionError, refusal: Optional[ReplyError]) -> None:
        """No connection could be made."""
        self._failure = failure
        self.refusal = refusal

    def lost(self, now: float) -> None:
        """The connection was lost: those who were never sent wait for another one, from now on."""
        self._patient_until = now + self._connect_timeout

    def end_late(
        self, pending: PendingRequests, batch: Optional[Batch], now: float, *, is_connected: bool
    ) -> None:
        """End the requests whose time is over.

        Args:
            pending: The requests.
            batch: What is on its way.
            now: The time.
            is_connected: Whether there is a connection.
        """
        failure = None if is_connected else self._failure or self._no_connection
        pending.fail_late(now, batch, failure, self.refusal)
        if failure is not None and self.refusal is None:  # else the server will be ready
            pending.fail_impatient(now, self._patient_until, failure)

    def patience(self, pending: PendingRequests, *, is_connected: bool) -> Optional[float]:
        """Return until when those that were never sent wait for a connection, if there is none."""
        if is_connected or self.refusal is not None:
            return None
        return pending.patience(self._patient_until)
