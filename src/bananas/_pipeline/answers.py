"""Tells the callers of a batch what its replies mean for them."""

from __future__ import annotations

import enum
from typing import List, Optional, Sequence

from .._redis import Reply, ReplyError
from .batch import Batch
from .marker import Marker
from .pending import PendingRequests
from .requests import Call
from .transaction import Outcomes, is_passing

__all__ = ["Answer", "hand_out", "judge", "refuse_too_long", "refuse_transactions"]


class Answer(enum.Enum):
    """What the replies to a batch are good for."""

    SURE = "they are the replies to it"
    TO_BE_CONFIRMED = "an error in them, which says nothing of what it answers, may be a stray one"
    STRAY = "it has a reply that nobody asked for"
    FOREIGN = "its replies are not those of a transaction"


def judge(batch: Batch, replies: List[Reply], marker: Marker) -> Answer:
    """Judge the replies to a batch, or to the marker that was asked for afterwards."""
    has_marker = batch.is_judged or batch.needs_marker
    echo = replies.pop() if has_marker else None
    if not batch.is_judged:
        if not batch.judge(replies):
            return Answer.FOREIGN
        if batch.leaves_transaction or not (has_marker or batch.is_clean):
            return Answer.TO_BE_CONFIRMED
        batch.refusal = echo if is_passing(echo) else None
    return Answer.SURE if not has_marker or marker.is_reply(echo) else Answer.STRAY


def hand_out(batch: Batch, pending: PendingRequests) -> Optional[ReplyError]:
    """Tell the callers of a judged batch; what is not done yet is pending again.

    Returns:
        Why something was refused, if the reason passes.
    """
    refusal = _hand_out_watched(batch, pending) if batch.watched is not None else None
    for transaction, outcomes in zip(batch.transactions, batch.outcomes):
        if outcomes is None:
            for entry in transaction.entries:
                entry.owner.settle(entry)
        else:
            pending.hand_out(outcomes, idempotent=False)
            refusal = refusal or outcomes.passing
    if batch.leaves_transaction:  # what the others were told belongs to it
        pending.call_again(batch.calls)
        pending.look_again(batch.look.entries if batch.look is not None else ())
        return refusal
    for call, replies in zip(batch.calls, batch.answers):
        refusal = _answer(call, batch.refusal, replies, pending) or refusal
    if batch.existence is not None:
        refusal = _hand_out_existence(batch, pending) or refusal
    return refusal


def _hand_out_watched(batch: Batch, pending: PendingRequests) -> Optional[ReplyError]:
    assert batch.watched is not None
    outcomes = batch.watched_outcomes
    if outcomes is None:  # somebody else was faster with one of them
        pending.look_again(batch.watched.entries)
        return None
    pending.hand_out(outcomes, idempotent=True)
    return outcomes.passing


def _answer(
    call: Call, refusal: Optional[ReplyError], replies: List[Reply], pending: PendingRequests
) -> Optional[ReplyError]:
    call.reason = refusal or next(filter(is_passing, replies), None)
    if call.reason is None:
        call.resolve(replies)
    else:
        pending.call_again([call])
    return call.reason


def _hand_out_existence(batch: Batch, pending: PendingRequests) -> Optional[ReplyError]:
    found = batch.existence
    assert found is not None
    if batch.refusal is not None and batch.look is not None:
        pending.look_again(batch.look.entries)
        return batch.refusal
    if found.outcomes is not None:
        pending.hand_out(found.outcomes, idempotent=True)
        return found.outcomes.passing
    if pending.undo:  # what was found may be what is taken back
        pending.look_again(found.existing)
    else:
        for entry in found.existing:
            entry.owner.leave_alone(entry)
    pending.look_again(found.later)
    pending.watch(found.free)
    return None


def refuse_transactions(
    batch: Batch, refusal: Optional[ReplyError], pending: PendingRequests
) -> bool:
    """End the submits of a batch that was not sent: each command would be run for itself.

    Args:
        batch: What was to be sent.
        refusal: Why transactions are refused, if they are.
        pending: Where the outcome goes.

    Returns:
        Whether it can't be sent.
    """
    if refusal is None or not (batch.transactions or batch.look):
        return False
    outcomes = Outcomes()
    for transaction in batch.transactions:
        outcomes.reject(transaction.entries, refusal)
    if batch.look is not None:
        outcomes.reject(batch.look.entries, refusal)
    pending.hand_out(outcomes, idempotent=False)
    pending.call_again(batch.calls)
    return True


def refuse_too_long(batch: Batch, replies: Sequence[Reply], pending: PendingRequests) -> bool:
    """End the request of a batch that the server has closed the connection for.

    A server takes no longer value than its ``proto-max-bulk-len``. It says so, and reads no
    further: nothing of what it was sent is applied.

    Args:
        batch: What was on its way.
        replies: Those that came before the connection was lost.
        pending: Where the outcome goes.

    Returns:
        Whether that was the reason, and the batch of one request only.
    """
    last = replies[-1] if replies else None
    if not isinstance(last, ReplyError) or "invalid bulk length" not in last.text:
        return False
    reply = ReplyError(last.code, f"{last.text}: the server takes no value of {batch.size} bytes")
    entries = [entry for group, _ in batch.sent_groups() for entry in group]
    if len(entries) + len(batch.calls) != 1:
        return False
    if entries:
        outcomes = Outcomes()
        outcomes.reject(entries, reply)
        pending.hand_out(outcomes, idempotent=False)
    for call in batch.calls:
        call.fail(call.refused(reply))
    return True
