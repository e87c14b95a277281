"""The pipeline's state machine: events in, effects out, without I/O, clock or chance."""

from __future__ import annotations

from typing import Callable, List, Optional, Sequence

from .. import exceptions as exc
from .._redis import Reply, ReplyError
from . import state as at
from .answers import Answer, hand_out, refuse_transactions
from .effects import Effects
from .event_queue import EventQueue
from .exchange import Exchange
from .pending import PendingRequests
from .recovery import LinkFacts, LostLink, Settlement, is_replica
from .requests import Request, Submit
from .schedule import NEVER, Schedule
from .state import State
from .transaction import is_passing
from .trouble import Trouble

__all__ = ["Core"]

Failure = exc.ConnectionError
Reason = Optional[str]
Refusal = Optional[ReplyError]


class Core:
    """Decides what to send, what a reply means, and what a lost connection leaves in doubt.

    Every event carries the time. A request is asked whether its caller has abandoned it.

    Args:
        effects: Carries the decisions out.
        connect_timeout: For how many seconds a request that was never sent waits for a connection.
        no_connection: What to say where it has waited for so long, and no attempt has failed.
        silence: For how many seconds a connection may be silent while it settles.
        jitter: Returns a number from 0 to 1, by chance.
        most_requests: How many requests go into a batch at most.

    Attributes:
        state: Where the pipeline stands.
        pending: The requests without an outcome.
        facts: Of the connection; None where there is none.
        connections: How many connections were made.
        exchange: What is on its way.
    """

    def __init__(
        self,
        effects: Effects,
        *,
        connect_timeout: float,
        no_connection: Failure,
        silence: float,
        jitter: Callable[[], float],
        most_requests: int = 1_000_000,
    ) -> None:
        self._effects = effects
        self._most_requests = most_requests
        self._schedule = Schedule(effects, connect_timeout, jitter)
        self.exchange = Exchange(effects, self._schedule, silence)
        self._trouble = Trouble(connect_timeout, no_connection)
        self.state: State = at.IDLE
        self.pending = PendingRequests()
        self.facts: Optional[LinkFacts] = None
        self.connections = 0
        self._events = EventQueue()
        self._handle = self._events.handle

    # -- events ----------------------------------------------------------------------------------

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
        self._schedule.wake(request.patience)
        if self._events.is_busy:
            return  # it is sent when what runs has ended
        if self.state is at.READY and not (at_once or self.exchange.is_for_one):
            self._effects.send_soon()
        else:
            self._handle(self._go_on, now)

    def send_now(self, now: float) -> None:
        """Nobody else asks for anything in this turn."""
        self._handle(self._go_on, now)

    def reply_lost(self, submit: Submit, facts: LinkFacts, now: float) -> None:
        """A submit was sent on a connection of somebody else, and its reply was lost there."""
        self._handle(self._on_reply_lost, submit, facts, now)

    def link_up(self, facts: LinkFacts, now: float) -> None:
        """There is a connection."""
        self._handle(self._on_link_up, facts, now)

    def link_failed(self, failure: Failure, now: float, refusal: Refusal = None) -> None:
        """No connection could be made; the refusal says so for the server, where it passes."""
        self._handle(self._on_link_failed, failure, now, refusal)

    def link_lost(self, reason: Reason, now: float, replies: Sequence[Reply] = ()) -> None:
        """The connection is gone; some replies may have come before, but not all."""
        self._handle(self._on_link_lost, reason, now, replies)

    def replies(self, replies: List[Reply], now: float) -> None:
        """All replies to what was sent are here."""
        self._handle(self._on_replies, replies, now)

    def progress(self, count: int, now: float) -> None:
        """Some bytes were read, and more are to come."""
        self._schedule.moved(count, now)

    def time(self, now: float) -> None:
        """The time that was asked for has come, or any other."""
        self._handle(self._on_time, now)

    def fail_all(self, error: exc.BananasError, now: float) -> None:
        """End all requests for a reason that is none of theirs, and start again."""
        self._handle(self._on_fail_all, error, now)

    def close(self, now: float) -> None:
        """Nothing is to be done any more."""
        self._handle(self._on_close, now)

    def abandon(self) -> None:
        """There is no loop any more that anybody could be told in."""
        self.state = at.CLOSED

    # -- what to do next -------------------------------------------------------------------------

    def _go_on(self, now: float) -> None:
        """Do what there is to be done, if nothing is on its way."""
        pending = self.pending
        while self.state is at.READY or self.state is at.WATCHING:
            if pending.lost or pending.undo:
                self._settle(now)
            elif pending.waiting or pending.has_more:
                self._send_batch(now)
            else:
                pending.deadlines.clear()
                return
        if self.state is at.IDLE and (pending.has_more or pending.has_doubts):
            self._connect_or_rest(now)

    def _connect_or_rest(self, now: float) -> None:
        """Connect, or ask the server if the connection was kept, unless nobody waits any more."""
        self._schedule.retry_at = NEVER
        if not self.pending.has_waiting_callers():
            self._trouble.refusal = None  # whoever comes next is not to be told of it
            self.state = at.IDLE if self.facts is None else at.READY
        elif self.facts is None:
            self.state = at.CONNECTING
            self._effects.connect()
        else:
            self._settle(now, ask=True)

    def _send_batch(self, now: float) -> None:
        """Send what waits; it may be found that nobody waits for it."""
        assert self.facts is not None
        batch = self.pending.next_batch(self._most_requests, unwatch=self.exchange.unwatch)
        self.state = at.READY
        if not batch:
            return
        if refuse_transactions(batch, self.facts.no_transactions, self.pending):
            # Another connection may be allowed them.
            self._lose_link("transactions are refused", now)
            return
        self.state = at.SENT
        self.exchange.send_batch(batch, now)

    # -- replies ---------------------------------------------------------------------------------

    def _on_replies(self, replies: List[Reply], now: float) -> None:
        self._schedule.answered()
        if self.state is at.SETTLING:
            self._on_settled(replies, now)
        elif self.state is at.SENT:
            self._on_answered(replies, now)

    def _on_answered(self, replies: List[Reply], now: float) -> None:
        answer = self.exchange.judge_batch(replies)
        if answer is Answer.SURE:
            self._conclude(now)
        elif answer is Answer.TO_BE_CONFIRMED:
            self.exchange.confirm(now)
        else:
            self._on_link_lost(answer.value, now)

    def _conclude(self, now: float) -> None:
        """Tell the callers of the batch, who may ask for more, and go on."""
        batch = self.exchange.take_batch()
        refusal = hand_out(batch, self.pending)
        if refusal is not None:
            self._on_refused(refusal, now)
        else:
            if batch.has_ended_any:
                self._schedule.succeeded()
            self._trouble.refusal = None
            self.state = at.WATCHING if self.pending.is_watching else at.READY
            self._go_on(now)

    def _on_refused(self, refusal: ReplyError, now: float) -> None:
        """The server refuses for a reason that passes, and another one may not."""
        self._trouble.refusal = refusal
        if refusal.code != "BUSY":  # else any other connection would meet the script, too
            self._lose_link(str(refusal), now)
        self._back_off(now)

    # -- connections -----------------------------------------------------------------------------

    def _on_link_up(self, facts: LinkFacts, now: float) -> None:
        if self.state is not at.CONNECTING:
            self._effects.drop(None)
            return
        self.connections += 1
        facts.serial = self.connections
        self.facts = facts
        self._trouble.connected()
        self.exchange.unwatch = False
        if self.pending.has_doubts and is_replica(facts):
            self._lose_link("a replica can't tell what its primary will apply", now)
            self._back_off(now)
            return
        self.state = at.READY
        self._go_on(now)

    def _on_link_failed(self, failure: Failure, now: float, refusal: Refusal) -> None:
        if self.state is at.CONNECTING:
            self._trouble.failed(failure, refusal)
            self.pending.fail_unsent(failure, refusal)
            self._back_off(now)

    def _on_link_lost(self, reason: Reason, now: float, replies: Sequence[Reply] = ()) -> None:
        if self.facts is None:
            return
        self._lose_link(reason, now, replies)
        if self._schedule.may_retry_at_once():
            self._connect_or_rest(now)
        else:
            self._back_off(now)

    def _lose_link(self, reason: Reason, now: float, replies: Sequence[Reply] = ()) -> None:
        """Let go of the connection, and note what was on its way."""
        facts, self.facts = self.facts, None
        assert facts is not None
        self._effects.drop(reason)
        self._schedule.answered()
        self._trouble.lost(now)
        self.state = at.IDLE
        self.pending.unwatch()
        self.exchange.lost(self.pending, facts, self.connections, replies)

    def _back_off(self, now: float) -> None:
        self.state = at.BACKING_OFF
        self._schedule.back_off(now)

    def _on_reply_lost(self, submit: Submit, facts: LinkFacts, now: float) -> None:
        self.pending.deadlines.add(submit)
        self.pending.lost.append(LostLink(facts, [(submit.entries, False)], self.connections))
        self._schedule.wake(submit.deadline)
        self._go_on(now)

    def _settle(self, now: float, *, ask: bool = False) -> None:
        """Undo, fence and look, and ask whether the server is ready, in one go."""
        assert self.facts is not None
        settlement = Settlement(self.pending.undo, self.pending.lost, ask=ask)
        if not settlement.is_possible(self.facts):
            self._lose_link(None, now)  # only a younger connection can tell
            self._connect_or_rest(now)
            return
        self.state = at.SETTLING
        self.exchange.send_settlement(settlement, self.facts, now)

    def _on_settled(self, replies: List[Reply], now: float) -> None:
        assert self.facts is not None
        refusal = next(filter(is_passing, replies), None)
        settlement = self.exchange.take_settlement(replies)
        if settlement is None:
            self._on_link_lost(Answer.STRAY.value, now)
        elif refusal is not None:
            self._on_refused(refusal, now)  # a primary that was demoted, say: nothing is settled
        else:
            if self.pending.settled(settlement, replies, self.facts):
                self._schedule.succeeded()
            self._trouble.refusal = None
            self.state = at.READY
            self._go_on(now)

    # -- time, and the end -----------------------------------------------------------------------

    def _on_time(self, now: float) -> None:
        pending, trouble = self.pending, self._trouble
        trouble.end_late(pending, self.exchange.batch, now, is_connected=self.facts is not None)
        if self.state is at.BACKING_OFF and now >= self._schedule.retry_at:
            self._connect_or_rest(now)
        elif self._schedule.is_silent(now):
            self._on_link_lost("it is silent", now)
        patience = trouble.patience(pending, is_connected=self.facts is not None)
        self._schedule.woken(pending.deadlines.soonest(), patience)

    def _end(self, state: State, now: float) -> None:
        if self.facts is not None:
            self._lose_link(None, now)
        self._schedule.retry_at = NEVER
        self.state = state

    def _on_fail_all(self, error: exc.BananasError, now: float) -> None:
        self._end(at.IDLE, now)
        for request in self.pending.deadlines:
            request.fail(error)

    def _on_close(self, now: float) -> None:
        doubtful = self.pending.in_doubt(self.exchange.batch)
        self._end(at.CLOSED, now)
        for request in self.pending.deadlines:
            request.fail(request.closed(may_be_applied=request in doubtful))
