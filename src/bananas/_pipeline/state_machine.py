"""The pipeline's state machine: events in, effects out, without I/O, clock or randomness."""

from __future__ import annotations

import functools
from collections import deque
from typing import Any, Callable, Deque, List, Optional, Sequence, Tuple, TypeVar, cast

from .. import exceptions as exc
from .._backoff import Backoff
from .._redis import Reply, ReplyError
from . import states as at
from .deadline_heap import NEVER
from .effects import Effects
from .pending_requests import PendingRequests
from .recovery import LinkFacts, LostLink, Settlement, is_replica
from .requests import Request, Submit
from .round_trip import RoundTrip
from .states import State
from .timeouts import Timeouts
from .transaction import Transaction, is_passing

__all__ = ["StateMachine"]

Handler = TypeVar("Handler", bound=Callable[..., None])

_FIRST_BACKOFF = 0.02
_LONGEST_BACKOFF = 0.5
# A refused submit is not sent again so shortly before its deadline: it might have no reply then.
_TOO_LATE = 0.1


def _event(handler: Handler) -> Handler:
    """Have an event handled when those before it are, also if it comes while one is."""

    @functools.wraps(handler)
    def handle(self: StateMachine, *args: Any) -> None:
        if self._is_busy:
            self._events.append((handler, args))
            return
        self._is_busy = True
        try:
            handler(self, *args)
            while self._events:
                following, args = self._events.popleft()
                following(self, *args)
        finally:
            self._is_busy = False

    return cast(Handler, handle)


class StateMachine:
    """Decides what to send, what a reply means, and what became of what was sent before a loss.

    Every event carries the time. A request is asked whether its caller has abandoned it.

    Args:
        effects: Carries the decisions out.
        connect_timeout: For how many seconds a request that was never sent waits for a connection.
        no_connection: What to say where it has waited for so long, and no attempt has failed.
        silence: For how many seconds a connection may be silent where no request tells.
        jitter: Returns a random number from 0 to 1.
        most_requests: How many requests go into a batch at most.

    Attributes:
        state: Where the pipeline stands.
        pending: The requests without an outcome.
        facts: Of the connection; None where there is none.
        connections: How many connections were made.
        round_trip: What is on its way.
    """

    def __init__(
        self,
        effects: Effects,
        *,
        connect_timeout: float,
        no_connection: exc.ConnectionError,
        silence: float,
        jitter: Callable[[], float],
        most_requests: int,
    ) -> None:
        self._effects = effects
        self._most_requests = most_requests
        self.state: State = at.IDLE
        self.facts: Optional[LinkFacts] = None
        self.connections = 0
        self.pending = PendingRequests()
        self.round_trip = RoundTrip(effects, self._wake, silence)
        self._timeouts = Timeouts(self.pending, connect_timeout, no_connection)
        # There is another attempt before half of the time for connecting is over.
        self._backoff = Backoff(_FIRST_BACKOFF, min(_LONGEST_BACKOFF, connect_timeout / 2), jitter)
        self._retry_at = NEVER
        self._wake_at = NEVER
        self._events: Deque[Tuple[Callable[..., None], Tuple[Any, ...]]] = deque()
        self._is_busy = False

    def request(self, request: Request, now: float, *, at_once: bool = False) -> None:
        """Somebody asks for something.

        Where nothing is under way it is sent in the same turn: at its end, together with what
        others ask for; at once where nobody else has asked for anything for a while.

        Args:
            request: What.
            now: The time.
            at_once: Send it without waiting for others in any case.
        """
        self.pending.add(request)
        self._wake(request.patience)
        if self.state is at.READY and not (at_once or self.round_trip.is_for_one):
            self._effects.send_soon()
        elif self.state is at.READY or self.state is at.IDLE:
            self.send_now(now)

    @_event
    def send_now(self, now: float) -> None:
        """Nobody else asks for anything in this turn."""
        self._go_on(now)

    def _go_on(self, now: float) -> None:
        """Do what there is to be done, if nothing is on its way."""
        pending = self.pending
        while self.state is at.READY:
            if pending.needs_settling:
                self._settle(now)
            elif pending.has_more:
                self._send_batch(now)
            else:
                pending.deadlines.clear()
                return
        if self.state is at.IDLE:
            self._connect_or_rest(now)

    def _send_batch(self, now: float) -> None:
        """Send what waits, unless all callers have gone."""
        assert self.facts is not None
        batch = self.pending.next_batch(self._most_requests, unwatch=self.round_trip.unwatch)
        if not batch:
            return
        refusal = self.facts.no_transactions
        if refusal is not None and (batch.transactions or batch.check):
            self.pending.refuse_transactions(batch, refusal)
            # Another connection may be allowed them.
            self._lose_link("transactions are refused", now)
            return
        self.state = at.SENT
        self.round_trip.send_batch(batch, now)

    # -- replies ---------------------------------------------------------------------------------

    @_event
    def replies(self, replies: List[Reply], now: float) -> None:
        """All replies to what was sent are here."""
        trip = self.round_trip
        trip.look_at = NEVER
        if self.facts is None:
            return
        strange = trip.judge(replies)
        if strange is not None:
            self._reconnect(strange, now)
        elif trip.is_to_be_confirmed:
            trip.confirm(now)
        elif trip.batch is not None:
            batch, trip.batch = trip.batch, None
            refusal = self.pending.answered(batch, trip.refusal)
            self._concluded(refusal, now, is_success=refusal is None and batch.has_ended_any)
        elif trip.settlement is not None:
            settlement, trip.settlement = trip.settlement, None
            # A primary that was demoted, say, refuses for a while: nothing is settled.
            refusal = trip.refusal or next(filter(is_passing, replies), None)
            is_success = refusal is None and self.pending.settled(settlement, replies, self.facts)
            self._concluded(refusal, now, is_success=is_success)

    def _concluded(self, refusal: Optional[ReplyError], now: float, *, is_success: bool) -> None:
        """Callers have been told; go on, unless the server refuses for a reason that passes."""
        self._timeouts.refusal = refusal
        if refusal is not None:
            if refusal.code != "BUSY":  # a new connection would wait for the script, too
                self._lose_link(str(refusal), now)
            self._back_off(now)
            return
        if is_success:
            self._backoff.failures = 0
        self.state = at.READY
        self._go_on(now)

    # -- lost replies ----------------------------------------------------------------------------

    @_event
    def reply_lost(self, submit: Submit, facts: LinkFacts, now: float) -> None:
        """A submit was sent on a connection of somebody else, and its reply was lost there."""
        self.pending.deadlines.add(submit)
        lost = LostLink(facts, [Transaction(submit.entries)], self.connections)
        self.pending.lost.append(lost)
        self._wake(submit.deadline)
        self._go_on(now)

    def _settle(self, now: float, *, ask: bool = False) -> None:
        """Undo, fence and look, and ask whether the server is ready, in one go."""
        assert self.facts is not None
        if any(link.after >= self.connections for link in self.pending.lost):
            self._lose_link(None, now)  # only a younger connection can tell
            self._connect_or_rest(now)
            return
        self.state = at.SETTLING
        settlement = Settlement(self.pending.undo, self.pending.lost, ask=ask)
        self.round_trip.send_settlement(settlement, self.facts, now)

    # -- connections -----------------------------------------------------------------------------

    def _connect_or_rest(self, now: float) -> None:
        """Connect, or ask the server if the connection was kept, unless nobody waits any more."""
        self._retry_at = NEVER
        if not self.pending.has_waiting_callers():
            self._timeouts.refusal = None  # the next caller's errors must not name it
            self.state = at.IDLE if self.facts is None else at.READY
        elif self.facts is None:
            self.state = at.CONNECTING
            self._effects.connect()
        else:
            self._settle(now, ask=True)

    @_event
    def link_up(self, facts: LinkFacts, now: float) -> None:
        """There is a connection."""
        if self.state is not at.CONNECTING:
            self._effects.drop(None)
            return
        self.connections += 1
        self.facts = facts
        self._timeouts.failure = None
        self.round_trip.unwatch = False
        if self.pending.needs_settling and is_replica(facts):
            self._lose_link("a replica can't tell what its primary will apply", now)
            self._back_off(now)
            return
        self.state = at.READY
        self._go_on(now)

    @_event
    def link_failed(
        self, failure: exc.ConnectionError, now: float, refusal: Optional[ReplyError] = None
    ) -> None:
        """No connection could be made; the refusal says so for the server, where it passes."""
        if self.state is at.CONNECTING:
            self._timeouts.connection_failed(failure, refusal)
            self._back_off(now)

    @_event
    def link_lost(self, reason: str, now: float, replies: Sequence[Reply] = ()) -> None:
        """The connection is gone; some replies may have come before, but not all."""
        if self.facts is not None:
            self._reconnect(reason, now, replies)

    @_event
    def link_cancelled(self, now: float) -> None:
        """Somebody has cancelled what holds the connection: the server has not failed."""
        if self.facts is not None:
            self._lose_link(None, now)
            self._connect_or_rest(now)

    def _reconnect(self, reason: str, now: float, replies: Sequence[Reply] = ()) -> None:
        """Make another connection; at once, if nothing has failed since the last success."""
        self._lose_link(reason, now, replies)
        if self._backoff.failures:
            self._back_off(now)
        else:
            self._backoff.failures = 1
            self._connect_or_rest(now)

    def _lose_link(self, reason: Optional[str], now: float, replies: Sequence[Reply] = ()) -> None:
        """Let go of the connection, and note what was on its way."""
        pending, trip = self.pending, self.round_trip
        facts, self.facts = self.facts, None
        assert facts is not None
        self._effects.drop(reason)
        self.state = at.IDLE
        self._timeouts.connection_lost(now)
        pending.unwatch()
        batch, settlement = trip.batch, trip.settlement
        trip.look_at, trip.batch, trip.settlement = NEVER, None, None
        if settlement is not None and settlement.undo:
            pending.lost.append(LostLink(facts, [], self.connections))
        if batch is not None and pending.refuse_too_long(batch, replies):
            self._backoff.failures = 0  # the server is well, and the next is not to wait
        elif batch is not None:
            if batch.writes:
                pending.lost.append(LostLink(facts, batch.transactions, self.connections))
            pending.ask_again(batch)

    def _back_off(self, now: float) -> None:
        self.state = at.BACKING_OFF
        self._retry_at = now + self._backoff.next()
        first = self.pending.deadlines.first()
        # Only a submit has to end as refused: reads may be repeated, and unknown outcomes need
        # another attempt.
        is_refused = self._timeouts.refusal is not None and not self.pending.needs_settling
        if is_refused and isinstance(first, Submit):
            margin = min(_TOO_LATE, first.silence / 4)  # a tenth of its time, where that is short
            if first.deadline - margin < self._retry_at < first.deadline:
                self._retry_at = first.deadline  # it ends as refused, and its outcome is known
        self._wake(self._retry_at)

    # -- time, and the end -----------------------------------------------------------------------

    def _wake(self, when: float) -> None:
        """Have ``time`` called at this time, or before."""
        if when < self._wake_at:
            self._wake_at = when
            self._effects.wake_at(when)

    @_event
    def time(self, now: float) -> None:
        """The time that was asked for has come, or any other."""
        # First: after an error of our own, the next request has to set the timer again.
        self._wake_at = NEVER
        self._timeouts.end_late(now, self.round_trip.batch)
        if self.state is at.BACKING_OFF and now >= self._retry_at:
            self._connect_or_rest(now)
        elif self.round_trip.is_silent(now):
            self._reconnect("it is silent", now)
        deadline, patience = self.pending.deadlines.soonest(), self._timeouts.patience()
        self._wake(min(self.round_trip.look_at, self._retry_at, deadline, patience))

    @_event
    def fail_all(self, error: exc.BananasError, now: float) -> None:
        """End all requests for a reason that is none of theirs, and start again."""
        self._end(at.IDLE, now)
        for request in self.pending.deadlines:
            request.fail(error)

    @_event
    def close(self, now: float) -> None:
        """Nothing is to be done any more."""
        unknown = self.pending.of_unknown_outcome(self.round_trip.batch)
        self._end(at.CLOSED, now)
        for request in self.pending.deadlines:
            request.fail(request.closed(may_be_applied=request in unknown))

    def _end(self, state: State, now: float) -> None:
        if self.facts is not None:
            self._lose_link(None, now)
        self._retry_at = NEVER
        self.state = state

    def abandon(self) -> None:
        """There is no loop any more that anybody could be told in."""
        self.state = at.CLOSED
