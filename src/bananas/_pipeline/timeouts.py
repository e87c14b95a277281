"""Ends requests whose time is over, and says why they were not carried out."""

from __future__ import annotations

from typing import Optional

from .. import exceptions as exc
from .._redis import ReplyError
from .batch import Batch
from .deadline_heap import NEVER
from .pending_requests import PendingRequests
from .requests import Call

__all__ = ["Timeouts"]

_LOST = exc.ConnectionError("the connection to Redis was lost, and there is no other yet")


class Timeouts:
    """Ends requests that are late, with the reason: no connection, say, or a refusal of all.

    Args:
        pending: The requests.
        connect_timeout: For how many seconds a request that was never sent waits for a connection.
        no_connection: What to say where it has waited for so long, and no attempt has failed.

    Attributes:
        failure: Why there is no connection, if there is none.
        refusal: Why the server refuses everybody, if it does.
    """

    def __init__(
        self,
        pending: PendingRequests,
        connect_timeout: float,
        no_connection: exc.ConnectionError,
    ) -> None:
        self._pending = pending
        self._connect_timeout = connect_timeout
        self._no_connection = no_connection
        self._patient_until = -NEVER
        self.failure: Optional[exc.ConnectionError] = no_connection
        self.refusal: Optional[ReplyError] = None

    def connection_lost(self, now: float) -> None:
        """Let those who were never sent wait for another connection, from now on."""
        self.failure = self._no_connection
        self._patient_until = now + self._connect_timeout

    def connection_failed(
        self, failure: exc.ConnectionError, refusal: Optional[ReplyError]
    ) -> None:
        """End those who asked for one attempt only, or all where another one is pointless.

        Where the server refuses for a reason that passes, there is more than one attempt.
        """
        self.failure, self.refusal = failure, refusal
        if failure.permanent:
            unknown = self._pending.of_unknown_outcome(None)
            for request in self._pending.deadlines:
                if request in unknown:
                    request.fail(request.late(None, may_be_applied=True))
                else:
                    request.fail(request.unsent(failure))
            return
        for request in self._pending.waiting:
            if refusal is not None:
                request.reason = refusal
            elif request.__class__ is Call and request.impatient:
                request.fail(request.unsent(failure))

    def end_late(self, now: float, on_its_way: Optional[Batch]) -> None:
        """End those whose deadline is over, or who were never sent and have waited long enough.

        Args:
            now: The time.
            on_its_way: The batch that has no replies yet.
        """
        late = self._pending.deadlines.take_late(now)
        unknown = self._pending.of_unknown_outcome(on_its_way) if late else ()
        failure = self.failure
        if failure is self._no_connection and now < self._patient_until:
            failure = _LOST  # the server has had less time to answer than the other error says
        for request in late:
            request.reason = request.reason or self.refusal
            request.fail(request.late(failure, may_be_applied=request in unknown))
        while self.patience() <= now:
            request = self._pending.waiting.popleft()
            request.fail(request.late(self.failure, may_be_applied=False))

    def patience(self) -> float:
        """Return until when the next that was never sent waits for a connection."""
        waiting = self._pending.waiting
        if self.failure is None or self.refusal is not None:  # the server will be ready
            return NEVER
        while waiting and waiting[0].future.done():
            waiting.popleft()
        if not waiting or waiting[0].reason is not None:
            return NEVER
        return max(waiting[0].patience, self._patient_until)
