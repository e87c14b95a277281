"""Submits as one transaction, and what its replies mean for each of them."""

from __future__ import annotations

from typing import Any, List, Optional

import pytest

from bananas._pipeline.transaction import Entry, Outcomes, Transaction
from bananas._redis.protocol import TRANSIENT, ReplyError

OK, QUEUED = b"OK", b"QUEUED"
WRONGTYPE = ReplyError("WRONGTYPE", "holds the wrong kind of value")
OOM = ReplyError("OOM", "command not allowed")
NOPERM = ReplyError("NOPERM", "no permission")
ABORTED = ReplyError("EXECABORT", "previous errors")


def entry(job_id: str, target: bytes = b"low", score: Optional[int] = None) -> Entry:
    """Return an entry whose key and document tell whose they are."""
    name = job_id.encode()
    return Entry(job_id, b"job-" + name, b"doc-" + name, target, score)


A, B = entry("a"), entry("b", b"high")
C, D = entry("c"), entry("d", b"due", 1700000001)


def judged(transaction: Transaction, replies: List[Any]) -> Outcomes:
    """Return what replies mean that belong to the transaction."""
    found = transaction.judge(replies)
    assert found is not None
    return found


def test_commands() -> None:
    """Documents first, then one push for each list with its ids in order, then the due ones."""
    later = entry("e", b"due", 1700000002)
    transaction = Transaction([A, B, C, D, later])
    assert transaction.commands() == [
        (b"MULTI",),
        (b"MSET", b"job-a", b"doc-a", b"job-b", b"doc-b", b"job-c", b"doc-c", b"job-d", b"doc-d",
         b"job-e", b"doc-e"),
        (b"LPUSH", b"low", "a", "c"),
        (b"LPUSH", b"high", "b"),
        (b"ZADD", b"due", "1700000001", "d", "1700000002", "e"),
        (b"EXEC",),
    ]  # fmt: skip
    assert transaction.reply_count == 6


def test_applied() -> None:
    """A transaction without an error has queued every entry."""
    found = judged(Transaction([A, B, D]), [OK, *[QUEUED] * 4, [OK, 1, 1, 1]])
    assert found.queued == [A, B, D]
    assert (found.rejected, found.again, found.undo, found.passing) == ((), (), (), None)


@pytest.mark.parametrize(
    "replies",
    [
        [QUEUED, QUEUED, QUEUED, [OK, 1]],
        [OK, QUEUED, b"7", [OK, 1]],
        [OK, QUEUED, QUEUED, [OK, 1, 1]],
        [OK, QUEUED, QUEUED, [OK]],
        [OK, QUEUED, QUEUED, OK],
        [OK, QUEUED, QUEUED, None],
    ],
)
def test_replies_of_something_else(replies: List[Any]) -> None:
    """Replies that this transaction can't have are recognised, and nothing is concluded."""
    assert Transaction([A]).judge(replies) is None


@pytest.mark.parametrize("code", sorted(TRANSIENT))
def test_refused_for_now(code: str) -> None:
    """An error that passes rejects nobody, and all of them are tried again."""
    refusal = ReplyError(code, "not now")
    found = judged(Transaction([A, B]), [OK, refusal, refusal, refusal, ABORTED])
    assert found.passing is refusal
    assert (found.queued, found.rejected, found.again) == ((), (), [[A, B]])


def test_no_right_to_a_transaction() -> None:
    """Where MULTI is refused the rest was done at once, and is taken back."""
    alone = ReplyError("ERR", "EXEC without MULTI")
    found = judged(Transaction([A, D]), [NOPERM, OK, 1, 1, alone])
    assert found.rejected == [(A, NOPERM), (D, NOPERM)]
    assert not found.queued
    assert found.undo == [
        (b"LREM", b"low", 1, "a"),
        (b"ZREM", b"due", "d"),
        (b"DEL", b"job-a", b"job-d"),
    ]


def test_refused_at_exec() -> None:
    """An EXEC that is refused by itself rejects every entry."""
    found = judged(Transaction([A, B]), [OK, QUEUED, QUEUED, QUEUED, OOM])
    assert found.rejected == [(A, OOM), (B, OOM)]
    assert found.undo == ()


def test_refused_documents() -> None:
    """Documents that are refused reject every entry, since nothing was applied."""
    found = judged(Transaction([A, B]), [OK, OOM, QUEUED, QUEUED, ABORTED])
    assert found.rejected == [(A, OOM), (B, OOM)]


def test_no_right_to_one_list() -> None:
    """A list that must not be written rejects its entries; the others are tried again."""
    found = judged(Transaction([A, B, C, D]), [OK, QUEUED, NOPERM, QUEUED, QUEUED, ABORTED])
    assert found.rejected == [(A, NOPERM), (C, NOPERM)]
    assert found.again == [[B, D]]


def test_no_right_to_any_list() -> None:
    """When every list is refused, nothing is left to be tried."""
    found = judged(Transaction([A, B]), [OK, QUEUED, NOPERM, NOPERM, ABORTED])
    assert found.rejected == [(A, NOPERM), (B, NOPERM)]
    assert found.again == ()


def test_no_right_to_some_documents() -> None:
    """A right that may lack for some documents only is tried for each entry by itself."""
    found = judged(Transaction([A, B]), [OK, NOPERM, QUEUED, QUEUED, ABORTED])
    assert found.again == [[A], [B]]
    alone = judged(Transaction([A]), [OK, NOPERM, QUEUED, ABORTED])
    assert alone.rejected == [(A, NOPERM)]


def test_list_of_the_wrong_type() -> None:
    """A push that fails inside EXEC rejects its entries, whose documents are taken back."""
    replies = [OK, *[QUEUED] * 3, [OK, WRONGTYPE, 1]]
    found = judged(Transaction([A, B, C]), replies)
    assert found.rejected == [(A, WRONGTYPE), (C, WRONGTYPE)]
    assert found.queued == [B]
    assert found.undo == [(b"DEL", b"job-a", b"job-c")]


def test_documents_that_fail_inside_exec() -> None:
    """Documents that fail inside EXEC reject every entry, whose ids are taken back."""
    found = judged(Transaction([A, D]), [OK, *[QUEUED] * 3, [OOM, 1, 1]])
    assert found.rejected == [(A, OOM), (D, OOM)]
    assert found.undo == [(b"LREM", b"low", 1, "a"), (b"ZREM", b"due", "d")]


def test_nothing_was_done_without_a_transaction() -> None:
    """Where every command was refused, there is nothing to take back."""
    found = judged(Transaction([A]), [NOPERM, NOPERM, NOPERM, NOPERM])
    assert (found.rejected, found.undo) == ([(A, NOPERM)], ())
    loading = ReplyError("LOADING", "not yet")
    found = judged(Transaction([A]), [loading, loading, loading, loading])
    assert (found.again, found.passing) == ([[A]], loading)


def test_reason_inside_execabort() -> None:
    """Redis may name the reason only where it refuses EXEC."""
    text = "Transaction discarded because of: BUSY Redis is busy running a script."
    found = judged(Transaction([A]), [OK, QUEUED, QUEUED, ReplyError("EXECABORT", text)])
    assert found.passing is not None
    assert found.passing.code == "BUSY"
    assert not found.in_transaction


def test_exec_that_is_refused_leaves_the_transaction_open() -> None:
    """Only EXECABORT says that it has ended."""
    assert judged(Transaction([A]), [OK, QUEUED, QUEUED, NOPERM]).in_transaction


def test_repr_hides_the_document() -> None:
    """An entry shows its id and nothing of the payload."""
    assert repr(A) == "Entry('a')"
