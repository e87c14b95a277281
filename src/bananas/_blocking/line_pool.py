"""A stack of blocking connections, on which plain submits go out in the caller's thread."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import Callable, Deque, List, Optional, Protocol, Sequence

from .. import exceptions as exc
from .._pipeline import LARGE, Entry, NotQueued, Outcomes, Submit, Transaction, is_passing
from .._redis import Command, LinkLost, NeedsLoop, NotReady, Reply, ReplyError, pack
from .blocking_connection import Line, NotSent
from .weak_members import WeakMembers

__all__ = ["LinePool", "LoopSide", "request_of"]

#: So many threads at a time submit by themselves; all others share the loop's connection.
_MOST = 8
#: A firewall may have forgotten a connection that has been idle for longer, in seconds.
_IDLE = 60.0
_SILENCE = 0.4
_MARKER = b"bananas"


class LoopSide(Protocol):
    """What the event loop does for the lines; the calls block."""

    def connect_loop(self) -> None:
        """Make sure of a connection, for as long as the server is not ready."""

    def submit_by_loop(self, entry: Entry, since: float) -> Optional[NotQueued]:
        """Submit what was not sent; its time has begun at ``since``."""

    def settle(self, entry: Entry, line: Line, since: float) -> Optional[NotQueued]:
        """Find out what became of what was sent on a line, and send it again if need be."""


class _Use:
    """What one call has of the lines; whatever a signal handler raises, the call drops it.

    Attributes:
        since: When the call has begun.
        line: The line that it has taken off the stack, or opened; None before and after.
        is_returning: Whether the line may be on the stack again.
    """

    __slots__ = ("__weakref__", "is_returning", "line", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.line: Optional[Line] = None
        self.is_returning = False


class LinePool:
    """Blocking connections, each used by one thread at a time, and then by the next.

    Who uses a line has taken it off the stack, in one atomic step, and puts it back in another. So
    a signal handler, or another thread, may come in between anywhere.

    Args:
        open_line: Makes a connected line, or raises ``exceptions.ConnectionError``.
        loop: What is out of the ordinary is for the loop.
        connect_timeout: How long a submit that was not sent waits for a connection, in seconds.
        submit_timeout: Limit of a submit, in seconds.

    Attributes:
        opened: How many lines were opened.
        lost: How many of them were found dead, or were given up.
        submits: How many submits they have carried.
    """

    def __init__(
        self,
        open_line: Callable[[], Line],
        loop: LoopSide,
        *,
        connect_timeout: float,
        submit_timeout: float,
    ) -> None:
        self._open_line = open_line
        self._loop = loop
        self._patience = min(connect_timeout, submit_timeout)
        self._submit_timeout = submit_timeout
        self._silence = _SILENCE * submit_timeout
        self._clock: Callable[[], float] = time.monotonic
        self._free: Deque[Line] = deque()
        #: Lines that are open, and calls that open one. One that nobody refers to has left it.
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
        """Close the lines; a submit that is under way on one ends as if the server had ended it."""
        self._is_closed = True
        self._close_free()
        for line in self._open.all():
            if isinstance(line, Line):
                line.shut_down()

    def _close_free(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                line = self._free.pop()
                self._open.discard(line)
                line.abort()

    def __del__(self) -> None:
        self._close_free()

    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        use = _Use(self._clock())
        try:
            if self._take(use):
                line, use.line = use.line, None
                assert line is not None
                self._free.append(line)
        except BaseException:
            self._drop(use)
            raise
        return self.open_lines > 0

    @property
    def open_lines(self) -> int:
        """How many lines are open."""
        return sum(isinstance(line, Line) for line in self._open.all())

    @property
    def in_use(self) -> int:
        """How many of them a call has."""
        return max(0, self.open_lines - len(self._free))

    # -- taking a line, and putting it back ------------------------------------------------------

    def _take(self, use: _Use) -> bool:
        """Take a line off the stack; return whether there is one that can be used."""
        free = self._free
        while free:
            try:
                use.line = free.pop()
            except IndexError:  # another thread was faster
                break
            if use.since - use.line.used_at >= _IDLE:
                self._drop(use)
            elif use.line.is_quiet:
                return True
            else:
                self.lost += 1
                self._drop(use)
        return False

    def _open_one(self, use: _Use) -> bool:
        """Open a line; return whether there is one now that can be used.

        Raises:
            exceptions.ConnectionError: It can't be opened.
        """
        self._open.add(use)
        try:
            if len(self._open) > _MOST or self._is_closed:
                return False
            use.line = self._open_line()
            self._open.add(use.line)
            self.opened += 1
        finally:
            self._open.discard(use)
        if use.line.no_transactions is None:
            return True
        self._drop(use)  # the loop says why
        return False

    def _put_back(self, use: _Use) -> None:
        line = use.line
        assert line is not None
        line.used_at = use.since
        if self._is_closed or line.has_leftovers:
            self._drop(use)
            return
        use.is_returning = True
        self._free.append(line)
        use.line = None
        use.is_returning = False
        self._close_oldest(use)

    def _close_oldest(self, use: _Use) -> None:
        """Close the line at the bottom if it is idle: it is used while many threads are busy."""
        free = self._free
        try:
            if use.since - free[0].used_at < _IDLE:
                return
            use.line = free.popleft()
        except IndexError:
            return  # other threads have taken them all
        if use.since - use.line.used_at >= _IDLE:
            self._drop(use)
        else:
            use.is_returning = True
            free.append(use.line)
            use.line = None

    def _drop(self, use: _Use) -> None:
        """Close the line of a call, if it has one that nobody else may have taken."""
        self._open.discard(use)
        line = use.line
        if line is None:
            return
        if use.is_returning:
            try:
                self._free.remove(line)
            except ValueError:
                return
        self._open.discard(line)
        line.abort()
        use.line = None

    # -- connecting ------------------------------------------------------------------------------

    def _connect(self, use: _Use) -> bool:
        """Have a line; return False where the loop may have better luck."""
        if self._take(use):
            assert use.line is not None
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
        try:
            replies = self._exchange(use, transaction.commands())
            outcomes = transaction.judge(replies)
            if outcomes is None:
                raise LinkLost("its replies are not those of a transaction")
            if not outcomes.is_clean:
                self._undo(use, outcomes)
        except NotSent:
            self.lost += 1
            self._drop(use)
            return self._loop.submit_by_loop(entry, use.since)
        except (LinkLost, TimeoutError):
            self.lost += 1
            line = use.line
            assert line is not None
            self._drop(use)
            return self._loop.settle(entry, line, use.since)
        self.submits += 1
        return self._conclude(use, entry, outcomes)

    def _opens(self, use: _Use, entry: Entry) -> bool:
        """Open a line for a submit; return False where that is for the loop.

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
        assert use.line is not None
        until = use.since + self._submit_timeout
        return use.line.exchange(pack(commands), len(commands), until, self._silence)

    def _undo(self, use: _Use, outcomes: Outcomes) -> None:
        """Take back what a refused job left, and make sure that no reply was slipped in.

        Nothing in an error says what it answers.

        Raises:
            LinkLost: One was, or not all is undone.
        """
        commands: List[Command] = [(b"DISCARD",)] if outcomes.in_transaction else []
        commands += [*outcomes.undo, (b"ECHO", _MARKER), (b"HELLO", 2)]
        *replies, echo, hello = self._exchange(use, commands)
        if not _is_in_order(echo, hello):
            raise LinkLost("it has an unexpected reply")
        if outcomes.undo and any(map(is_passing, replies)):
            raise LinkLost("what was refused could not be undone yet")

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
    """Return the request that a submit on a line would be for the loop."""
    return Submit(None, 0.0, 0.0, 0.0, (entry,), False)


def _is_in_order(echo: Reply, hello: Reply) -> bool:
    """Whether two replies are those to ECHO and to HELLO, which is answered in every state."""
    if isinstance(echo, ReplyError):
        if echo.code != "NOPERM" and not is_passing(echo):
            return False
    elif echo != _MARKER:
        return False
    if isinstance(hello, ReplyError):
        return hello.code in ("NOPERM", "ERR")
    return isinstance(hello, list) and hello[:1] == [b"server"]
