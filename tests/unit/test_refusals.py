"""What takes back what a refused job has left, and whether it was done."""

from __future__ import annotations

from typing import List

import pytest

from bananas._blocking.refusals import check_undone, undoing
from bananas._pipeline import Outcomes
from bananas._redis import LinkLost, Reply, ReplyError

LOADING = ReplyError("LOADING", "LOADING")
NOPERM, UNKNOWN = ReplyError("NOPERM", "NOPERM"), ReplyError("ERR", "ERR unknown command")
HELLO: Reply = [b"server", b"redis"]


def refused(*, in_transaction: bool = False) -> Outcomes:
    """Return outcomes with a key to be deleted."""
    outcomes = Outcomes()
    outcomes.undo = [(b"DEL", b"job-a")]
    outcomes.in_transaction = in_transaction
    return outcomes


def test_commands() -> None:
    """A transaction that may be open is ended first."""
    last = [(b"ECHO", b"bananas"), (b"HELLO", 2)]
    assert undoing(refused()) == [(b"DEL", b"job-a"), *last]
    assert undoing(refused(in_transaction=True)) == [(b"DISCARD",), (b"DEL", b"job-a"), *last]


@pytest.mark.parametrize(
    "last", [[b"bananas", HELLO], [NOPERM, HELLO], [LOADING, HELLO], [b"bananas", UNKNOWN]]
)
def test_done(last: List[Reply]) -> None:
    """The last commands may be refused, since it is known with what."""
    check_undone([1, *last], refused())
    check_undone([NOPERM, *last], refused())


@pytest.mark.parametrize(
    "last",
    [[1, b"bananas"], [b"OK", HELLO], [UNKNOWN, HELLO], [b"bananas", LOADING], [b"bananas", [1]]],
)
def test_unexpected_reply(last: List[Reply]) -> None:
    """One that is too many moves all others."""
    with pytest.raises(LinkLost, match="it has an unexpected reply"):
        check_undone([1, *last], refused())


def test_refused_for_a_reason_that_passes() -> None:
    """What has to be undone is tried again; the end of a transaction need not be."""
    with pytest.raises(LinkLost, match="could not be undone yet"):
        check_undone([LOADING, b"bananas", HELLO], refused())
    check_undone([LOADING, b"bananas", HELLO], Outcomes())
