"""Every request without an outcome, and what is still to be sent for it."""

from __future__ import annotations

from collections import deque
from typing import Deque, Iterable, List, Optional, Sequence, Set, Tuple

from .. import exceptions as exc
from .._redis import Command, Reply, ReplyError
from .batch import Batch
from .deadlines import Deadlines
from .recovery import LinkFacts, LostLink, Recovered, Settlement
from .requests import Call, Request
from .transaction import Entry, Outcomes

__all__ = ["PendingRequests"]


class PendingRequests:
    """What the pipeline owes to its callers.

    Attributes:
        deadlines: All requests that have not ended.
        waiting: Those of which nothing was sent yet, and calls that are to be sent again.
        lost: Connections that were lost with something on its way.
        undo: Commands that take back what a rejected job left.
    """

    __slots__ = (
        "_again",
        "_idempotent",
        "_idempotent_groups",
        "_untold",
        "_watched",
        "deadlines",
        "lost",
        "undo",
        "waiting",
    )

    def __init__(self) -> None:
        self.deadlines = Deadlines()
        self.waiting: Deque[Request] = deque()
        self.lost: List[LostLink] = []
        self.undo: List[Command] = []
        self._untold: List[Tuple[Entry, ReplyError]] = []
        self._again: List[List[Entry]] = []
        self._idempotent: List[Entry] = []
        self._idempotent_groups: Deque[List[Entry]] = deque()
        self._watched: List[Entry] = []

    def add(self, request: Request) -> None:
        """Take a request in."""
        self.deadlines.add(request)
        self.waiting.append(request)

    @property
    def has_more(self) -> bool:
        """Whether there is anything to be sent."""
        return bool(
            self.waiting
            or self._again
            or self._watched
            or self._idempotent
            or self._idempotent_groups
        )

    @property
    def has_doubts(self) -> bool:
        """Whether anything is to be settled before something else is sent."""
        return bool(self.lost or self.undo)

    @property
    def is_watching(self) -> bool:
        """Whether there are entries whose keys are watched."""
        return bool(self._watched)

    # -- what goes out next ----------------------------------------------------------------------

    def next_batch(self, most_requests: int, *, unwatch: bool) -> Batch:
        """Return what goes out next.

        Args:
            most_requests: How many requests that wait go with it.
            unwatch: Whether keys may be under watch.
        """
        batch = Batch()
        batch.unwatch = unwatch
        if self._watched:
            watched, self._watched = _awaited(self._watched), []
            if watched:
                batch.add_watched(watched)
        if self._again:
            groups, self._again = self._again, []
            for group in filter(None, map(_awaited, groups)):
                batch.add_group(group)
        self._idempotent.extend(batch.fill(self.waiting, most_requests=most_requests))
        if self._idempotent_groups or self._idempotent:
            self._add_look(batch)
        return batch

    def _add_look(self, batch: Batch) -> None:
        if self._idempotent_groups:
            group = self._idempotent_groups.popleft()
        else:
            group, self._idempotent = self._idempotent, []
        group = _awaited(group)
        if group:
            batch.add_look(group)

    # -- what became of it -----------------------------------------------------------------------

    def hand_out(self, outcomes: Outcomes, *, idempotent: bool) -> None:
        """Tell the callers what became of a transaction, or have it sent again."""
        for entry in outcomes.queued:
            entry.owner.settle(entry)
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
            if not idempotent:
                self._again.append(group)
            elif outcomes.passing is None:
                self._idempotent_groups.append(group)  # together they would be refused again
            else:
                self._idempotent.extend(group)

    def look_again(self, entries: Iterable[Entry]) -> None:
        """Have idempotent entries looked for once more."""
        self._idempotent.extend(entries)

    def watch(self, entries: Sequence[Entry]) -> None:
        """Have entries queued whose keys are watched now."""
        self._watched.extend(entries)

    def unwatch(self) -> None:
        """Have those looked for once more whose keys are watched no longer."""
        watched, self._watched = self._watched, []
        self._idempotent.extend(watched)

    def send_again(self, batch: Batch, facts: LinkFacts, after: int) -> None:
        """Have a batch sent once more whose reply was lost, once it is known what became of it."""
        if batch.writes:
            self.lost.append(LostLink(facts, batch.sent_groups(), after))
        self.call_again(batch.calls)
        if batch.look is not None:
            self.look_again(batch.look.entries)

    def call_again(self, calls: Sequence[Call]) -> None:
        """Have commands sent with the next batch, before all that waits."""
        self.waiting.extendleft(reversed(calls))

    def settled(self, settlement: Settlement, replies: Sequence[Reply], facts: LinkFacts) -> bool:
        """Tell the callers what was found out, and of what nothing is left behind any more.

        Returns:
            Whether anything was found to be queued.
        """
        is_any_queued = False
        del self.undo[: settlement.undo_count]
        untold, self._untold = self._untold, []
        _reject(untold)
        self.lost = [link for link in self.lost if link not in settlement.lost]
        for group, found in settlement.judge(replies, facts):
            self._recovered(found, idempotent=group.idempotent)
            is_any_queued = is_any_queued or bool(found.queued)
        return is_any_queued

    def _recovered(self, found: Recovered, *, idempotent: bool) -> None:
        for entry in found.unknown:
            if entry.owner is not None:
                entry.owner.fail(entry.owner.unknown())
        for entry in found.existing:
            entry.owner.leave_alone(entry)
        self.hand_out(found.outcomes, idempotent=idempotent)

    def take_reads(self) -> List[Call]:
        """Remove and return the reads that wait, for another connection to send them."""
        reads: List[Call] = []
        others: Deque[Request] = deque()
        for request in self.waiting:
            if isinstance(request, Call) and not request.writes:
                reads.append(request)
            else:
                others.append(request)
        self.waiting = others
        return reads

    # -- requests that end otherwise -------------------------------------------------------------

    def has_waiting_callers(self) -> bool:
        """Whether anybody still waits; where not, forget what is to be sent."""
        if self.deadlines.soonest() is not None:
            return True
        self.waiting.clear()
        for left in (self._again, self._idempotent, self._idempotent_groups, self._watched):
            left.clear()
        return False

    def in_doubt(self, on_its_way: Optional[Batch]) -> Set[Request]:
        """Return the submits of which nobody knows whether they were applied.

        Args:
            on_its_way: The batch that has no replies yet.
        """
        groups = [group.entries for link in self.lost for group in link.groups]
        if on_its_way is not None:
            groups.extend(entries for entries, _ in on_its_way.sent_groups())
        return {entry.owner for entries in groups for entry in entries}

    def may_yet_queue(self, job_ids: Set[str], on_its_way: Optional[Batch]) -> bool:
        """Whether a transaction that has no outcome may yet queue one of these jobs.

        One of idempotent submits does not: the server gives it up when the job appears.
        """
        sent = on_its_way.sent_groups() if on_its_way is not None else []
        groups = [entries for entries, idempotent in sent if not idempotent]
        lost = [group for link in self.lost for group in link.groups]
        groups.extend(group.entries for group in lost if not group.idempotent)
        return any(entry.job_id in job_ids for entries in groups for entry in entries)

    def patience(self, lost_at: float) -> Optional[float]:
        """Return until when those that were never sent wait for a connection."""
        waiting = self.waiting
        while waiting and waiting[0].future.done():
            waiting.popleft()
        if not waiting or waiting[0].reason is not None:
            return None
        return max(waiting[0].patience, lost_at)

    def fail_impatient(
        self, now: float, lost_at: float, failure: Optional[exc.ConnectionError]
    ) -> None:
        """End those that were never sent, and have waited for a connection for long enough."""
        until = self.patience(lost_at)
        while until is not None and until <= now:
            request = self.waiting.popleft()
            request.fail(request.late(failure, may_be_applied=False))
            until = self.patience(lost_at)

    def fail_late(
        self,
        now: float,
        on_its_way: Optional[Batch],
        failure: Optional[exc.ConnectionError],
        refusal: Optional[ReplyError],
    ) -> None:
        """End those whose deadline is over.

        Args:
            now: The time.
            on_its_way: The batch that has no replies yet.
            failure: Why there is no connection, if there is none.
            refusal: Why the server refuses everybody for now, if it does.
        """
        late = self.deadlines.take_late(now)
        doubtful = self.in_doubt(on_its_way) if late else ()
        for request in late:
            if request.reason is None:
                request.reason = refusal
            request.fail(request.late(failure, may_be_applied=request in doubtful))

    def fail_unsent(self, failure: exc.ConnectionError, refusal: Optional[ReplyError]) -> None:
        """End those who asked for one attempt only, or all where another one is pointless.

        Where the server refuses for a reason that passes, there is more than one attempt.
        """
        if failure.permanent:
            doubtful = self.in_doubt(None)
            for request in self.deadlines:
                request.fail(request.unknown() if request in doubtful else request.unsent(failure))
            return
        for request in self.waiting:
            if refusal is not None:
                request.reason = refusal
            elif request.__class__ is Call and request.impatient:
                request.fail(request.unsent(failure))


def _awaited(entries: List[Entry]) -> List[Entry]:
    """Return the entries that somebody waits for."""
    return [entry for entry in entries if not entry.owner.future.done()]


def _reject(rejected: Iterable[Tuple[Entry, ReplyError]]) -> None:
    for entry, reply in rejected:
        if entry.owner is not None:
            entry.owner.reject(entry, reply)
