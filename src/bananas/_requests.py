"""What callers hand to the auto-pipeline, and what each is told when it can't be carried out."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, List, Optional, Sequence, Tuple, Union

from . import exceptions as exc
from ._batch import Entry
from ._introduction import NotReady
from ._protocol import ReplyError
from ._redis import Command

__all__ = ["Callback", "Calls", "Outcome", "Request", "Submit", "passing_refusal"]


def passing_refusal(failure: Optional[exc.ConnectionError]) -> Optional[ReplyError]:
    """Return the reply that a connection was refused with, where it passes."""
    cause = None if failure is None else failure.__cause__
    return cause.reply if isinstance(cause, NotReady) else None


class Outcome:
    """What became of the entries of one submit that were not queued; the others were."""

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
        future: Resolved with what the caller is to get, or with what went wrong; or a callback.
        deadline: When the caller must have been told, in the loop's time.
        patience: When a request that was never sent no longer waits for a connection.
        impatient: Whether one failed connection attempt is enough to give it up.
        reason: Why the server did not carry it out, if it may yet.
    """

    __slots__ = ("deadline", "future", "impatient", "patience", "reason")

    def __init__(
        self, future: Union[asyncio.Future[Any], Callback], deadline: float, patience: float
    ) -> None:
        self.future: Any = future
        self.deadline: float = deadline
        self.patience: float = patience
        self.impatient: bool = False
        self.reason: Optional[ReplyError] = None

    def resolve(self, value: Any) -> None:
        """Give the caller what it asked for, if it still waits."""
        if not self.future.done():
            self.future.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Tell the caller what went wrong, if it still waits."""
        if not self.future.done():
            self.future.set_exception(error)

    @property
    def may_be_applied(self) -> bool:
        """Whether it was sent, and what became of it is not known."""
        return False

    def late(self, failure: Optional[exc.ConnectionError], *, connected: bool) -> exc.BananasError:
        """Return the error of a request whose time is over."""
        if self.reason is not None:
            return self.refused(self.reason)
        if failure is not None and not connected:
            return self.unsent(failure)
        return exc.TimeoutError("Redis did not answer in time")

    def refused(self, reply: ReplyError) -> exc.BananasError:
        """Return the error of a request that the server did not carry out."""
        return exc.ServerError(f"Redis refuses: {reply}", code=reply.code)

    def unsent(self, failure: exc.ConnectionError) -> exc.BananasError:
        """Return the error of a request for which no connection could be made."""
        return type(failure)(str(failure), permanent=failure.permanent)

    def closed(self) -> exc.ClientClosedError:
        """Return the error of a request that the closing of the client has ended."""
        return exc.ClientClosedError("the client was closed")


class Calls(Request):
    """Commands that may be sent again: reads, and writes that are idempotent.

    Attributes:
        commands: The commands.
        size: Bytes to be written, where they are many.
        writes: Whether one that is still under way must not be applied after a repetition.
    """

    __slots__ = ("commands", "size", "writes")

    def __init__(
        self,
        future: Union[asyncio.Future[Any], Callback],
        deadline: float,
        patience: float,
        commands: Sequence[Command],
        size: int,
        writes: bool,
    ) -> None:
        super().__init__(future, deadline, patience)
        self.commands = commands
        self.size = size
        self.writes = writes


class Submit(Request):
    """Entries that must be applied once.

    Attributes:
        entries: The jobs; each names this request as its owner until it has its verdict.
        exclusive: Whether a job that exists is left alone.
        left: How many have no verdict yet.
        outcome: What was not queued; None while there is nothing of the kind.
        in_flight: Whether its entries are part of a transaction that has no reply yet.
        doubtful: Whether the reply was lost.
    """

    __slots__ = ("doubtful", "entries", "exclusive", "in_flight", "left", "outcome")

    def __init__(
        self,
        future: asyncio.Future[Any],
        deadline: float,
        patience: float,
        entries: Sequence[Entry],
        exclusive: bool,
    ) -> None:
        super().__init__(future, deadline, patience)
        self.exclusive: bool = exclusive
        self.entries: Sequence[Entry] = entries
        self.left: int = len(entries)
        self.outcome: Optional[Outcome] = None
        self.in_flight: bool = False
        self.doubtful: bool = False
        for entry in entries:
            entry.owner = self

    def noted(self) -> Outcome:
        """Return the outcome, to note in it what was not queued."""
        if self.outcome is None:
            self.outcome = Outcome()
        return self.outcome

    @property
    def may_be_applied(self) -> bool:
        """Whether it was sent, and what became of it is not known."""
        return self.doubtful or self.in_flight

    def late(self, failure: Optional[exc.ConnectionError], *, connected: bool) -> exc.BananasError:
        """Return the error of a submit whose time is over."""
        if self.may_be_applied:
            return self.unknown()
        if self.reason is not None:
            return self.refused(self.reason)
        why = str(failure) if failure else "the connection was busy until the deadline"
        ids = self._open_ids()
        return exc.ConnectionError(
            f"{_named(ids)} not sent, and nothing is queued: {why}", job_id=ids[0], job_ids=ids
        )

    def unknown(self) -> exc.OutcomeUnknownError:
        """Return the error of a submit whose outcome can't be found out."""
        ids = self._open_ids()
        return exc.OutcomeUnknownError(
            f"{_named(ids)} sent, but the reply was lost: queued once or not at all; "
            "submitting again with the same job_id is safe",
            job_id=ids[0],
            job_ids=ids,
        )

    def refused(self, reply: ReplyError) -> exc.BananasError:
        """Return the error of a submit that the server did not carry out until the deadline."""
        ids = self._open_ids()
        return exc.JobRejectedError(
            f"{_named(ids)} refused by Redis, and nothing is queued: {reply}",
            job_id=ids[0],
            job_ids=ids,
            code=reply.code,
        )

    def unsent(self, failure: exc.ConnectionError) -> exc.BananasError:
        """Return the error of a submit for which no connection could be made."""
        if self.may_be_applied:
            return self.unknown()
        ids = self._open_ids()
        return type(failure)(
            f"{_named(ids)} not sent: {failure}",
            job_id=ids[0],
            job_ids=ids,
            permanent=failure.permanent,
        )

    def closed(self) -> exc.ClientClosedError:
        """Return the error of a submit that the closing of the client has ended."""
        ids = self._open_ids()
        subject = f"job {ids[0]}" if len(ids) == 1 else f"{len(ids)} jobs"
        fate = "may or may not be queued" if self.may_be_applied else "not sent"
        return exc.ClientClosedError(
            f"the client was closed; {subject}: {fate}", job_id=ids[0], job_ids=ids
        )

    def _open_ids(self) -> Tuple[str, ...]:
        return tuple(entry.job_id for entry in self.entries if entry.owner is self)


def _named(ids: Sequence[str]) -> str:
    return f"job {ids[0]} was" if len(ids) == 1 else f"{len(ids)} jobs were"
