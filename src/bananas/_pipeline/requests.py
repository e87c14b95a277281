"""What callers ask the pipeline for, and the error of each request that can't be carried out."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

from .. import exceptions as exc
from .._redis import Command, ReplyError
from .transaction import Entry

__all__ = ["SILENCE", "Call", "Callback", "NotQueued", "Request", "Submit"]

#: A connection is given up after this share of a request's time limit without a byte, so that
#: there is time left to find out, and to send again.
SILENCE = 0.4


class NotQueued:
    """The entries of one submit that were not queued; the others were.

    Attributes:
        rejected: Those that Redis refused, each with its reply.
        existing: Those whose job existed.
    """

    __slots__ = ("existing", "rejected")

    def __init__(self) -> None:
        self.rejected: List[Tuple[Entry, ReplyError]] = []
        self.existing: List[Entry] = []


class Callback:
    """Takes a future's place where a function is to be called in the same turn of the loop.

    Args:
        function: Called with the value, or None, and with the error, or None. It must not raise.
    """

    __slots__ = ("_done", "_function")

    def __init__(self, function: Callable[[Any, Optional[BaseException]], None]) -> None:
        self._function = function
        self._done = False

    def done(self) -> bool:
        """Whether the function was called."""
        return self._done

    def set_result(self, value: Any) -> None:
        """Call the function with a value."""
        self._done = True
        self._function(value, None)

    def set_exception(self, error: BaseException) -> None:
        """Call the function with an error."""
        self._done = True
        self._function(None, error)


class Request:
    """Something that a caller awaits.

    Attributes:
        future: Ends with what the caller is to get, or with what went wrong. A caller who has
            abandoned the request has cancelled it.
        deadline: When the caller must have been told.
        patience: Until when a request that was never sent waits for a connection.
        silence: For how many seconds a connection may be silent before it is given up.
        reason: Why the server has refused it, where the reason passes.
    """

    __slots__ = ("deadline", "future", "patience", "reason", "silence")

    def __init__(self, future: Any, now: float, timeout: float, connect_timeout: float) -> None:
        self.future = future
        self.deadline = now + timeout
        self.patience = now + (timeout if timeout < connect_timeout else connect_timeout)
        self.silence = SILENCE * timeout
        self.reason: Optional[ReplyError] = None

    def resolve(self, value: Any) -> None:
        """Give the caller what it asked for, if it still waits."""
        if not self.future.done():
            self.future.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Tell the caller what went wrong, if it still waits."""
        if not self.future.done():
            self.future.set_exception(error)

    # -- the errors ------------------------------------------------------------------------------

    def late(
        self, failure: Optional[exc.ConnectionError], *, may_be_applied: bool
    ) -> exc.BananasError:
        """Return the error of a request whose time is over.

        Args:
            failure: Why there is no connection, if there is none.
            may_be_applied: Whether it was sent, and what became of it is not known.
        """
        if self.reason is not None:
            return self.refused(self.reason)
        if failure is not None:
            return self.unsent(failure)
        return exc.TimeoutError("Redis did not answer in time")

    def refused(self, reply: ReplyError) -> exc.BananasError:
        """Return the error of a request that the server did not carry out."""
        return exc.ServerError(f"Redis refuses: {reply}", code=reply.code)

    def unsent(self, failure: exc.ConnectionError) -> exc.ConnectionError:
        """Return the error of a request for which no connection could be made."""
        return type(failure)(str(failure), permanent=failure.permanent)

    def closed(self, *, may_be_applied: bool) -> exc.ClientClosedError:
        """Return the error of a request that the closing of the client has ended."""
        return exc.ClientClosedError("the client was closed")


class Call(Request):
    """Commands that may be sent again: reads, and writes that are idempotent.

    Attributes:
        commands: The commands.
        size: Bytes to be written, where they are many.
        writes: Whether one that is still under way must not be applied after a repetition.
        impatient: Whether one failed connection attempt ends it.
    """

    __slots__ = ("commands", "impatient", "size", "writes")

    def __init__(
        self,
        future: Union[asyncio.Future[Any], Callback],
        now: float,
        timeout: float,
        connect_timeout: float,
        commands: Sequence[Command],
    ) -> None:
        Request.__init__(self, future, now, timeout, connect_timeout)
        self.commands = commands
        self.size = 0
        self.writes = False
        self.impatient = False


class Submit(Request):
    """Entries that must be applied once.

    Attributes:
        entries: The jobs; each names this request as its owner until it has an outcome.
        idempotent: Whether a job that exists is left alone.
        left: How many have no outcome yet.
        not_queued: What was not queued; None while there is nothing of the kind.
    """

    __slots__ = ("entries", "idempotent", "left", "not_queued")

    def __init__(
        self,
        future: Optional[asyncio.Future[Any]],
        now: float,
        timeout: float,
        connect_timeout: float,
        entries: Sequence[Entry],
        idempotent: bool,
    ) -> None:
        Request.__init__(self, future, now, timeout, connect_timeout)
        self.entries = entries
        self.idempotent = idempotent
        self.left = len(entries)
        self.not_queued: Optional[NotQueued] = None
        for entry in entries:
            entry.owner = self

    def settle(self, entry: Entry) -> None:
        """Give an entry its outcome: queued, unless it was noted as not queued before."""
        entry.owner = None
        self.left -= 1
        if not self.left and not self.future.done():
            self.future.set_result(self.not_queued)

    def reject(self, entry: Entry, reply: ReplyError) -> None:
        """Note that Redis refused an entry."""
        self._noted().rejected.append((entry, reply))
        self.settle(entry)

    def leave_alone(self, entry: Entry) -> None:
        """Note that the job of an entry existed."""
        self._noted().existing.append(entry)
        self.settle(entry)

    def _noted(self) -> NotQueued:
        if self.not_queued is None:
            self.not_queued = NotQueued()
        return self.not_queued

    # -- the errors ------------------------------------------------------------------------------

    def late(
        self, failure: Optional[exc.ConnectionError], *, may_be_applied: bool
    ) -> exc.BananasError:
        """Return the error of a submit whose time is over."""
        if may_be_applied:
            return exc.OutcomeUnknownError(
                f"{self._jobs_were()} sent, but the reply was lost: queued once or not at all; "
                "submitting again with the same job_id is safe",
                **self._ids(),
            )
        if self.reason is not None:
            return self.refused(self.reason)
        why = failure or "the connection was busy until the deadline"
        text = f"{self._jobs_were()} not sent, and nothing is queued: {why}"
        return exc.ConnectionError(text, **self._ids())

    def refused(self, reply: ReplyError) -> exc.BananasError:
        """Return the error of a submit that the server did not carry out until the deadline."""
        text = f"{self._jobs_were()} refused by Redis, and nothing is queued: {reply}"
        return exc.JobRejectedError(text, code=reply.code, **self._ids())

    def unsent(self, failure: exc.ConnectionError) -> exc.ConnectionError:
        """Return the error of a submit for which no connection could be made."""
        text = f"{self._jobs_were()} not sent: {failure}"
        return type(failure)(text, permanent=failure.permanent, **self._ids())

    def closed(self, *, may_be_applied: bool) -> exc.ClientClosedError:
        """Return the error of a submit that the closing of the client has ended."""
        jobs = self._jobs_were().rpartition(" ")[0]
        fate = "may or may not be queued" if may_be_applied else "not sent"
        return exc.ClientClosedError(f"the client was closed; {jobs}: {fate}", **self._ids())

    def _jobs_were(self) -> str:
        """Return the beginning of a sentence about those without an outcome."""
        ids: Sequence[str] = self._ids()["job_ids"]
        return f"job {ids[0]} was" if len(ids) == 1 else f"{len(ids)} jobs were"

    def _ids(self) -> Dict[str, Any]:
        ids = tuple(entry.job_id for entry in self.entries if entry.owner is self)
        return {"job_id": ids[0], "job_ids": ids}
