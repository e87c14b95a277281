"""A stack of blocking connections, on which plain submits go out in the caller's thread."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import Callable, Deque, List, Optional, Protocol, Sequence

from .. import exceptions as exc
from .._pipeline import LARGE, Entry, NotQueued, Outcomes, Submit, Transaction
from .._redis import Command, LinkLost, NeedsLoop, NotReady, Reply, pack
from .blocking_connection import BlockingConnection, NotSent
from .refusals import check_undone, undoing
from .weak_members import WeakMembers

__all__ = ["ConnectionPool", "LoopSide", "request_of"]

#: So many threads at a time submit by themselves; all others share the loop's connection.
_MOST = 8
#: A firewall may have forgotten a connection that has been idle for longer, in seconds.
_IDLE = 60.0
_SILENCE = 0.4


class LoopSide(Protocol):
    """What the event loop does for the pool; the calls block."""

    def connect_loop(self) -> None:
        """Make sure of a connection, for as long as the server is not ready."""

    def submit_by_loop(self, entry: Entry, since: float) -> Optional[NotQueued]:
        """Submit what was not sent; its time has begun at ``since``."""

    def settle(
        self, entry: Entry, connection: BlockingConnection, since: float
    ) -> Optional[NotQueued]:
        """Find out what became of what was sent on the connection; send it again if need be."""


class _Use:
    """What one call has of the pool; whatever a signal handler raises, the call drops it.

    Attributes:
        since: When the call has begun.
        connection: What it has taken off the stack, or opened; None before and after.
        is_returning: Whether the connection may be on the stack again.
    """

    __slots__ = ("__weakref__", "connection", "is_returning", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.connection: Optional[BlockingConnection] = None
        self.is_returning = False


class ConnectionPool:
    """Blocking connections, each used by one thread at a time, and then by the next.

    Who uses one has taken it off the stack, in one atomic step, and puts it back in another. So a
    signal handler, or another thread, may come in between anywhere.

    Args:
        open_connection: Makes a connection, or raises ``exceptions.ConnectionError``.
        loop: What is out of the ordinary is for the loop.
        connect_timeout: How long a submit that was not sent waits for a connection, in seconds.
        submit_timeout: Limit of a submit, in seconds.

    Attributes:
        opened: How many connections were opened.
        lost: How many of them were found dead, or were given up.
        submits: How many submits they have carried.
    """

    def __init__(
        self,
        open_connection: Callable[[], BlockingConnection],
        loop: LoopSide,
        *,
        connect_timeout: float,
        submit_timeout: float,
    ) -> None:
        self._open_connection = open_connection
        self._loop = loop
        self._patience = min(connect_timeout, submit_timeout)
        self._submit_timeout = submit_timeout
        self._silence = _SILENCE * submit_timeout
        self._clock: Callable[[], float] = time.monotonic
        self._free: Deque[BlockingConnection] = deque()
        #: What is open, and calls that open one. What nobody refers to has left it.
        self._open = WeakMembers()
        self._is_closed = False
        self.opened = 0
        self.lost = 0
        self.submits = 0

    # -- what callers use ------------------------------------------------------------------------

    async def start_submit(
        self, entries: Sequence[Entry], *, idempotent: bool = False
    ) -> Optional[NotQueued]:
        """Queue one job once; never suspends.

        Args:
            entries: The job; nobody else has its id.
            idempotent: False.

        Returns:
            That Redis refused the job, if it did; else None.

        Raises:
            exceptions.ConnectionError: No connection could be made, and nothing was sent.
            exceptions.OutcomeUnknownError: What became of it can't be found out in time.
        """
        assert not idempotent
        (entry,) = entries
        use = _Use(self._clock())
        try:
            return self._submit(use, entry)
        except BaseException:
            self._drop(use)
            raise

    def connect(self) -> None:
        """Make sure of a connection, with one attempt; more while the server is busy or loading.

        Raises:
            exceptions.ConnectionError: No connection can be made.
        """
        use = _Use(self._clock())
        try:
            if self._connect(use):
                return
        except BaseException:
            self._drop(use)
            raise
        self._loop.connect_loop()

    def close(self) -> None:
        """Close all; a submit that is under way ends as if the server had ended its connection."""
        self._is_closed = True
        self._close_free()
        for connection in self._open.all():
            if isinstance(connection, BlockingConnection):
                connection.shut_down()

    def _close_free(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                connection = self._free.pop()
                self._open.discard(connection)
                connection.abort()

    def __del__(self) -> None:
        if hasattr(self, "_free"):  # an interrupt may have come before
            self._close_free()

    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        use = _Use(self._clock())
        try:
            if self._take(use):
                connection, use.connection = use.connection, None
                assert connection is not None
                self._free.append(connection)
        except BaseException:
            self._drop(use)
            raise
        return self.open_connections > 0

    @property
    def open_connections(self) -> int:
        """How many connections are open."""
        return sum(isinstance(connection, BlockingConnection) for connection in self._open.all())

    @property
    def in_use(self) -> int:
        """How many of them a call has."""
        return max(0, self.open_connections - len(self._free))

    # -- taking a connection, and putting it back ------------------------------------------------

    def _take(self, use: _Use) -> bool:
        """Take a connection off the stack; return whether there is one that can be used."""
        free = self._free
        while free:
            try:
                use.connection = free.pop()
            except IndexError:  # another thread was faster
                break
            if use.since - use.connection.used_at >= _IDLE:
                self._drop(use)
            elif use.connection.is_quiet:
                return True
            else:
                self.lost += 1
                self._drop(use)
        return False

    def _open_one(self, use: _Use) -> bool:
        """Open a connection; return whether there is one now that can be used.

        Raises:
            exceptions.ConnectionError: It can't be opened.
        """
        self._open.add(use)
        try:
            if len(self._open) > _MOST or self._is_closed:
                return False
            use.connection = self._open_connection()
            self._open.add(use.connection)
            self.opened += 1
        finally:
            self._open.discard(use)
        if use.connection.no_transactions is None:
            return True
        self._drop(use)  # the loop says why
        return False

    def _put_back(self, use: _Use) -> None:
        connection = use.connection
        assert connection is not None
        connection.used_at = use.since
        if self._is_closed:
            self._drop(use)
            return
        use.is_returning = True
        self._free.append(connection)
        use.connection = None
        use.is_returning = False
        self._close_oldest(use)

    def _close_oldest(self, use: _Use) -> None:
        """Close the bottom one if it is idle: it is used while many threads are busy."""
        free = self._free
        try:
            if use.since - free[0].used_at < _IDLE:
                return
            use.connection = free.popleft()
        except IndexError:
            return  # other threads have taken them all
        if use.since - use.connection.used_at >= _IDLE:
            self._drop(use)
        else:
            use.is_returning = True
            free.append(use.connection)
            use.connection = None

    def _drop(self, use: _Use) -> None:
        """Close the connection of a call, if it has one that nobody else may have taken."""
        self._open.discard(use)
        connection = use.connection
        if connection is None:
            return
        if use.is_returning:
            try:
                self._free.remove(connection)
            except ValueError:
                return
        self._open.discard(connection)
        connection.abort()
        use.connection = None

    # -- connecting ------------------------------------------------------------------------------

    def _connect(self, use: _Use) -> bool:
        """Make sure of a connection; return False where only the loop can go on trying."""
        if self._take(use):
            assert use.connection is not None
            try:
                self._exchange(use, [(b"PING",)])
            except (NotSent, LinkLost, TimeoutError):
                self.lost += 1
                self._drop(use)
            else:
                self._put_back(use)
                return True
        failure: Optional[exc.ConnectionError] = None
        try:
            if not self._open_one(use):
                return False
        except exc.ConnectionError as error:
            if isinstance(error.__cause__, (NotReady, NeedsLoop)):
                return False
            failure = error
        if failure is not None:  # not in the handler: what it was about there concerns nobody
            raise type(failure)(str(failure), permanent=failure.permanent)
        self._put_back(use)
        return True

    # -- submitting ------------------------------------------------------------------------------

    def _submit(self, use: _Use, entry: Entry) -> Optional[NotQueued]:
        if len(entry.document) > LARGE or not (self._take(use) or self._opens(use, entry)):
            return self._loop.submit_by_loop(entry, use.since)
        transaction = Transaction((entry,))
        outcomes: Optional[Outcomes] = None
        was_sent = True
        try:
            replies = self._exchange(use, transaction.commands())
            outcomes = transaction.judge(replies)
            if outcomes is not None and not outcomes.is_clean:
                self._undo(use, outcomes)
        except (NotSent, LinkLost, TimeoutError) as error:
            outcomes, was_sent = None, not isinstance(error, NotSent)
        if outcomes is None:  # not in the handler: what it was about there concerns nobody
            return self._leave_to_loop(use, entry, was_sent)
        self.submits += 1
        return self._conclude(use, entry, outcomes)

    def _leave_to_loop(self, use: _Use, entry: Entry, was_sent: bool) -> Optional[NotQueued]:
        """Give up the connection; the loop submits, or finds out what became of what was sent."""
        self.lost += 1
        connection = use.connection
        assert connection is not None
        self._drop(use)
        if was_sent:
            return self._loop.settle(entry, connection, use.since)
        return self._loop.submit_by_loop(entry, use.since)

    def _opens(self, use: _Use, entry: Entry) -> bool:
        """Open a connection for a submit; return False where that is for the loop.

        Raises:
            exceptions.ConnectionError: No connection can be made, by the loop either.
        """
        try:
            return self._open_one(use)
        except exc.ConnectionError as error:
            failure = error
        is_over = self._clock() >= use.since + self._patience
        if failure.permanent or is_over:
            raise request_of(entry).unsent(failure)
        return False

    def _exchange(self, use: _Use, commands: Sequence[Command]) -> List[Reply]:
        assert use.connection is not None
        until = use.since + self._submit_timeout
        return use.connection.exchange(pack(commands), len(commands), until, self._silence)

    def _undo(self, use: _Use, outcomes: Outcomes) -> None:
        """Take back what a refused job left, and make sure that no reply was an unexpected one.

        An error does not tell which command it answers.

        Raises:
            LinkLost: There was one, or not all is undone.
        """
        try:
            replies = self._exchange(use, undoing(outcomes))
        except NotSent as error:  # what came before was
            raise LinkLost(str(error)) from None
        check_undone(replies, outcomes)

    def _conclude(self, use: _Use, entry: Entry, outcomes: Outcomes) -> Optional[NotQueued]:
        if outcomes.again:
            # A server that is not ready, or no primary any more: the loop tries until it is.
            self._drop(use)
            return self._loop.submit_by_loop(entry, use.since)
        if outcomes.in_transaction:
            self._drop(use)
        else:
            self._put_back(use)
        return _not_queued(outcomes)


def _not_queued(outcomes: Outcomes) -> Optional[NotQueued]:
    """Return what Redis refused, if it refused anything."""
    if not outcomes.rejected:
        return None
    found = NotQueued()
    found.rejected.extend(outcomes.rejected)
    return found


def request_of(entry: Entry) -> Submit:
    """Return the request that a submit on a blocking connection would be for the loop."""
    return Submit(None, 0.0, 0.0, 0.0, (entry,), False)
