"""Every request that is not settled, and what has to be sent for it: pure state, no I/O."""

from __future__ import annotations

from collections import deque
from typing import Deque, Iterable, List, Optional, Sequence, Set, Tuple

from . import exceptions as exc
from ._batch import Entry, Transaction, Verdicts
from ._doubts import Doubt
from ._protocol import ReplyError
from ._redis import Command
from ._requests import Calls, Request, Submit, passing_refusal

__all__ = ["Batch", "Ledger"]

# A batch ends at the first of these. A larger one would hold Redis, and with it everybody, for
# longer without a better price per job.
_MOST_COMMANDS = 1000
_MOST_BYTES = 1 << 20


class Batch:
    """What goes out in one pipeline.

    Attributes:
        calls: Commands that may be sent again.
        transactions: Submits of jobs with ids of ours.
        exclusive: Submits of jobs that may exist.
        unwatch: Whether an UNWATCH goes before them.
        marker: What the ECHO after the calls repeats; None without one.
        is_checked: Whether the marker came back, so that no reply was slipped in.
        judged: The verdicts, once the replies are here.
    """

    __slots__ = ("calls", "exclusive", "is_checked", "judged", "marker", "transactions", "unwatch")

    def __init__(self) -> None:
        self.calls: List[Calls] = []
        self.exclusive: List[Entry] = []
        self.transactions: List[Transaction] = []
        self.unwatch: bool = False
        self.marker: Optional[bytes] = None
        self.is_checked: bool = False
        self.judged: List[Verdicts] = []

    def __bool__(self) -> bool:
        return bool(self.calls or self.exclusive or self.transactions)


class Ledger:
    """The auto-pipeline's books.

    Attributes:
        open: Requests without an outcome.
        doubts: Transactions whose reply was lost.
        undo: Commands that take back what a refused job left.
    """

    __slots__ = ("_again", "_exclusive_again", "_untold", "_waiting", "doubts", "open", "undo")

    def __init__(self) -> None:
        self.open: Set[Request] = set()
        self.doubts: List[Doubt] = []
        self.undo: List[Command] = []
        self._untold: List[Tuple[Entry, ReplyError]] = []
        self._waiting: Deque[Request] = deque()
        self._again: List[List[Entry]] = []
        self._exclusive_again: List[Entry] = []

    @property
    def has_work(self) -> bool:
        """Whether there is anything to be sent."""
        return bool(
            self._waiting or self._again or self._exclusive_again or self.doubts or self.undo
        )

    def add(self, request: Request) -> None:
        """Take a request in."""
        self.open.add(request)
        self._waiting.append(request)

    def take(self) -> Batch:
        """Return what goes out next, up to the size of a batch; at least one request."""
        batch = Batch()
        for group in self._again:
            alive = [entry for entry in group if not entry.owner.future.done()]
            if alive:
                batch.transactions.append(Transaction(alive))
        self._again.clear()
        exclusive, self._exclusive_again = self._exclusive_again, []
        entries: List[Entry] = []
        count = size = 0
        waiting = self._waiting
        while waiting and count < _MOST_COMMANDS and size < _MOST_BYTES:
            request = waiting.popleft()
            if request.future.done():
                self.open.discard(request)
            elif isinstance(request, Submit):
                (exclusive if request.exclusive else entries).extend(request.entries)
                count += request.left
                for entry in request.entries:
                    size += len(entry.document)
            else:
                assert isinstance(request, Calls)
                batch.calls.append(request)
                count += len(request.commands)
                size += request.size
        if entries:
            batch.transactions.append(Transaction(entries))
        if exclusive:
            batch.exclusive = [entry for entry in exclusive if not entry.owner.future.done()]
        return batch

    # -- what became of it -----------------------------------------------------------------------

    def resolve(self, request: Request, value: object) -> None:
        """Give a caller what it asked for."""
        self.open.discard(request)
        request.resolve(value)

    def fail(self, request: Request, error: BaseException) -> None:
        """Tell a caller what went wrong."""
        self.open.discard(request)
        request.fail(error)

    def settle(self, entry: Entry) -> None:
        """Give an entry its verdict: whatever is not noted in its owner's outcome is queued."""
        request: Submit = entry.owner
        entry.owner = None
        request.left -= 1
        if not request.left:
            self.resolve(request, request.outcome)

    def note_existing(self, entries: Iterable[Entry]) -> None:
        """Settle entries whose job existed."""
        for entry in entries:
            entry.owner.noted().existing.append(entry)
            self.settle(entry)

    def hand_out(self, verdicts: Verdicts, *, exclusive: bool = False) -> Optional[ReplyError]:
        """Carry verdicts out; return why nothing was applied, if it passes."""
        settle = self.settle
        for entry in verdicts.applied:
            settle(entry)
        if verdicts.undo:
            # They are told once nothing is left behind, or at their deadline.
            self.undo.extend(verdicts.undo)
            self._untold.extend(verdicts.rejected)
            for entry, reply in verdicts.rejected:
                entry.owner.reason = reply
                entry.owner.doubtful = False
        else:
            self._reject(verdicts.rejected)
        for group in verdicts.again:
            self.submit_again(group, verdicts.transient, exclusive=exclusive)
        return verdicts.transient

    def undone(self, count: int) -> None:
        """Tell those whose leftovers the first ``count`` commands have taken back."""
        del self.undo[:count]
        if not self.undo:
            untold, self._untold = self._untold, []
            self._reject(untold)

    def _reject(self, rejected: Iterable[Tuple[Entry, ReplyError]]) -> None:
        for entry, reply in rejected:
            if entry.owner is not None:
                entry.owner.noted().rejected.append((entry, reply))
                self.settle(entry)

    def submit_again(
        self, entries: Sequence[Entry], reason: Optional[ReplyError] = None, *, exclusive: bool
    ) -> None:
        """Have entries sent with the next batch, where nothing of them was applied."""
        for entry in entries:
            entry.owner.doubtful = False
            entry.owner.reason = reason
        if exclusive:
            self._exclusive_again.extend(entries)
        else:
            self._again.append(list(entries))

    def call_again(self, calls: Sequence[Calls]) -> None:
        """Have commands sent with the next batch, before all that waits."""
        self._waiting.extendleft(reversed(calls))

    def doubt(self, doubt: Doubt) -> None:
        """Remember that the reply to a transaction was lost."""
        for entry in doubt.entries:
            entry.owner.doubtful = True
        self.doubts.append(doubt)

    # -- time ------------------------------------------------------------------------------------

    def forget_abandoned(self) -> None:
        """Let go of requests that nobody awaits; where none is left, of all that is to be sent."""
        self.open = {request for request in self.open if not request.future.done()}
        if not self.open:
            self._waiting.clear()
            self._again.clear()
            self._exclusive_again.clear()
            self.doubts.clear()

    def expire(
        self,
        now: float,
        failure: Optional[exc.ConnectionError],
        refusal: Optional[ReplyError],
        *,
        connected: bool,
        patient_until: float,
    ) -> Optional[float]:
        """Fail what is late; return when to look again, or None where nothing is open.

        Args:
            now: The loop's time.
            failure: Why the last connection attempt failed, if it did.
            refusal: What a server that is not ready has said, if that is why nothing was sent.
            connected: Whether there is a connection.
            patient_until: Until when a connection that was lost may be replaced.
        """
        soonest: Optional[float] = None
        for request in list(self.open):
            if request.future.done():
                self.open.discard(request)
                continue
            limit = request.deadline
            if refusal is not None and request.reason is None and not request.impatient:
                request.reason = refusal
            if not (connected or request.may_be_applied or request.reason):
                # It was never sent: no use in waiting to the end.
                limit = min(limit, max(request.patience, patient_until))
            if now >= limit:
                self.fail(request, request.late(failure, connected=connected))
            elif soonest is None or limit < soonest:
                soonest = limit
        return soonest

    def connection_refused(self, failure: exc.ConnectionError) -> None:
        """Fail those who would wait in vain, and those who asked for one attempt only."""
        for request in list(self.open):
            if failure.permanent or (request.impatient and passing_refusal(failure) is None):
                self.fail(request, request.unsent(failure))

    def close(self) -> None:
        """Fail all that is open."""
        for request in list(self.open):
            self.fail(request, request.closed())

    def fail_all(self, error: exc.BananasError) -> None:
        """Fail all that is open for a reason that is nobody's."""
        for request in list(self.open):
            self.fail(request, error)
