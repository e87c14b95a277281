"""Every request without an outcome, and what is still to be sent for it."""

from __future__ import annotations

from collections import deque
from typing import Deque, Iterable, List, Optional, Sequence, Set, Tuple

from .._redis import Command, Reply, ReplyError
from .batch import Batch
from .deadline_heap import NEVER, Deadlines
from .recovery import LinkFacts, LostLink, Settlement
from .requests import Call, Request, Submit
from .transaction import Entry, Outcomes, Transaction, is_passing

__all__ = ["PendingRequests"]


class PendingRequests:
    """All requests without an outcome, in the order in which they are sent.

    Attributes:
        deadlines: All requests that have not ended.
        waiting: Those of which nothing was sent yet, and calls that are to be sent again.
        lost: Connections that were lost with something on its way.
        undo: Commands that take back what a rejected job left.
        watched: Entries whose keys are watched now, to be queued next.
    """

    def __init__(self) -> None:
        self.deadlines = Deadlines()
        self.waiting: Deque[Request] = deque()
        self.lost: List[LostLink] = []
        self.undo: List[Command] = []
        self.watched: List[Entry] = []
        self._untold: List[Tuple[Entry, ReplyError]] = []
        # Each group is a transaction of its own, or is looked for by itself.
        self._again: List[List[Entry]] = []
        self._idempotent: Deque[List[Entry]] = deque()

    def add(self, request: Request) -> None:
        """Take a request in."""
        self.deadlines.add(request)
        self.waiting.append(request)

    @property
    def has_more(self) -> bool:
        """Whether there is anything to be sent."""
        return bool(self.waiting or self._again or self.watched or self._idempotent)

    @property
    def needs_settling(self) -> bool:
        """Whether anything is to be settled before something else is sent."""
        return bool(self.lost or self.undo)

    # -- what goes out next ----------------------------------------------------------------------

    def next_batch(self, most_requests: int, *, unwatch: bool) -> Batch:
        """Return what goes out next.

        Args:
            most_requests: How many requests that wait go with it.
            unwatch: Whether keys may be under watch.
        """
        batch = Batch()
        batch.unwatch = unwatch
        if self.watched:
            watched, self.watched = _awaited(self.watched), []
            if watched:
                batch.unwatch = False
                batch.add(watched, are_watched=True)
        groups, self._again = self._again, []
        for group in filter(None, map(_awaited, groups)):
            batch.add(group)
        idempotent = batch.fill(self.waiting, most_requests=most_requests)
        if idempotent:
            self._idempotent.append(idempotent)
        if self._idempotent:
            group = _awaited(self._idempotent.popleft())
            if group:
                batch.add_check(group)
        return batch

    def take_waiting(self, on_its_way: Optional[Batch]) -> List[Request]:
        """Remove and return reads, and submits that were never sent, for another connection.

        Args:
            on_its_way: The batch that has no replies yet.
        """
        taken: List[Request] = []
        others: Deque[Request] = deque()
        for request in self.waiting:
            (taken if self._may_go_elsewhere(request, on_its_way) else others).append(request)
        self.waiting = others
        if taken:
            self.deadlines.remove(taken)
        for request in taken:
            request.patience = request.deadline  # it has waited, but for no connection
        return taken

    def _may_go_elsewhere(self, request: Request, on_its_way: Optional[Batch]) -> bool:
        """Whether nothing that was sent here could be applied after it."""
        if isinstance(request, Call):
            return not request.writes
        assert isinstance(request, Submit)
        if not request.idempotent:
            return True
        return not self.may_yet_queue({entry.job_id for entry in request.entries}, on_its_way)

    def has_waiting_callers(self) -> bool:
        """Whether anybody still waits; where not, forget what is to be sent."""
        if self.deadlines.soonest() < NEVER:
            return True
        for left in (self.waiting, self._again, self._idempotent, self.watched):
            left.clear()
        return False

    # -- what became of it -----------------------------------------------------------------------

    def answered(self, batch: Batch, refusal: Optional[ReplyError]) -> Optional[ReplyError]:
        """Tell the callers of a judged batch; what is not done yet is pending again.

        Args:
            batch: The batch.
            refusal: Why all but its transactions was refused, if it was.

        Returns:
            Why something was refused, if the reason passes.
        """
        passing = refusal
        for transaction, outcomes in zip(batch.transactions, batch.outcomes or ()):
            self._tell(outcomes, idempotent=transaction.is_watched)
            passing = passing or outcomes.passing
        if batch.leaves_transaction:  # what the others were told belongs to it
            self.ask_again(batch)
            return passing
        for call, replies in zip(batch.calls, batch.answers):
            call.reason = refusal or next(filter(is_passing, replies), None)
            passing = passing or call.reason
            if call.reason is None:
                call.resolve(replies)
            else:
                self.waiting.appendleft(call)
        if refusal is not None and batch.check is not None:
            self._check_again(batch.check.entries)
        elif batch.found is not None:
            self._tell(batch.found, idempotent=True)
            passing = passing or batch.found.passing
        return passing

    def settled(self, settlement: Settlement, replies: Sequence[Reply], facts: LinkFacts) -> bool:
        """Tell the callers what was found out, and which jobs were refused and are undone now.

        Returns:
            Whether anything was found to be queued.
        """
        is_any_queued = False
        del self.undo[: len(settlement.undo)]
        untold, self._untold = self._untold, []
        _reject(untold)
        self.lost = [link for link in self.lost if link not in settlement.lost]
        for transaction, outcomes in settlement.judge(replies, facts):
            self._tell(outcomes, idempotent=transaction.is_watched)
            is_any_queued = is_any_queued or bool(outcomes.queued)
        return is_any_queued

    def _tell(self, outcomes: Outcomes, *, idempotent: bool) -> None:
        """Tell the callers what became of their entries, or have these sent again."""
        for entry in outcomes.queued:
            entry.owner.settle(entry)
        for entry in outcomes.unknown:
            entry.owner.fail(entry.owner.late(None, may_be_applied=True))
        if self.undo:  # what was found may be what is taken back
            self._check_again(outcomes.existing)
        else:
            for entry in outcomes.existing:
                entry.owner.leave_alone(entry)
        self.watched.extend(outcomes.free)
        if outcomes.undo:
            # They are told once nothing is left behind, or at their deadline.
            self.undo.extend(outcomes.undo)
            self._untold.extend(outcomes.rejected)
            for entry, reply in outcomes.rejected:
                entry.owner.reason = reply
        else:
            _reject(outcomes.rejected)
        for group in outcomes.again:
            for entry in group:
                entry.owner.reason = outcomes.passing
            (self._idempotent if idempotent else self._again).append(group)

    def refuse_transactions(self, batch: Batch, refusal: ReplyError) -> None:
        """End the submits of a batch that was not sent: each command would be run for itself."""
        for group in (*batch.transactions, batch.check):
            if group is not None:
                _reject((entry, refusal) for entry in group.entries)
        self.waiting.extendleft(reversed(batch.calls))

    def refuse_too_long(self, batch: Batch, replies: Sequence[Reply]) -> bool:
        """End the request of a batch that the server has closed the connection for.

        A server takes no longer value than its ``proto-max-bulk-len``. It says so, and reads no
        further: nothing of what it was sent is applied.

        Args:
            batch: What was on its way.
            replies: Those that came before the connection was lost.

        Returns:
            Whether that was the reason, and the batch of one request only.
        """
        last = replies[-1] if replies else None
        if not isinstance(last, ReplyError) or "invalid bulk length" not in last.text:
            return False
        entries = [entry for transaction in batch.transactions for entry in transaction.entries]
        if len(entries) + len(batch.calls) != 1:
            return False
        text = (
            f"{last.text}: the server does not accept a value of {batch.size} bytes; send a "
            "shorter one, or raise its proto-max-bulk-len"
        )
        reply = ReplyError(last.code, text)
        _reject((entry, reply) for entry in entries)
        for call in batch.calls:
            call.fail(call.refused(reply))
        return True

    # -- when its connection is lost -------------------------------------------------------------

    def unwatch(self) -> None:
        """Check those again whose keys are not watched any more."""
        watched, self.watched = self.watched, []
        self._check_again(watched)

    def ask_again(self, batch: Batch) -> None:
        """Have the calls of a batch sent before all that waits, and check its jobs again."""
        self.waiting.extendleft(reversed(batch.calls))
        if batch.check is not None:
            self._check_again(batch.check.entries)

    def _check_again(self, entries: Sequence[Entry]) -> None:
        if entries:
            self._idempotent.append(list(entries))

    # -- whose outcome is not known --------------------------------------------------------------

    def of_unknown_outcome(self, on_its_way: Optional[Batch]) -> Set[Request]:
        """Return the submits of which nobody knows whether they were applied.

        Args:
            on_its_way: The batch that has no replies yet.
        """
        sent = self._without_outcome(on_its_way)
        return {entry.owner for transaction in sent for entry in transaction.entries}

    def may_yet_queue(self, job_ids: Set[str], on_its_way: Optional[Batch]) -> bool:
        """Whether a transaction that has no outcome may yet queue one of these jobs.

        One of idempotent submits does not: the server gives it up when the job appears.
        """
        sent = self._without_outcome(on_its_way)
        groups = [transaction.entries for transaction in sent if not transaction.is_watched]
        return any(entry.job_id in job_ids for entries in groups for entry in entries)

    def _without_outcome(self, on_its_way: Optional[Batch]) -> List[Transaction]:
        lost = [transaction for link in self.lost for transaction in link.transactions]
        return [*lost, *(on_its_way.transactions if on_its_way is not None else ())]


def _awaited(entries: List[Entry]) -> List[Entry]:
    """Return the entries that somebody waits for."""
    return [entry for entry in entries if not entry.owner.future.done()]


def _reject(rejected: Iterable[Tuple[Entry, ReplyError]]) -> None:
    for entry, reply in rejected:
        entry.owner.reject(entry, reply)
