"""Who has a lent connection, and what the bytes of its replies say."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
from typing import Iterator, List, Tuple, cast

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bananas._batch import Entry, Transaction, is_applied
from bananas._ledger import Batch
from bananas._lending import Flight, Lender, Loan
from bananas._protocol import ReplyError
from bananas._redis import Link
from bananas._requests import Calls, Submit
from bananas._wire import Wire

Sockets = Tuple[socket.socket, socket.socket]

APPLIED = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:7\r\n"


def entry() -> Entry:
    return Entry("a", b"a", b"key", b"{}", b"list")


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    """Two connected sockets; the first is like an event loop's."""
    near, far = socket.socketpair()
    near.setblocking(False)
    yield near, far
    near.close()
    far.close()


@pytest.fixture
def loan(sockets: Sockets) -> Loan:
    return Loan(Wire(sockets[0].fileno()))


@pytest.fixture
def flight() -> Flight:
    return new_flight()


def new_flight() -> Flight:
    loop = asyncio.new_event_loop()
    try:
        return Flight(Submit(loop.create_future(), 10.0, 10.0, (entry(),), exclusive=False))
    finally:
        loop.close()


# -- who has it ----------------------------------------------------------------------------------


def test_one_at_a_time(loan: Loan, flight: Flight) -> None:
    other = new_flight()
    assert loan.take(flight)
    assert not loan.take(other)
    assert loan.holder is flight
    assert not loan.give_back()
    assert loan.take(other)
    assert loan.holder is other
    assert loan.flights == 1


def test_recalled_while_nobody_has_it(loan: Loan, flight: Flight) -> None:
    assert loan.recall() is None
    assert not loan.take(flight)
    assert loan.holder is None


def test_recalled_while_somebody_has_it(loan: Loan, flight: Flight) -> None:
    """Who has it is told when giving it back, and nobody has it after that."""
    assert loan.take(flight)
    assert loan.recall() is flight
    assert loan.give_back()
    assert not loan.take(new_flight())


def test_the_loop_claims_the_writing_first(loan: Loan, flight: Flight, sockets: Sockets) -> None:
    """A thread that finds its flight claimed does not write."""
    assert loan.take(flight)
    assert flight.may_write("the loop")
    assert not loan.carry(flight, 10)
    assert (flight.is_written, flight.received) == (False, None)
    sockets[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        sockets[1].recv(1)


def test_the_loop_claims_the_reading_first(loan: Loan, flight: Flight, sockets: Sockets) -> None:
    """Nor does it read, even if the replies are here."""
    assert loan.take(flight)
    assert flight.may_read("the loop")
    loan._wire = Answering(*sockets)
    assert not loan.carry(flight, 10)
    assert (flight.is_written, flight.received) == (True, None)
    assert sockets[0].recv(100) == APPLIED


def test_woken_by_the_loop(loan: Loan, flight: Flight) -> None:
    """A thread that waits for replies which the loop reads waits no longer."""
    assert loan.take(flight)
    thread = threading.Thread(target=loan.carry, args=(flight, 600))
    thread.start()
    loan.wake()
    thread.join(60)
    assert not thread.is_alive()
    assert (flight.is_written, flight.received) == (True, None)


def test_claims_are_for_one(flight: Flight) -> None:
    assert flight.may_write("thread")
    assert flight.may_write("thread")
    assert not flight.may_write("loop")
    assert flight.may_read("loop")
    assert not flight.may_read("thread")


# -- when it is lent -----------------------------------------------------------------------------


class Idle:
    """Stands for a link that may be lent."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def lend(self) -> Wire:
        return self.wire


def batch_of(transactions: int, entries: int, reads: int) -> Batch:
    batch = Batch()
    for _ in range(transactions):
        batch.transactions.append(Transaction([entry() for _ in range(entries)]))
    for _ in range(reads):
        batch.calls.append(cast(Calls, object()))
    return batch


@pytest.mark.parametrize(
    "company", [(1, 2, 0), (2, 1, 0), (1, 1, 1), (0, 0, 1)], ids=["two", "apart", "read", "reads"]
)
def test_lent_after_five_lone_submits_in_a_row(
    sockets: Sockets, company: Tuple[int, int, int]
) -> None:
    """Whatever else goes out between them has the count begin anew."""
    lender, link = Lender(), cast(Link, Idle(Wire(sockets[0].fileno())))
    for batch in [(1, 1, 0)] * 4 + [company] + [(1, 1, 0)] * 4:
        lender.offer(link, batch_of(*batch))
        assert lender.loan is None
    lender.offer(link, batch_of(1, 1, 0))
    assert lender.loan is not None


# -- what becomes of a flight --------------------------------------------------------------------


class Answering(Wire):
    """Answers what is written at once."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        super().__init__(near.fileno())
        self.far = far
        self.sent = b""

    def write(self, data: bytes) -> int:
        written = super().write(data)
        self.sent += self.far.recv(written)
        self.far.send(APPLIED)
        return written


def test_carried(loan: Loan, flight: Flight, sockets: Sockets) -> None:
    data = flight.data
    assert loan.take(flight)
    wire = loan._wire = Answering(*sockets)
    assert loan.carry(flight, 10)
    assert wire.sent == data
    assert (flight.is_written, flight.data) == (True, b"")
    assert flight.received == APPLIED


def test_not_sent_where_something_has_arrived(loan: Loan, flight: Flight, sockets: Sockets) -> None:
    """A reply that nobody asked for, or the end, is for the loop to see."""
    sockets[1].send(b"+OK\r\n")
    assert not loan.is_quiet
    assert loan.take(flight)
    assert not loan.carry(flight, 10)
    assert (flight.is_written, flight.received) == (False, None)
    assert flight.may_write("the loop")


def test_no_reply(loan: Loan, flight: Flight) -> None:
    assert loan.take(flight)
    assert not loan.carry(flight, 0.01)
    assert (flight.is_written, flight.data, flight.received) == (True, b"", None)
    assert flight.may_read("the loop")


def test_more_than_is_taken(loan: Loan, sockets: Sockets) -> None:
    """What is left is what was not written."""
    flight = new_flight()
    data = flight.data = os.urandom(10_000_000)
    assert loan.take(flight)
    assert not loan.carry(flight, 10)
    assert flight.is_written
    written = len(data) - len(flight.data)
    assert 0 < written < len(data)
    assert flight.data == data[written:]


def test_broken_connection(loan: Loan, flight: Flight, sockets: Sockets) -> None:
    """Whether something was sent is not known where writing fails."""

    class Broken(Wire):
        def write(self, data: bytes) -> int:
            raise BrokenPipeError

    loan._wire = Broken(sockets[0].fileno())
    assert loan.take(flight)
    assert not loan.carry(flight, 10)
    assert not flight.is_written
    assert not flight.may_write("the loop")


def test_left_alone_after_a_fork(loan: Loan, flight: Flight) -> None:
    """A child that a signal handler has forked in the middle neither writes nor reads."""
    lender = Lender()
    lender.loan = loan
    assert loan.take(flight)
    lender.abandon()
    assert lender.loan is None
    assert not loan.carry(flight, 10)
    assert not flight.is_written


def test_wire_is_closed_when_nobody_holds_it(sockets: Sockets) -> None:
    """It outlives the socket that it was made from, so that its number stays its own."""
    near, far = sockets
    wire = Wire(near.fileno())
    near.close()
    assert wire.write(b"x") == 1
    assert far.recv(1) == b"x"
    del wire
    gc.collect()
    assert far.recv(1) == b""


def test_wire_without_a_descriptor() -> None:
    """What could not be made has nothing to close."""
    with pytest.raises(OSError, match="."):
        Wire(-1)
    gc.collect()


# -- what the replies say ------------------------------------------------------------------------


def parsed(received: bytes) -> List[object]:
    reader = hiredis.Reader(replyError=ReplyError.parse)  # type: ignore[arg-type]
    reader.feed(received)
    replies: List[object] = []
    while True:
        reply = reader.gets()
        if reply is False:
            return replies
        replies.append(reply)


@pytest.mark.parametrize("number", [b"1", b"0", b"12345678901234567890"[:18]])
def test_applied(number: bytes) -> None:
    assert is_applied(APPLIED.replace(b"7", number))


@pytest.mark.parametrize("count", range(len(APPLIED)))
def test_not_yet_all_here(count: int) -> None:
    assert not is_applied(APPLIED[:count])


@pytest.mark.parametrize(
    "received",
    [
        APPLIED + b"+OK\r\n",
        APPLIED + APPLIED,
        APPLIED + b"+",
        b"+OK\r\n" + APPLIED,
        APPLIED.replace(b":7", b"-WRONGTYPE no list"),
        APPLIED.replace(b":7", b":-7"),
        APPLIED.replace(b":7", b":"),
        APPLIED.replace(b":7", "：7".encode()),
        APPLIED.replace(b"*2\r\n+OK", b"*2\r\n-OOM no memory"),
        b"+OK\r\n-OOM no memory\r\n+QUEUED\r\n-EXECABORT discarded\r\n",
        b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*-1\r\n",
        b"-NOPERM no\r\n+OK\r\n:1\r\n-ERR EXEC without MULTI\r\n",
    ],
)
def test_anything_else(received: bytes) -> None:
    assert not is_applied(received)


@given(
    at=st.integers(0, len(APPLIED) - 1),
    byte=st.integers(0, 255),
    change=st.sampled_from(["replace", "insert", "delete"]),
)
def test_never_more_lenient_than_the_verdicts(at: int, byte: int, change: str) -> None:
    """What it takes for success is what is judged so when it is parsed."""
    middle = b"" if change == "delete" else bytes([byte])
    received = APPLIED[:at] + middle + APPLIED[at + (change != "insert") :]
    if is_applied(received):
        verdicts = Transaction([entry()]).verdicts(parsed(received))
        assert verdicts is not None
        assert verdicts.is_clean
        assert len(verdicts.applied) == 1
